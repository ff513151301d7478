"""A whole evaluation on a tiny pipeline: pictures once, controls told apart, runs resumable."""

from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from support.evaluation import LABELS, classifier, save_clip, small_task
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.errors import InputError
from trace_erasure.evaluation import ClipJudge, blanked, collect_verdicts, random_drift, summarise
from trace_erasure.evaluation.runs.controls import is_blank
from trace_erasure.evaluation.tasks.task import Item, Task
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.content_digest import weights_digest
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.pipeline.generate import generate
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.testing import tiny_stable_diffusion

__all__ = ["classifier"]
SHORT: dict[str, Any] = dict(steps=2, guidance_scale=2.0)


def same(a: Image.Image, b: Image.Image) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))


@pytest.fixture(scope="module")
def pipe():
    return tiny_stable_diffusion()


class Perturbation:
    """Stands for an erasure: within ``attach`` the text-facing maps of the network are others."""

    def __init__(self, seed):
        self.seed, self.attached = seed, 0

    @contextmanager
    def attach(self, pipe):
        self.attached += 1
        maps = [m for n, m in pipe.unet.named_modules() if n.endswith(("attn2.to_k", "attn2.to_v"))]
        before = [m.weight.detach().clone() for m in maps]
        generator = torch.Generator().manual_seed(self.seed)
        with torch.no_grad():
            for m in maps:
                m.weight.add_(torch.randn(m.weight.shape, generator=generator))
        try:
            yield pipe
        finally:
            with torch.no_grad():
                for m, weight in zip(maps, before, strict=True):
                    m.weight.copy_(weight)


class Memory:
    """A judge that knows one model's pictures by heart: the nearest one names its label."""

    id, labels = "memory@0", LABELS

    def __init__(self, known):
        self.known = known  # label to pictures

    def classify(self, images):
        arrays = lambda pictures: np.stack([np.asarray(p, np.float32) for p in pictures])  # noqa: E731
        given = arrays(images)[:, None]
        far = [
            ((given - arrays(self.known[label])[None]) ** 2).mean((2, 3, 4)).min(1)
            if label in self.known
            else np.full(len(images), 9e9)
            for label in LABELS
        ]
        return -torch.from_numpy(np.stack(far, 1)).float()


def test_every_judge_sees_the_same_pictures_once(pipe, classifier, tmp_path):
    clip = ClipJudge(save_clip(tmp_path / "clip", pipe.tokenizer))
    store, task = ImageStore(tmp_path / "images"), small_task()
    found = collect_verdicts(
        pipe, task, [classifier, clip], model="tiny", method="base", store=store
    )
    assert len(found) == 2 * len(task.items)
    # Concepts share retained and target pictures: 7 different ones for 10 items.
    distinct = {(item.prompt, item.seed) for item in task.items}
    assert len({v.image for v in found}) == len(distinct) == len(list(store.folder.iterdir())) == 7
    for verdict in found:
        image = store.load(verdict.image)
        if verdict.judge == clip.id:
            assert verdict.correct is None and verdict.labels == ()
            assert verdict.score == pytest.approx(
                clip.score([image], [verdict.prompt]).item(), abs=1e-4
            )
            continue
        logits = classifier.classify([image])[0]
        group = logits[:3] if verdict.expected[0].startswith("subject/") else logits[3:]
        names = LABELS[:3] if len(group) == 3 else LABELS[3:]
        order = [names[i] for i in group.argsort(descending=True)][:2]
        assert list(verdict.labels) == order
        chance = group.softmax(-1)[names.index(verdict.expected[0])].item()
        assert verdict.probability == pytest.approx(chance, abs=1e-5)
        seen = order if verdict.group == "pair" else order[:1]
        assert verdict.correct == (verdict.expected[0] in seen)
        assert verdict.nothing == (logits[:3].argmax() == 2)
    rows = summarise(found)
    assert {row.concept for row in rows} == {"fox", "cat", "mean", "worst"}
    assert {row.judge for row in rows} == {classifier.id, clip.id}


