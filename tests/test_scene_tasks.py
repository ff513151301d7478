"""Judges that say yes or no of every label, and the tasks of emoji-scenes that need them."""

from typing import Any

import torch
from PIL import Image

from support.evaluation import verdicts
from trace_erasure.evaluation.judges.base import ImageClassifierJudge, probabilities
from trace_erasure.evaluation.metrics.summary import summarise
from trace_erasure.evaluation.runs.runner import detector_for
from trace_erasure.evaluation.tasks.loader import load_task
from trace_erasure.evaluation.tasks.task import KEPT, Item
from trace_erasure.world.scenes import load_scenes

LABELS = ("thing/knife", "thing/fox", "scene/chef")
SCENE_TASKS = ("implied", "mark", "scenes-hazard", "polysemy", "binding", "scenes-retention")


class Says:
    """A multi-label judge that finds the same in every picture."""

    id, labels, multi_label = "says@0", LABELS, True

    def __init__(self, *shown):
        self.shown = shown

    def classify(self, images):
        row = [3.0 if label in self.shown else -3.0 for label in LABELS]
        return torch.tensor([row] * len(images))


def seen(judge, group, *expects, companion=""):
    item = Item("a chef", 0, group, "knife", expects, companion)
    return detector_for(judge, item)([Image.new("RGB", (8, 8))])[0]


def test_labels_of_a_multi_label_judge_exclude_nothing():
    both = Says("thing/knife", "scene/chef")
    assert seen(both, "implied", "thing/knife") and seen(both, "scene", "scene/chef")
    assert not seen(both, "retain", "thing/fox")
    chances = probabilities(torch.zeros(1, 3), LABELS, multi_label=True)
    assert torch.equal(chances, torch.full((1, 3), 0.5))


def test_a_kept_pair_must_show_both_and_an_erased_one_only_the_concept():
    alone = Says("thing/fox")
    assert seen(alone, "pair", "thing/fox", companion="thing/knife")
    assert not seen(alone, "retain", "thing/fox", companion="thing/knife")
    assert seen(Says("thing/fox", "thing/knife"), "retain", "thing/fox", companion="thing/knife")


def test_a_model_says_in_its_config_that_it_is_multi_label(tmp_path):
    from transformers import ResNetConfig, ResNetForImageClassification

    kinds: tuple[Any, ...] = (("multi_label_classification", True), (None, False))
    for kind, expected in kinds:
        config = ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8],
            depths=[1],
            id2label=dict(enumerate(LABELS)),
            label2id={label: i for i, label in enumerate(LABELS)},
            problem_type=kind,
        )
        ResNetForImageClassification(config).save_pretrained(tmp_path / str(kind))
        assert ImageClassifierJudge(tmp_path / str(kind)).multi_label is expected


def test_scenes_count_as_kept_and_implied_things_as_seen():
    groups = [*["implied"] * 4, *["scene"] * 4, "target", "retain"]
    before = [True, True, False, False, *[True] * 4, True, True]
    after = [True, False, False, False, *[True] * 4, False, True]
    base = verdicts([*zip(groups, before, strict=True)], concept="knife", method="base")
    erased = verdicts([*zip(groups, after, strict=True)], concept="knife")
    rows = {row.metric: row for row in summarise(erased, base) if row.concept == "knife"}
    assert (rows["acc_implied"].value, rows["implied_of_base"].value) == (0.25, 0.5)
    assert (rows["acc_scene"].value, rows["scene_of_base"].value) == (1.0, 1.0)
    assert (rows["acc_g"].value, rows["acc_s"].value) == (0.25, 1.0)


def test_tests_of_implied_things_ask_for_words_that_no_method_is_given():
    scenes = load_scenes()
    task = load_task("implied")
    for concept in task.concepts:
        told = [scene.phrase for scene in scenes.implying(concept) if scene.context]
        others = [scene.phrase for scene in scenes.implying(concept) if not scene.context]
        prompts = {
            group: [i.prompt for i in task.of(concept) if i.group == group]
            for group in ("implied", "unseen", "scene")
        }
        assert all(any(scene in prompt for scene in told) for prompt in prompts["implied"])
        assert not any(scene in prompt for scene in told for prompt in prompts["unseen"])
        assert any(scene in prompt for scene in others for prompt in prompts["unseen"])
        # No prompt of a scene names the thing, else the words and not the scene would be tested.
        words = (concept, *scenes.implied[concept].all)
        shown = [*prompts["implied"], *prompts["unseen"]]
        assert not [p for p in shown if any(word.split(" ")[-1] in p.split(" ") for word in words)]


def test_a_scene_is_looked_for_in_the_pictures_that_imply_its_thing():
    for name in ("implied", "mark", "scenes-hazard"):
        task = load_task(name)
        for concept in task.concepts:
            items = task.of(concept)
            drawn = {(i.prompt, i.seed) for i in items if i.group in ("implied", "unseen")}
            scenes = {(i.prompt, i.seed) for i in items if i.group == "scene"}
            assert scenes and scenes <= drawn


def test_nothing_that_is_kept_counts_as_the_concept():
    for task in map(load_task, SCENE_TASKS):
        for concept in task.concepts:
            items = task.of(concept)
            erased = {label for i in items if i.group == "target" for label in i.expects}
            kept = {label for i in items if i.group in KEPT for label in i.expects}
            assert kept and not erased & kept
