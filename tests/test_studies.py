"""Behaviour that takes minutes to show: run it with ``make test-slow`` before closing an issue."""

from __future__ import annotations

import pytest

from trace_erasure import erase, load_pipeline
from trace_erasure.concepts.concept import fill_template
from trace_erasure.evaluation import Judge, shipped_classifiers
from trace_erasure.pipeline.generate import generate
from trace_erasure.world import load_world

pytestmark = pytest.mark.study

WORLD = load_world()
OBJECTS = [thing.name for thing in WORLD.objects if thing.synonyms]
"""The ten objects of the objects task."""
PICTURES = 24


@pytest.fixture(scope="module", params=["emoji-sd", "emoji-flux"])
def pipe(request):
    pipe = load_pipeline(request.param)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def judges():
    return shipped_classifiers()


def recognised(judge: Judge, images: list, names: list[str]) -> float:
    """Fraction of ``images`` whose best subject is the one of ``names``."""
    subjects = [i for i, label in enumerate(judge.labels) if label.startswith("subject/")]
    best = judge.classify(images)[:, subjects].argmax(1).tolist()
    found = [judge.labels[subjects[i]].removeprefix("subject/") for i in best]
    return sum(a == b for a, b in zip(found, names, strict=True)) / len(names)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_named_object_goes_and_the_others_stay(pipe, judges, name):
    """At default settings, by both judges, at equal seeds."""
    others = [thing.name for thing in WORLD.objects if thing.name != name]
    kept = [others[i * len(others) // PICTURES] for i in range(PICTURES)]
    templates = ("a {x}", "a picture of a {x}", "a {x} on a blue background", "a {x}, ink style")
    prompts = [fill_template(templates[i % 4], name) for i in range(PICTURES)]
    prompts += [fill_template("a {x}", other) for other in kept]
    seeds = [*range(PICTURES), *range(PICTURES)]
    base = generate(pipe, prompts, seeds, steps=12)
    with erase(pipe, name).attach(pipe):
        erased = generate(pipe, prompts, seeds, steps=12)
    for judge in judges:
        assert recognised(judge, base[:PICTURES], [name] * PICTURES) >= 0.7
        assert recognised(judge, erased[:PICTURES], [name] * PICTURES) <= 0.05
        before = recognised(judge, base[PICTURES:], kept)
        assert recognised(judge, erased[PICTURES:], kept) >= 0.95 * before