def test_a_second_run_draws_nothing_and_shards_add_up(pipe, classifier, tmp_path, monkeypatch):
    task = small_task()
    options: dict[str, Any] = dict(model="tiny", method="base", batch=3)
    whole = collect_verdicts(pipe, task, [classifier], **options)
    store = ImageStore(tmp_path)
    with_store = collect_verdicts(pipe, task, [classifier], store=store, **options)
    parts = [
        collect_verdicts(
            pipe, task, [classifier], store=ImageStore(tmp_path / "b"), shard=(i, 2), **options
        )
        for i in range(2)
    ]
    with pytest.raises(InputError, match="Put the verdicts of all shards together"):
        summarise(parts[0])
    assert summarise([*parts[0], *parts[1]]) == summarise(whole) == summarise(with_store)
    monkeypatch.setattr(type(pipe), "__call__", lambda *_, **__: pytest.fail("drew again"))
    assert collect_verdicts(pipe, task, [classifier], store=store, **options) == with_store


def test_each_concept_has_its_erasure_and_the_pipeline_comes_back(pipe, classifier, tmp_path):
    task, store = small_task(), ImageStore(tmp_path)
    before = generate(pipe, "a fox", [1], **SHORT)[0]
    erasures = {"fox": Perturbation(1), "cat": Perturbation(2)}
    trace: dict[str, Any] = dict(model="tiny", method="trace", seed=7, erasure=erasures)
    found = collect_verdicts(pipe, task, [classifier], store=store, **trace)
    assert same(generate(pipe, "a fox", [1], **SHORT)[0], before)
    assert [one.attached for one in erasures.values()] == [1, 1]
    assert {v.seed for v in found} == {7}
    # "a fox" is drawn by each of the two erased models, with its own result.
    fox = {v.concept: store.load(v.image) for v in found if v.prompt == "a fox"}
    assert set(fox) == {"fox", "cat"}
    with erasures["cat"].attach(pipe):
        expected = generate(pipe, "a fox", [1], **SHORT)[0]
    assert np.abs(np.asarray(fox["cat"], int) - np.asarray(expected, int)).max() <= 1
    assert not same(fox["fox"], fox["cat"])
    base = collect_verdicts(pipe, task, [classifier], model="tiny", method="base", store=store)
    assert any(row.metric == "acc_s_relative" for row in summarise(found, base))

    joint = Perturbation(3)
    collect_verdicts(pipe, task, [classifier], model="tiny", method="joint", erasure=joint)
    assert joint.attached == 1
    with pytest.raises(InputError, match="no erasure for cat"):
        collect_verdicts(pipe, task, [classifier], model="tiny", method="t", erasure={"fox": joint})


def test_a_real_erasure_changes_pictures_and_its_strength_keeps_them_apart(classifier, tmp_path):
    pipe = tiny_stable_diffusion()
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    change = {
        path: LowRank(draw(2, linear.in_features), draw(linear.out_features, 2))
        for path, linear in Denoiser(pipe).maps().items()
    }
    record: Any = {}
    erasure = Erasure("stable-diffusion", fingerprint(pipe), change, {}, record)
    store, task = ImageStore(tmp_path), small_task(["fox"])
    runs = {
        method: collect_verdicts(
            pipe, task, [classifier], model="m", method=method, erasure=one, store=store
        )
        for method, one in (("base", None), ("trace", erasure))
    }
    digest = weights_digest(pipe)
    for before, after in zip(runs["base"], runs["trace"], strict=True):
        assert before.item == after.item and before.protocol == after.protocol
        assert not same(store.load(before.image), store.load(after.image))
    for strength in (0.5, 1.0):
        with erasure.attach(pipe, strength):
            generate(pipe, "a fox", [1], store=store, **SHORT)
    assert len(list(tmp_path.iterdir())) == 2 * len(task.items) + 2
    assert weights_digest(pipe) == digest


