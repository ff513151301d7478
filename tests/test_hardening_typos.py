"""What people type when they do not take care, and how a hardened erasure hears it."""

from __future__ import annotations

from string import ascii_lowercase

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_erasure.attacks.methods.typo import misspell
from trace_erasure.concepts.alignment import concept_columns
from trace_erasure.concepts.captions import world_captions
from trace_erasure.concepts.concept import KINDS, Concept, ResolvedConcept
from trace_erasure.concepts.templates import HELD_OUT, TEMPLATES, TOGETHER
from trace_erasure.concepts.typos import TYPO_KINDS as SLIPS
from trace_erasure.concepts.typos import typos_by_position, with_typo
from trace_erasure.evaluation import Item, detector_for, shipped_classifiers
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.generate import generate
from trace_erasure.pipeline.loading import load_pipeline
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion
from trace_erasure.trace.erase import erase
from trace_erasure.trace.hardening_typos import caption_words, typo_columns
from trace_erasure.utils.words import mentions

WORDS = st.text("abcdefghijklmnop ", min_size=2, max_size=12).map(str.strip).filter(len)


@given(WORDS, st.integers(0, 2**40))
@settings(deadline=None)
def test_every_slip_that_an_attacker_makes_is_listed(word, seed):
    listed = {text for part in typos_by_position(word) for text in part}
    wrong = misspell(word, torch.Generator().manual_seed(seed))
    # Only a typo on a space itself is not.
    spaces = [place for place, letter in enumerate(word) if letter == " "]
    on_space = {with_typo(word, k, i, x) for i in spaces for k in SLIPS for x in ascii_lowercase}
    assert wrong in {word, *listed, *on_space}
    assert word not in listed


@given(WORDS)
def test_slips_are_told_apart_by_the_letter_and_made_once(word):
    parts = typos_by_position(word)
    assert len(parts) <= len(word.replace(" ", ""))
    every = [text for part in parts for text in part]
    assert len(set(every)) == len(every)
    assert all(abs(len(text) - len(word)) <= 1 for text in every)


def test_slips():
    made = {kind: with_typo("house", kind, 1, "x") for kind in SLIPS}
    assert made == {"swap": "huose", "drop": "huse", "double": "hoouse", "replace": "hxuse"}
    assert with_typo("ab", "drop", 0, "x") == "xb" and with_typo("ab", "swap", 1, "x") == "ax"
    assert [len(part) for part in typos_by_position("fox")] == [28, 28, 27]


def test_words_that_mean_something_else_stay():
    denoiser = Denoiser(tiny_stable_diffusion(positions=40))
    concept = ResolvedConcept("fox", "dog", templates=("a {x}",))
    words = caption_words(["a box, and a Cox!"])
    assert {"box", "cox"} <= words

    def said(words: set[str]) -> int:
        return sum(
            int(part.prompt.max()) + 1 for part in typo_columns(denoiser, concept, words, "tokens")
        )

    everything = said(set())
    assert said(words) == everything - 2
    only = ResolvedConcept("fox", "dog", only_with="cat")
    assert typo_columns(denoiser, only, set(), "tokens") == ()


@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
def test_there_is_a_group_for_each_letter_and_one_for_repetition(make):
    denoiser = Denoiser(make(positions=64))
    for stream in denoiser.family.streams:
        groups = typo_columns(denoiser, ResolvedConcept("fox", "dog"), set(), stream.name)
        assert len(groups) == 4
        assert all(bool(columns.moved.all()) for columns in groups)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sentence_asks_for_what_goes(kind):
    """Where it did, the concept had to stay and to go at once, and other words met it."""
    nouns = {"house", "tree", "cat", "flower", "car", "bird", "apple"}
    for phrase in nouns:
        concept = Concept(phrase, "ship", kind)
        instead = Concept("ship", phrase, kind)
        for one in (concept, instead):
            assert one.sentences and one.fit(HELD_OUT[kind])
            for template in (*one.sentences, *one.fit(HELD_OUT[kind])):
                assert not mentions(template, [phrase])
    plain = Concept("wolf", "ship", kind)
    assert plain.sentences == TEMPLATES[kind]
    assert Concept("wolf", "ship", kind, only_with="wave").sentences == TOGETHER[kind]
    assert plain.fit(["a wolf and a {x}"]) == ("a wolf and a {x}",)
    own = ("a house and a {x}",)
    assert Concept("house", "ship", kind, templates=own).sentences == own


def test_words_meet_their_own_in_every_sentence():
    denoiser = Denoiser(load_pipeline("emoji-sd"))
    for phrase, surrogate in (("house", "snail"), ("snail", "house"), ("tree", "crab")):
        concept = Concept(phrase, surrogate)
        columns = concept_columns(denoiser, concept.wordings(), surrogate)
        before = torch.tensor([role == "before" for role in columns.roles])
        assert not (columns.moved & before).any()


@pytest.mark.slow
def test_a_hardened_erasure_covers_typos():
    """The original draws foxes for many typos; at most one in five of these may be left."""
    pipe = load_pipeline("emoji-sd")
    pipe.set_progress_bar_config(disable=True)
    words = caption_words(world_captions())
    prompts = [
        f"a {text}" for part in typos_by_position("fox") for text in part if text not in words
    ][::2]
    judge = shipped_classifiers()[0]
    detect = detector_for(judge, Item("a fox", 0, "target", "fox", ("subject/fox",)))

    def foxes() -> int:
        return sum(detect(generate(pipe, prompts, range(len(prompts)), steps=12, autocast=True)))

    drawn = foxes()
    assert drawn >= 10
    with erase(pipe, Concept("fox"), hardening="closed_form").attach(pipe):
        assert foxes() <= drawn / 5
