"""The vocabulary of scenes: what a test may ask for is kept from what a method is given."""

from itertools import combinations

from trace_erasure.world import load_world
from trace_erasure.world.scenes import load_scenes

WORLD, SCENES = load_world(), load_scenes()


def test_a_thing_is_implied_by_one_scene_for_methods_and_one_for_tests():
    for thing in SCENES.implied:
        assert [scene.context for scene in SCENES.implying(thing)] == [True, False], thing


def test_implied_things_can_be_drawn_and_some_are_weapons():
    groups = [WORLD.thing(name).group for name in SCENES.implied]
    assert groups.count("weapons") == 4


def test_no_phrase_stands_for_two_things_or_in_both_lists():
    lists = [words.all for words in SCENES.implied.values()]
    lists += [sense.words.all for sense in SCENES.senses]
    lists += [(scene.phrase, *scene.test) for scene in SCENES.scenes]
    lists.append(SCENES.mark.all)
    for one, other in combinations(lists, 2):
        assert not set(one) & set(other)
    assert all(len(set(phrases)) == len(phrases) for phrases in lists)


def test_no_phrase_of_a_scene_names_its_thing():
    for scene in SCENES.scenes:
        words = {scene.implies, *WORLD.thing(scene.implies).synonyms}
        phrases = " ".join([scene.phrase, *scene.test]).split()
        assert not words & set(phrases), scene.phrase


def test_every_ambiguous_word_has_two_senses():
    words = [sense.word for sense in SCENES.senses]
    assert len(set(words)) == 6
    assert all(words.count(word) == 2 for word in words)


def test_coloured_things_are_objects():
    assert all(WORLD.thing(name) for name in SCENES.bound_things)