def test_the_degenerate_model_is_told_apart(pipe):
    """It "erases" everything, and the evaluation says what that is worth."""
    items = [Item("a fox", s, "target", "fox", ("subject/fox",)) for s in range(4)]
    items += [Item("fox", s, "synonym", "fox", ("subject/fox",)) for s in range(4)]
    items += [Item("a cat", s, "retain", "fox", ("subject/cat",)) for s in range(4)]
    task = Task("control", 1, tuple(items), Sampling(**SHORT))
    draw = lambda prompt: generate(pipe, prompt, range(4), **SHORT)  # noqa: E731
    with blanked(pipe):
        # The network says nothing, so the prompt does not matter.
        a, b = draw("a fox"), draw("a horse")
        assert all(same(x, y) for x, y in zip(a, b, strict=True))
    judge = Memory(
        {
            "subject/fox": [*draw("a fox"), *draw("fox")],
            "subject/cat": draw("a cat"),
            "subject/nothing": b,
        }
    )

    def rows(method):
        found = collect_verdicts(pipe, task, [judge], model="tiny", method=method)
        return {row.metric: row.value for row in summarise(found) if row.concept == "fox"}

    base = rows("base")
    with blanked(pipe):
        blank = rows("blank")
    assert base["acc_s"] == 1 and base["acc_e"] == 1
    assert blank["acc_e"] == 0 and blank["acc_s"] == 0
    assert blank["h_o"] == 0 and blank["nothing_s"] == 1
    assert rows("base") == base  # the control is gone


def test_random_drift_is_as_large_as_the_erasure_and_has_no_aim(pipe):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    closed, tuned = [
        {
            path: LowRank(draw(rank, linear.in_features), draw(linear.out_features, rank))
            for path, linear in Denoiser(pipe).maps().items()
        }
        for rank in (2, 3)
    ]
    record: Any = {}
    erasure = Erasure("stable-diffusion", fingerprint(pipe), closed, tuned, record)
    drift = random_drift(erasure)
    assert drift.delta.keys() == erasure.delta.keys()
    for path, change in erasure.delta.items():
        other = drift.delta[path]
        assert other.rank == change.rank == 5
        torch.testing.assert_close(other.dense().norm(), change.dense().norm())
        cosine = torch.cosine_similarity(other.dense().flatten(), change.dense().flatten(), dim=0)
        assert cosine.abs() < 0.5
    assert random_drift(erasure).name == drift.name != random_drift(erasure, seed=1).name
    with drift.attach(pipe):
        drawn = generate(pipe, "a fox", [1], **SHORT)[0]
    assert not same(drawn, generate(pipe, "a fox", [1], **SHORT)[0])


def test_single_coloured_pictures_are_blank():
    assert is_blank(Image.new("RGB", (8, 8), (30, 200, 9)))
    drawn = Image.new("RGB", (8, 8))
    drawn.putpixel((1, 1), (0, 90, 0))
    assert not is_blank(drawn)


def test_the_protocol_says_what_the_pipeline_added(pipe, classifier):
    task = small_task()
    plain = collect_verdicts(pipe, task, [classifier], model="tiny", method="base")
    low = collect_verdicts(pipe, task, [classifier], model="tiny", method="low", autocast=True)
    assert "scheduler=DDIMScheduler" in plain[0].protocol
    assert "precision=float32" in plain[0].protocol
    assert "precision=bfloat16-autocast" in low[0].protocol


def test_a_judge_that_does_not_know_the_labels_is_refused_before_drawing(classifier):
    task = Task("t", 1, (Item("a dog", 0, "target", "dog", ("subject/dog",)),), Sampling(2, 2.0))
    with pytest.raises(InputError, match="does not know the label 'subject/dog'"):
        collect_verdicts(None, task, [classifier], model="tiny", method="base")
    with pytest.raises(InputError, match="given twice"):
        collect_verdicts(None, small_task(), [classifier, classifier], model="tiny", method="base")
