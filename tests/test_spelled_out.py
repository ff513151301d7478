"""A name spelled out goes with the concept, and draws it no more often than before."""

from __future__ import annotations

import pytest

from trace_erasure import erase, generate, load_pipeline
from trace_erasure.concepts.concept import Concept, ResolvedConcept
from trace_erasure.concepts.spelled_out import spelled_out, spelled_wordings
from trace_erasure.evaluation.judges.base import shipped_classifiers
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import tiny_stable_diffusion

SEEDS = range(6)
ODD = ("two foxes on a blue background", "a f o x", "f-o-x", "three foxes")


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("fox", ("f o x", "f-o-x")),
        ("red fox", ("r e d f o x", "r-e-d-f-o-x")),
        ("狐狸", ("狐 狸", "狐-狸")),
        ("C", ()),
    ],
)
def test_letters_stand_apart(phrase, expected):
    assert spelled_out(phrase) == expected


def test_spellings_that_do_not_fit_are_left_out():
    denoiser = Denoiser(tiny_stable_diffusion(positions=12))
    short = ResolvedConcept("fox", surrogate="cat")
    assert spelled_wordings(denoiser, short)
    assert not spelled_wordings(denoiser, ResolvedConcept("hummingbird nest", surrogate="cat"))
    assert not spelled_wordings(denoiser, ResolvedConcept("fox", surrogate="cat", only_with="cup"))


@pytest.mark.slow
def test_odd_forms_of_a_name_draw_it_no_more_than_before():
    pipe = load_pipeline("emoji-sd")
    before = [foxes(pipe, prompt) for prompt in ODD]
    erasure = erase(pipe, Concept("fox"))
    erasure.attach(pipe)
    after = [foxes(pipe, prompt) for prompt in ODD]
    for prompt, old, new in zip(ODD, before, after, strict=True):
        assert all(n <= o for n, o in zip(new, old, strict=True)), (prompt, old, new)


def foxes(pipe, prompt: str) -> list[int]:
    """How many of six pictures show a fox, by each judge."""
    images = generate(pipe, prompt, seeds=list(SEEDS), steps=12)
    found = []
    for judge in shipped_classifiers():
        subjects = [i for i, label in enumerate(judge.labels) if label.startswith("subject/")]
        best = judge.classify(images)[:, subjects].argmax(dim=1)
        found.append(sum(judge.labels[subjects[i]] == "subject/fox" for i in best.tolist()))
    return found
