"""Erasing *red car* leaves red apples, erasing *green apple* green frogs: with pictures."""

from __future__ import annotations

import pytest

from trace_erasure import Concept, erase, generate, load_pipeline
from trace_erasure.concepts.alignment import locate
from trace_erasure.evaluation import Item, detector_for, shipped_classifiers

SEEDS = range(100, 104)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("phrase", "surrogate", "prompt", "thing"),
    [
        ("red car", "car", "a red apple", "apple"),
        ("green apple", "apple", "a green frog", "frog"),
    ],
)
def test_ordinary_words_of_a_name_stay_with_other_nouns(phrase, surrogate, prompt, thing):
    pipe = load_pipeline("emoji-sd")
    pipe.set_progress_bar_config(disable=True)
    label = Item(f"a {thing}", 0, "target", thing, (f"subject/{thing}",))
    detect = detector_for(shipped_classifiers()[0], label)
    with erase(pipe, Concept(phrase, surrogate=surrogate)).attach(pipe):
        pictures = generate(pipe, [prompt] * len(SEEDS), SEEDS, steps=8, autocast=True)
    assert sum(detect(pictures)) >= 3


def test_ordinary_words_stand_before_the_concept():
    tokenizer = load_pipeline("emoji-sd").tokenizer
    whole, apart = (locate(tokenizer, "a red car", "red car", 24, held).concept for held in (0, 1))
    assert whole == [2, 3] and apart == [3]
