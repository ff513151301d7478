"""Many concepts together: exact within capacity, switches that compose, honest beyond it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.header import read_header
from trace_erasure.artifact.record import MergedRecord
from trace_erasure.concepts.alignment import keep_columns
from trace_erasure.concepts.concept import (
    Concept,
    ResolvedConcept,
    concept_prompts,
    fill_template,
    single_mention_prompts,
)
from trace_erasure.concepts.stream_columns import stream_columns
from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig, MergeConfig
from trace_erasure.errors import InputError
from trace_erasure.math import edit_metrics, isolation, joint_solve
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.weighted_ridge import Preserved
from trace_erasure.pipeline import adapter_layers
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion
from trace_erasure.trace import hardening_search
from trace_erasure.trace.capacity import capacity
from trace_erasure.trace.erase import erase
from trace_erasure.trace.erase_each import erase_each
from trace_erasure.trace.merge import merge

WORDS = ("dog", "tree", "house", "horse", "boat", "fox", "cat", "bird", "sheep", "car")
CAPTIONS = [f"a picture of a {word}" for word in WORDS] * 2 + [
    f"a {word} in {style} style" for word in WORDS[:4] for style in ("ink", "neon")
]
QUICK = FinetuneConfig(
    steps=3,
    batch=2,
    rank=2,
    trajectories=2,
    retain_trajectories=3,
    sampler_steps=3,
    noise_level=0.6,
)
BARE = ("a picture of a {x}",)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pipe():
    return tiny_stable_diffusion(width=256, positions=44).to(torch.float64)


def single(pipe, phrase: str, surrogate: str, finetune=None, **options) -> Erasure:
    settings = options.pop("closed_form", ClosedFormConfig(directions=4, keep=8))
    concept = Concept(phrase, surrogate, templates=options.pop("templates", BARE), **options)
    return erase(pipe, concept, closed_form=settings, finetune=finetune, captions=CAPTIONS)


def images(pipe, texts, **options) -> torch.Tensor:
    return pipe(
        texts,
        num_inference_steps=3,
        generator=[torch.Generator().manual_seed(i) for i in range(len(texts))],
        output_type="pt",
        **options,
    ).images


def heard(denoiser: Denoiser, prompt: str, change: dict[str, LowRank] | None = None):
    """What every text-facing map says of every position of a prompt, positions in order."""
    columns = denoiser.embeddings([prompt])[0][0].mT
    found = {}
    for path, layer in denoiser.maps().items():
        weight = layer.weight.detach().double()
        if change is not None:
            weight = weight + change[path].to(torch.float64).dense()
        found[path] = weight @ columns
    return found


def far(a, b) -> float:
    return max(float((a[path] - b[path]).norm() / b[path].norm()) for path in a)


# Algebra ----------------------------------------------------------------------------------


def random_pairs(count: int, d: int = 40, columns: int = 3, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    pairs = [
        Pairs.of(draw(d, columns), draw(d, columns), torch.rand(columns) + 0.5)
        for _ in range(count)
    ]
    root = draw(d, d)
    sigma = draw(d, 3 * d)
    return pairs, draw(d, 4), sigma @ sigma.mT / d, root


def solve(pairs, keep, sigma, root):
    everybody = joint_solve.RidgeGroup(
        range(len(pairs)), Preserved(anchors=[], alone=[], retained=[keep])
    )
    return joint_solve.solve_jointly([[one] for one in pairs], keep, [everybody], sigma, root)


def test_compact_columns_say_the_same_as_all_of_them():
    generator = torch.Generator().manual_seed(1)
    c, s = (torch.randn(10, 30, generator=generator, dtype=torch.float64) for _ in range(2))
    weights = torch.rand(30, generator=generator, dtype=torch.float64)
    pairs = Pairs.of(c, s, weights)
    share = weights / weights.sum()
    assert pairs.count == 20  # no more than the dimensions of both together
    torch.testing.assert_close(pairs.concept @ pairs.concept.mT, (c * share) @ c.mT)
    torch.testing.assert_close(pairs.surrogate @ pairs.concept.mT, (s * share) @ c.mT)


@pytest.mark.parametrize("directions", [1, 2, 3])
def test_every_concept_is_redirected_exactly_on_its_directions(directions):
    pairs, keep, sigma, root = random_pairs(4)
    solved = joint_solve.joint_equality(pairs, keep, sigma, root, directions)
    edit = solved.edit
    for pair in (one.leading(root, directions) for one in pairs):
        torch.testing.assert_close(edit.apply(pair.concept), pair.surrogate)
        torch.testing.assert_close(edit.apply(pair.surrogate), pair.surrogate)
    torch.testing.assert_close(edit.apply(keep), keep)
    matrix = edit.matrix()
    torch.testing.assert_close(matrix @ matrix, matrix, atol=1e-8, rtol=1e-6)


def test_strengths_move_each_concept_by_its_own_share():
    pairs, keep, sigma, root = random_pairs(3)
    solved = joint_solve.joint_equality(pairs, keep, sigma, root, 3)
    strengths = (0.0, 0.25, 1.0)
    edit = solved.at(strengths)
    for pair, s in zip(pairs, strengths, strict=True):
        goal = (1 - s) * pair.concept + s * pair.surrogate
        torch.testing.assert_close(edit.apply(pair.concept), goal)


def test_what_costs_least_is_taken_and_everything_tried_is_told():
    pairs, keep, sigma, root = random_pairs(2)
    best, trials = solve(pairs, keep, sigma, root)
    assert [trial.directions for trial in trials] == [8, 4, 2, 1]
    assert best.directions == min(trials, key=lambda trial: trial.cost).directions
    assert all(max(t.residuals) < 1e-8 for t in trials[:2])  # three columns: all there is


def test_beyond_capacity_ridge_takes_over():
    pairs, keep, sigma, root = random_pairs(18)  # 2 · 18 + 4 = 40: every dimension there is
    best, (trial,) = solve(pairs, keep, sigma, root)
    assert best.mode == trial.mode == "ridge" and trial.needed > joint_solve.MOST_CAPACITY
    assert all(0 < residual < 1 for residual in trial.residuals)
    matrix, gram = best.edit.matrix(), root.mT @ root
    for pair, residual in zip(pairs, trial.residuals, strict=True):  # as predicted
        missed = edit_metrics.output_norm(matrix @ pair.concept - pair.surrogate, gram).norm()
        moved = edit_metrics.output_norm(pair.concept - pair.surrogate, gram).norm()
        assert float(missed / moved) == pytest.approx(residual)


def test_trained_parts_leave_each_other_alone():
    pairs, _, sigma, _ = random_pairs(3)
    columns = [pair.concept for pair in pairs]
    generator = torch.Generator().manual_seed(4)
    downs = [torch.randn(2, 40, generator=generator, dtype=torch.float64) for _ in pairs]
    after = {}
    for i, down in enumerate(downs):
        others = torch.cat([c for j, c in enumerate(columns) if j != i], dim=1)
        new = isolation.isolated_down(down, columns[i], others, sigma)
        torch.testing.assert_close(new @ columns[i], down @ columns[i])
        # Nearest in the metric Σ: what it changes is orthogonal to all that it might change.
        free = torch.linalg.qr(torch.cat([columns[i], others], dim=1), mode="complete").Q[:, 9:]
        torch.testing.assert_close((new - down) @ sigma @ free, torch.zeros(2, 31).double())
        after[i] = LowRank(new, torch.ones(1, 2, dtype=torch.float64))
    before = {i: LowRank(down, after[i].up) for i, down in enumerate(downs)}
    assert isolation.cross_talk(after, columns) < 1e-16 * isolation.cross_talk(before, columns)


def test_overlap_is_one_for_a_shared_direction_and_none_for_orthogonal_ones():
    eye = torch.eye(6, dtype=torch.float64)
    factor = torch.linalg.cholesky(4 * eye)
    spans = [eye[:, :2], eye[:, 1:3], eye[:, 2:5]]  # of different widths
    found = joint_solve.overlaps(spans, factor)
    wanted = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    torch.testing.assert_close(found, wanted.double())


# Artifacts on a pipeline ------------------------------------------------------------------


def test_a_joint_solve_is_exact_for_all_listed_prompts():
    pipe = tiny_stable_diffusion(width=384, positions=44).to(torch.float64)
    exact = ClosedFormConfig(directions=None, keep=4)
    parts = [
        single(pipe, word, surrogate, closed_form=exact)
        for word, surrogate in (("fox", "dog"), ("horse", "red"))
    ]
    together = merge(
        parts, pipe, settings=MergeConfig(directions=1000, keep=100), captions=CAPTIONS
    )
    denoiser = Denoiser(pipe)
    found = together.record.merged.capacity["tokens"]
    assert found.mode == "equality" and max(found.residuals.values()) < 1e-6
    for word, surrogate in (("fox", "dog"), ("horse", "red")):
        listed = heard(denoiser, f"a picture of a {word}", together.delta)
        assert far(listed, heard(denoiser, f"a picture of a {surrogate}")) < 1e-4
        listed = heard(denoiser, f"a picture of a {surrogate}", together.delta)
        assert far(listed, heard(denoiser, f"a picture of a {surrogate}")) < 1e-4


def test_adding_and_removing_is_solving_anew(tmp_path, pipe):
    fox, cat, horse = (
        single(pipe, word, surrogate)
        for word, surrogate in (("fox", "dog"), ("cat", "bird"), ("horse", "tree"))
    )
    options: dict[str, Any] = dict(captions=CAPTIONS)
    two, three = merge([fox, cat], pipe, **options), merge([fox, cat, horse], pipe, **options)
    again = merge([fox, cat], pipe, **options)
    assert again.name == two.name != three.name
    # The order of the list is no matter, and neither is a journey through files.
    files = [e.save(tmp_path / name) for e, name in ((cat, "cat"), (fox, "fox"))]
    other = merge([Erasure.load(file) for file in files], pipe, **options)
    for path, change in two.delta.items():
        torch.testing.assert_close(other.delta[path].dense(), change.dense(), rtol=1e-3, atol=1e-4)


def test_a_file_holds_every_form_of_a_concept(tmp_path, pipe):
    made = single(pipe, "fox", "dog")
    loaded = Erasure.load(made.save(tmp_path / "fox"))
    for own, other in zip(made.merge_statistics, loaded.merge_statistics, strict=True):
        for stream, part in own.streams.items():
            assert len(part.described) == len(other.streams[stream].described) == 1


def test_one_that_was_just_made_is_merged_with_one_from_a_file(tmp_path):
    """Two streams of text, whose order in a file is another."""
    pipe = tiny_flux()
    fox, cat = single(pipe, "fox", surrogate="dog"), single(pipe, "cat", surrogate="bird")
    loaded = Erasure.load(cat.save(tmp_path / "cat"))
    found, expected = (merge([fox, x], pipe, captions=CAPTIONS) for x in (loaded, cat))
    assert found.delta.keys() == expected.delta.keys()
    for path, change in expected.delta.items():
        other = found.delta[path].dense()
        torch.testing.assert_close(other, change.dense(), rtol=1e-3, atol=1e-3)


def test_a_surrogate_that_is_erased_too_is_proposed_anew(pipe, caplog):
    caplog.set_level(logging.INFO, "trace_erasure")
    parts = [
        single(pipe, "fox", "cat", templates=("a {x} and a horse",)),
        single(pipe, "cat", "bird"),
        single(pipe, "horse", "sheep"),
    ]
    record = merge(parts, pipe, captions=CAPTIONS).record.merged
    fox = record.concepts[0]
    assert fox.surrogate not in ("fox", "cat", "horse")
    assert fox.templates == ("a {x} and a sheep",)
    assert "'cat' is erased too" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
def test_hardened_artifacts_are_merged_with_what_was_trained_behind_the_text(make, monkeypatch):
    monkeypatch.setattr(hardening_search, "GENERATIONS", 5)
    pipe = make()
    parts = [
        erase(
            pipe, Concept(word, surrogate=surrogate), finetune=QUICK, captions=CAPTIONS,
            hardening="adversarial",
        )
        for word, surrogate in (("fox", "dog"), ("cat", "bird"))
    ]  # fmt: skip
    together = merge(parts, pipe, captions=CAPTIONS)
    residuals = together.record.merged.capacity["tokens"].residuals
    assert {"fox", "cat", "fox, other form 1"} <= {*residuals}
    for path, change in together.finetuned.items():
        both = sum(part.finetuned[path].dense() for part in parts)
        torch.testing.assert_close(change.dense(), both, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_trained_parts_are_merged_without_cross_talk(pipe):
    pipe = tiny_stable_diffusion(width=256, positions=44)
    parts = [
        single(pipe, word, surrogate, QUICK)
        for word, surrogate in (("fox", "dog"), ("cat", "bird"))
    ]
    together = merge(parts, pipe, captions=CAPTIONS)
    talk = together.record.merged.cross_talk
    assert talk.before > 0 and talk.after < 1e-9 * talk.before
    assert {change.rank for change in together.finetuned.values()} == {4}
    keys = set(pipe.unet.state_dict())
    tuned = merge(parts, pipe, settings=MergeConfig(integrate=QUICK), captions=CAPTIONS)
    assert set(pipe.unet.state_dict()) == keys
    assert {change.rank for change in tuned.finetuned.values()} == {6}
    small = merge(parts, pipe, settings=MergeConfig(rank=3), captions=CAPTIONS)
    assert max(change.rank for change in small.delta.values()) == 3
    assert max(dict(small.record.merged.discarded).values()) > 0


def test_strength_is_in_python_and_in_the_file(tmp_path, pipe):
    fox, cat = single(pipe, "fox", "dog"), single(pipe, "cat", "bird")
    full = merge([fox, cat], pipe, captions=CAPTIONS)
    half = merge([fox, cat], pipe, strengths=[0.5, 0.5], captions=CAPTIONS)
    for path, change in full.delta.items():
        torch.testing.assert_close(half.delta[path].dense(), 0.5 * change.dense())
    saved = Erasure.load(fox.scaled(0.5).save(tmp_path / "fox"))
    assert saved.strength == 0.5
    mixed = merge([saved, cat], pipe, captions=CAPTIONS)
    other = merge([fox, cat], pipe, strengths=[0.5, 1], captions=CAPTIONS)
    for path, change in other.delta.items():
        torch.testing.assert_close(mixed.delta[path].dense(), change.dense(), rtol=1e-3, atol=1e-4)
    # Between the concept and the surrogate, monotonically.
    denoiser = Denoiser(pipe)
    goal = heard(denoiser, "a picture of a dog")
    left = [
        far(heard(denoiser, "a picture of a fox", fox.scaled(s).delta), goal)
        for s in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert left == sorted(left, reverse=True)
    with pytest.raises(InputError, match="out of range"):
        fox.scaled(3)


@pytest.mark.slow
def test_the_merged_file_in_plain_diffusers(tmp_path):
    pipe = tiny_stable_diffusion(width=256, positions=44)
    parts = [single(pipe, "fox", "dog", QUICK), single(pipe, "cat", "bird", QUICK)]
    texts = ["a picture of a fox", "a picture of a horse"]
    base = images(pipe, texts)
    for erasure in (parts[0], merge(parts, pipe, captions=CAPTIONS)):
        with erasure.attach(pipe):
            expected = images(pipe, texts)
        assert (expected - base).abs().max() > 1e-3
        file = erasure.save(tmp_path / "merged")
        plain = tiny_stable_diffusion(width=256, positions=44)
        plain.load_lora_weights(tmp_path, weight_name=file.name)  # no unexpected key
        torch.testing.assert_close(images(plain, texts), expected, atol=1e-4, rtol=0)
        baked = erasure.bake(pipe)
        assert not adapter_layers.attached(baked, erasure.name)
        torch.testing.assert_close(images(baked, texts), expected, atol=1e-4, rtol=0)
    assert torch.equal(images(pipe, texts), base)


def test_the_columns_travel_in_the_header_and_stay_out_of_sight(tmp_path, pipe):
    erasure = single(pipe, "fox", "dog")
    file = erasure.save(tmp_path / "fox")
    found = Erasure.load(file)
    assert not any("shares" in key for key in read_header(file).metadata)
    (one,), (two,) = erasure.merge_statistics, found.merge_statistics
    assert two.concept == one.concept
    for name, part in one.streams.items():
        torch.testing.assert_close(
            two.streams[name].pairs.concept, part.pairs.concept, rtol=1e-5, atol=1e-6
        )
        assert list(two.streams[name].retained) == list(part.retained)


def test_what_cannot_be_merged_is_refused_with_a_reason(pipe):
    fox, cat = single(pipe, "fox", "dog"), single(pipe, "cat", "bird")
    with pytest.raises(InputError, match="nothing to merge"):
        merge([], pipe)
    with pytest.raises(InputError, match="fox is erased by two"):
        merge([fox, fox], pipe, captions=CAPTIONS)
    with pytest.raises(InputError, match="merged already"):
        merge([merge([fox], pipe, captions=CAPTIONS), cat], pipe, captions=CAPTIONS)
    with pytest.raises(InputError, match="another base model"):
        merge([fox], tiny_stable_diffusion(seed=5, width=256, positions=44), captions=CAPTIONS)
    with pytest.raises(InputError, match="1 strengths for 2"):
        merge([fox, cat], pipe, strengths=[1], captions=CAPTIONS)


def test_capacity_before_any_work(pipe, caplog):
    caplog.set_level(logging.INFO, "trace_erasure")
    concepts = [Concept("fox", "dog"), Concept("cat", "bird")]
    found = capacity(pipe, concepts, captions=CAPTIONS)["tokens"]
    assert found.mode == "equality" and 0 < found.needed <= joint_solve.MOST_CAPACITY
    assert {*found.residuals} == {"fox", "fox, other form 1", "cat", "cat, other form 1"}
    assert found.most > 2
    narrow = tiny_stable_diffusion(width=32, positions=44)
    many = [Concept(word, "boat") for word in ("fox", "cat", "horse", "dog")]
    found = capacity(narrow, many, MergeConfig(keep=24), captions=CAPTIONS)["tokens"]
    assert found.mode == "ridge" and found.needed > joint_solve.MOST_CAPACITY
    assert "beyond the capacity" in caplog.text


def test_one_and_the_same_embedding_collides(pipe):
    # Two names that the encoder cannot tell apart, sent to two places.
    found = capacity(
        pipe,
        [
            Concept("fox", "dog", templates=BARE),
            Concept("picture of a fox", "tree", templates=("a {x}",)),
        ],
        captions=CAPTIONS,
    )["tokens"]
    (first, second, overlap), *_ = found.collisions
    assert {first, second} == {"fox", "picture of a fox"} and overlap > 0.9


def test_each_concept_has_its_file_and_a_killed_run_goes_on(tmp_path, pipe):
    concepts = (Concept("fox", "dog", templates=BARE), Concept("cat", "bird", templates=BARE))
    spec = EraseConfig(concepts, ClosedFormConfig(directions=2), None)
    first = erase_each(pipe, spec, tmp_path, CAPTIONS, shard=(0, 2))
    assert [file.name for file in first] == ["fox.safetensors"]
    before = first[0].stat().st_mtime_ns
    files = [*erase_each(pipe, spec, tmp_path, CAPTIONS)]
    assert [file.name for file in files] == ["fox.safetensors", "cat.safetensors"]
    assert files[0].stat().st_mtime_ns == before  # kept, not made again
    changed = replace(spec, closed_form=ClosedFormConfig(directions=3))
    erase_each(pipe, changed, tmp_path, CAPTIONS)
    assert files[0].stat().st_mtime_ns > before


# Combinations -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_combination_moves_and_its_halves_stay():
    pipe = tiny_stable_diffusion(width=512, positions=44).to(torch.float64)
    concept = Concept(
        "horse",
        "dog",
        only_with="fox",
        templates=("a {y} and a {x}", "a {x} and a {y}"),
    )
    assert concept_prompts(concept) == ["a fox and a horse", "a horse and a fox"]
    settings = ClosedFormConfig(directions=None, keep=40)
    erasure = erase(pipe, concept, closed_form=settings, finetune=None, captions=CAPTIONS)
    denoiser = Denoiser(pipe)
    for prompt, target in (
        ("a fox and a horse", "a fox and a dog"),
        ("a horse and a fox", "a horse and a dog"),
    ):
        assert far(heard(denoiser, prompt), heard(denoiser, target)) > 1e-2
        assert far(heard(denoiser, prompt, erasure.delta), heard(denoiser, target)) < 1e-4
    truncated = erase(
        pipe, concept, closed_form=ClosedFormConfig(directions=4), finetune=None, captions=CAPTIONS
    )
    moved = far(
        heard(denoiser, "a fox and a horse", truncated.delta), heard(denoiser, "a fox and a horse")
    )
    for half in single_mention_prompts(concept):
        own = heard(denoiser, half)
        assert far(heard(denoiser, half, truncated.delta), own) < moved


def test_words_before_the_later_half_are_those_of_a_sentence_that_stays(pipe):
    concept = ResolvedConcept("horse", "dog", only_with="fox", templates=("a {x} and a {y}",))
    denoiser = Denoiser(pipe)
    found = stream_columns(denoiser, concept)
    kept = keep_columns(denoiser, ["a horse and a"])
    assert torch.cdist(found.moved.concept.mT, kept.mT).min() > 1e-3
    assert found.single_mention.shape[1] > 0


def test_a_style_on_one_thing_only():
    concept = Concept("ink", "neon", "style", only_with="fox")
    assert all("fox" in prompt and "ink" in prompt for prompt in concept_prompts(concept))
    assert all(phrase == "ink" for _, phrase in concept.wordings())
    halves = single_mention_prompts(concept)
    assert not any("fox" in prompt and "ink" in prompt for prompt in halves)
    assert concept.is_mentioned_in("a fox, ink style") and not concept.is_mentioned_in(
        "a dog, ink style"
    )
    assert fill_template("a {y}", "owl", "{y}") == "an owl"


def test_combinations_say_what_is_missing():
    with pytest.raises(InputError, match=r"no \{y\}"):
        Concept("cat", only_with="fox", templates=("a {x}",))
    with pytest.raises(InputError, match="one and the same"):
        Concept("cat", only_with="Cat")


# On the command line ----------------------------------------------------------------------


def test_the_command_line_merges_and_says_what_fits(tmp_path, monkeypatch, pipe):
    from typer.testing import CliRunner

    from trace_erasure.cli import app

    pipe = tiny_stable_diffusion(width=256, positions=44)
    monkeypatch.setattr(
        "trace_erasure.pipeline.loading.load_pipeline", lambda model, **options: pipe
    )
    for name in ("world_captions", "photo_captions"):
        monkeypatch.setattr(f"trace_erasure.concepts.captions.{name}", lambda *_: tuple(CAPTIONS))
    files = [
        single(pipe, word, surrogate).save(tmp_path / word)
        for word, surrogate in (("fox", "dog"), ("cat", "bird"))
    ]
    runner = CliRunner()
    out = tmp_path / "out"
    done = runner.invoke(app, ["merge", f"{files[0]}:0.5", str(files[1]), "--out", str(out)])
    assert done.exit_code == 0, done.output
    merged = Erasure.load(out / "fox_cat-merged.safetensors")
    assert isinstance(merged.record, MergedRecord)
    assert merged.record.merged.strengths == (0.5, 1.0)
    done = runner.invoke(app, ["info", str(out / "fox_cat-merged.safetensors")])
    assert done.exit_code == 0 and "fox" in done.output and "0.5" in done.output
    done = runner.invoke(app, ["capacity", *map(str, files)])
    assert done.exit_code == 0 and "directions" in done.output
    for wrong in (["merge", "no.safetensors"], ["merge", f"{files[0]}:x"], ["capacity"]):
        assert runner.invoke(app, wrong).exit_code == 2


def test_concepts_that_are_signs_merge():
    pipe = tiny_stable_diffusion()
    phrases = ("fox", "fox!", "🦊", "🐻")
    parts = [erase(pipe, Concept(phrase, "dog"), captions=CAPTIONS) for phrase in phrases]
    assert merge(parts, pipe, captions=CAPTIONS).record.title == "Erases: fox, fox!, 🦊, 🐻"
