"""The benchmark of the world's words against the lexicon's: what is drawn, what is not told."""

from pathlib import Path

import pytest

from benchmarks.erasure import words
from benchmarks.erasure.lexicon_alone import untold
from trace_erasure.concepts.captions import world_captions
from trace_erasure.evaluation import load_task
from trace_erasure.utils.words import mentions
from trace_erasure.world import load_world


def test_the_drawn_objects_are_those_of_the_seed_and_outside_all_others():
    file = Path(words.__file__).with_name("drawn-objects.yaml")
    assert list(load_task(str(file)).concepts) == words.drawn()
    assert len(words.drawn()) == words.DRAWN
    assert not {*words.drawn()} & {*load_task("objects").concepts, *words.SEEN_BEFORE}


@pytest.mark.parametrize("name", words.TASKS)
def test_every_concept_has_a_few_pictures_of_each_kind(name):
    task = words.task_named(name, 2)
    for concept in task.concepts:
        groups = [item.group for item in task.of(concept)]
        assert groups.count("target") == 2
        assert groups.count("retain") == words.RETAINED


def test_no_caption_tells_a_wording_of_the_tests():
    left = untold(world_captions())
    synonyms = [word for thing in load_world().targets for word in thing.synonyms]
    assert len(left) > 1000
    assert not any(mentions(text, synonyms) for text in left)
