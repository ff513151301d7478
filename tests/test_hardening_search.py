"""Prompts that a search finds for a concept, and how a hardened edit redirects them."""

from __future__ import annotations

import logging

import pytest
import torch

from trace_erasure.concepts.alignment import shifted_columns
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.prompt_search import POPULATION, search_generations, target_embedding
from trace_erasure.config import ClosedFormConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.loading import load_pipeline
from trace_erasure.pipeline.text_encoders import words
from trace_erasure.testing import tiny_flux, tiny_sdxl, tiny_stable_diffusion
from trace_erasure.trace import hardening_search as module
from trace_erasure.trace.closed_form import closed_form_edit
from trace_erasure.trace.hardening_search import search_prompts, searched_columns
from trace_erasure.utils.words import mentions

FOX = ResolvedConcept("fox", "dog", synonyms=("vixen",), templates=("a {x}", "a picture of a {x}"))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "GENERATIONS", 5)
    monkeypatch.setattr(module, "SEARCHES", 1)


def test_a_search_never_gets_worse_and_finds_what_is_near():
    denoiser = Denoiser(load_pipeline("emoji-sd"))
    known = words(denoiser, ["fox"])
    goal = target_embedding(denoiser.encode, "fox", "object", "a fox")
    run = search_generations(known, goal, denoiser.encode, torch.Generator().manual_seed(0))
    best = []
    for _ in range(12):
        genes, scores = next(run)
        assert genes.shape[0] == len(scores) == POPULATION
        best.append(float(scores.min()))
    assert best == sorted(best, reverse=True) and best[-1] < best[0]


@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_sdxl, tiny_flux])
def test_searched_prompts_name_nothing_and_move_as_the_concept_does(make, quick):
    denoiser = Denoiser(make(positions=64))
    found = search_prompts(denoiser, FOX)
    assert [*found] == list(FOX.templates)
    texts = [text for part in found.values() for text in part]
    assert texts and not any(mentions(text, FOX.phrases) for text in texts)
    assert search_prompts(denoiser, FOX) == found
    for stream in denoiser.family.streams:
        (columns,) = searched_columns(denoiser, FOX, found, stream.name)
        assert bool(columns.moved.all())
        own = shifted_columns(denoiser, texts[:1], "a fox", "a dog", stream.name)
        others = denoiser.embeddings(texts[:1], stream.name)
        pair = [denoiser.embeddings([text], stream.name) for text in ("a fox", "a dog")]
        expected = [e + b - a for e, a, b in zip(others, *pair, strict=True)]
        torch.testing.assert_close(
            own.surrogate, torch.cat([part.flatten(0, 1) for part in expected]).mT
        )
        assert len(own.roles) == len(own.weights) == own.concept.shape[1] == len(own.prompt)


def test_without_common_words_there_is_nothing_and_it_is_said(quick, monkeypatch, caplog):
    def none(denoiser, forbidden):
        raise InputError("no word is a single token.")

    monkeypatch.setattr(module, "words", none)
    caplog.set_level(logging.INFO, "trace_erasure")
    denoiser = Denoiser(tiny_stable_diffusion(positions=40))
    assert (
        search_prompts(denoiser, FOX) == {} and searched_columns(denoiser, FOX, {}, "tokens") == ()
    )
    assert "without a prompt search" in caplog.text
    assert search_prompts(denoiser, ResolvedConcept("fox", "dog", only_with="cat")) == {}


@pytest.mark.slow
def test_a_hardened_edit_moves_what_was_found(monkeypatch):
    """On the embedded model: strings of another search than the one that the edit has seen."""
    monkeypatch.setattr(module, "SEARCHES", 1)
    pipe = load_pipeline("emoji-sd")
    denoiser = Denoiser(pipe)
    concept = ResolvedConcept("apple", "duck")
    known = words(denoiser, concept.phrases)
    goal = target_embedding(denoiser.encode, "apple", "object", "an apple")
    run = search_generations(known, goal, denoiser.encode, torch.Generator().manual_seed(77))
    for _ in range(49):
        next(run)
    genes, scores = next(run)
    texts = [known.text(genes[i]) for i in scores.argsort()[:8]]
    columns = shifted_columns(denoiser, texts, "an apple", "a duck")
    columns = columns.select(columns.moved)

    def left(hardened: bool) -> float:
        settings = ClosedFormConfig(mode="equality")
        retain = [
            fill_template("a picture of a {x}", name) for name in ("lemon", "strawberry", "car")
        ]
        edit = closed_form_edit(denoiser, [concept], retain, settings, hardened=hardened).edits[
            "tokens"
        ]
        moved = edit.matrix() @ columns.concept
        away = (columns.surrogate - columns.concept).norm()
        return float((columns.surrogate - moved).norm() / away)

    assert left(True) < left(False)
