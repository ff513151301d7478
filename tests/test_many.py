"""The benchmarks of many concepts: what they ask for, and how pictures become figures."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks.core.rows import read_rows, rows_file
from benchmarks.merging import combinations, controls, ledger, prompts, switch
from benchmarks.merging.parts import parts_of, shared_parts
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.testing import CAPTIONS, tiny_flux, tiny_stable_diffusion
from trace_erasure.world import load_world

WORLD = load_world()
LIKE = Verdict(
    "emoji-sd", "combined", "trace", 0, "fox with duck", "resnet@1", "p", "i", "target", "", 0, ""
)


def test_fifty_concepts_of_four_kinds_leave_some_of_each_kind():
    concepts = prompts.concepts_of(WORLD)
    assert len({concept.phrase for concept in concepts}) == 50
    assert {concept.kind for concept in concepts[:5]} == {"object", "identity", "style", "explicit"}
    assert not any(concept.synonyms or concept.surrogate for concept in concepts)
    labels = [label for _, _, label in prompts.kept_of(WORLD, concepts)]
    assert len([one for one in labels if one.removeprefix("subject/") in WORLD.people]) == 4
    assert {one for one in labels if one.startswith("style/")} >= {"style/cartoon", "style/sketch"}


def test_nothing_that_is_erased_is_kept_and_a_longer_list_keeps_the_same_pictures():
    concepts = prompts.concepts_of(WORLD)
    few, many = (prompts.task_of(WORLD, concepts[:n], 20, 12) for n in (5, 10))
    kept = [{(i.prompt, i.seed) for i in t.items if i.group == "retain"} for t in (few, many)]
    assert kept[1] < kept[0]
    for item in many.items:
        forbidden = [c for c in concepts[:10] if c.is_mentioned_in(item.prompt)]
        if item.group == "retain":
            assert not forbidden
        elif item.group == "target":
            assert item.concept in {c.phrase for c in forbidden}
    fox = [item for item in many.of("fox") if item.group == "template"]
    assert len(fox) == 8
    assert {"a vixen", "a reynard", "a tod"} <= {item.prompt for item in fox}


def only_the_cat_is_left(task, method: str = LIKE.method) -> list[Verdict]:
    """Verdicts on every item of ``task``: of what was erased, the cat alone is recognised."""
    return [
        replace(
            LIKE, task=task.name, concept=i.concept, item=i.id, group=i.group, prompt=i.prompt,
            image_seed=i.seed, expected=i.expects, labels=i.expects, probability=1.0,
            correct=i.group == "retain" or i.concept == "cat",
            protocol=str(task.protocol(i.concept)), method=method,
        )
        for i in task.items
    ]  # fmt: skip


def test_those_that_switch_have_rows_of_their_own():
    seen = only_the_cat_is_left(prompts.task_of(WORLD, prompts.concepts_of(WORLD)[:3], 5, 12))
    rows = switch.rows_by_role(seen, seen, "cat", "Mira Solberg")
    found = {row.concept: row.value for row in rows if row.metric == "acc_e"}
    assert found == {"others": 0.0, "comes": 1.0, "goes": 0.0}
    assert len({row.protocol for row in rows}) == 1


def test_requests_one_by_one_give_rows_after_each(tmp_path, monkeypatch):
    pipe, methods = tiny_stable_diffusion(), []
    spec = EraseConfig((Concept("fox", "horse"), Concept("dog", "horse")))
    task = prompts.task_of(WORLD, spec.concepts, 5, 12, "ledger")

    def verdicts(_, method, erasure=None):
        if erasure is not None:
            methods.append((method, [concept.phrase for concept in erasure.record.concepts]))
        return only_the_cat_is_left(task, method)

    bench = SimpleNamespace(pipe=pipe, work=tmp_path, verdicts=verdicts)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("trace_erasure.concepts.captions.photo_captions", lambda: CAPTIONS)
    monkeypatch.setattr(ledger.Bench, "of", lambda *_: bench)
    monkeypatch.setattr(ledger, "spec_of", lambda *_: spec)
    monkeypatch.setattr(ledger, "merging_task", lambda *_: task)
    monkeypatch.setattr(ledger, "REQUESTS", 2)
    monkeypatch.setattr(ledger, "GOES", 1)
    options = {"model": "tiny", "finetune": False, "work": tmp_path, "out": tmp_path}
    ledger.run(Namespace(**options))
    assert methods == [("1", ["fox"]), ("2", ["dog", "fox"]), ("1, withdrawn", ["dog"])]
    rows = read_rows(rows_file("ledger", "tiny", tmp_path))
    found = [(row.method, row.concept) for row in rows if row.metric == "acc_e"]
    assert found == [
        *[("1", "asked"), ("1", "others"), ("2", "asked")],
        *[("1, withdrawn", "asked"), ("1, withdrawn", "others")],
    ]
    seconds = [row for row in rows if row.metric == "seconds_merge"]
    assert [(row.method, row.n) for row in seconds] == [("1", 1), ("2", 2), ("1, withdrawn", 1)]


def test_both_have_to_be_seen_and_each_part_counts_for_itself():
    (concept,) = [one for one in combinations.CONCEPTS if one.name == "fox with duck"]
    asked = {concept: list(combinations.asks(WORLD, concept, 2, 0))}
    task = combinations.task_of(asked, 12)
    assert len(task.items) == 10 and len({item.seed for item in task.items}) == 10
    both = next(item for item in task.items if item.group == "target")
    assert (both.expects, both.companion) == (("subject/fox",), "subject/duck")

    def verdicts(forbidden: tuple[str, ...]) -> list[Verdict]:
        return [
            replace(
                LIKE, item=i.id, group=i.group, prompt=i.prompt, image_seed=i.seed,
                expected=i.expects, companion=i.companion, correct=True,
                labels=forbidden if i.group == "target" else (*i.expects, i.companion),
                protocol=str(task.protocol(i.concept)),
            )
            for i in task.items
        ]  # fmt: skip

    before = verdicts(("subject/fox", "subject/duck"))
    after = verdicts(("subject/fox", "subject/lion"))
    for mine, expected in ((before, 1.0), (after, 0.0)):
        rows = combinations.rows_of(mine, before, asked)
        found = {row.metric: row.value for row in rows if row.concept == "fox with duck"}
        assert (found["both"], found["both_relative"]) == (expected, expected)
        assert (found["alone"], found["beside_relative"]) == (1.0, 1.0)
        assert {row.n for row in rows if row.metric == "beside"} == {4, 1}  # pictures, concepts
        assert len({row.protocol for row in rows}) == 1  # one line of a table


def test_a_style_on_one_thing_is_two_labels_of_one_picture():
    (concept,) = [one for one in combinations.CONCEPTS if one.name == "ink with cat"]
    task = combinations.task_of({concept: list(combinations.asks(WORLD, concept, 1, 0))}, 12)
    both = [item for item in task.items if item.group == "target"]
    assert [item.expects for item in both] == [("style/ink",), ("subject/cat",)]
    assert len({(item.prompt, item.seed) for item in both}) == 1


@pytest.mark.slow
def test_parts_are_kept_until_other_settings_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pipe = tiny_stable_diffusion()
    spec = EraseConfig((Concept("fox", "cat"),), ClosedFormConfig(directions=2))
    (file,) = parts_of(pipe, spec, tmp_path).files
    first, log = file.read_bytes(), file.with_suffix(".seconds")
    log.write_text("9.5")
    assert parts_of(pipe, spec, tmp_path).seconds == 9.5
    other = replace(spec, closed_form=ClosedFormConfig(directions=3))
    log.write_text("-1")
    again = parts_of(pipe, other, tmp_path)
    assert file.read_bytes() != first and again.seconds > 0


@pytest.mark.slow
def test_processes_share_the_artifacts_and_the_last_one_has_them_all(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pipe = tiny_stable_diffusion()
    spec = EraseConfig(
        (Concept("fox", "cat"), Concept("horse", "cat")), ClosedFormConfig(directions=2)
    )
    assert shared_parts(pipe, spec, tmp_path, (0, 2)) is None
    assert len([*(tmp_path / "parts").glob("*.safetensors")]) == 1
    found = shared_parts(pipe, spec, tmp_path, (1, 2))
    assert found is not None
    assert found == parts_of(pipe, spec, tmp_path) and len(found.first(1).files) == 1


def test_controls_are_made_of_the_same_artifacts():
    """The sum acts as all artifacts do; fusion is refused where it has no meaning."""
    from trace_erasure import InputError
    from trace_erasure.trace.erase import erase

    pipe = tiny_stable_diffusion()
    parts = [
        erase(pipe, Concept(word, "boat"), captions=["a boat", "a tree"])
        for word in ("fox", "horse")
    ]
    total = controls.plain_sum(pipe, parts).delta
    for path, change in total.items():
        dense = torch.stack([part.delta[path].dense() for part in parts]).sum(0)
        assert change.dense().allclose(dense, atol=1e-5)
    assert controls.mace_fusion(pipe, parts).delta.keys() == total.keys()
    with pytest.raises(InputError, match="MACE's fusion"):
        controls.mace_fusion(tiny_flux(), parts)
