"""Benchmarks of negative prompts and of the second moment: what they ask for and leave out."""

from benchmarks.erasure import negative, second_moment


def test_each_case_asks_for_what_it_says():
    named = negative.pictures_of("named", "fox", "duck", 3)
    assert {p.prompt for p in named} == {"a picture of a fox"}
    assert {p.negative for p in named} == {negative.ORDINARY}
    negated = negative.pictures_of("surrogate_negated", "fox", "duck", 3)
    assert {(p.prompt, p.negative) for p in negated} == {("a picture of a duck", "a fox")}
    others = negative.pictures_of("others_negated", "apple", "pear", 4)
    assert {p.negative for p in others} == {"an apple"}
    assert {p.thing for p in others} == {*negative.OTHERS}
    assert len({p.seed for p in others}) == 4


def test_captions_for_the_moment_and_for_the_figure_are_apart():
    captions = tuple(map(str, range(3000)))
    used, apart = second_moment.shuffled(captions)
    assert len(apart) == second_moment.APART and len(used) >= max(second_moment.COUNTS)
    assert {*used, *apart} == {*captions}


def test_concepts_of_the_curve_are_in_no_other_picture():
    for name in second_moment.CONCEPTS:
        items = second_moment.items_of(name, 12)
        assert all(name in item.prompt for item in items["named"])
        assert not any(name in item.prompt for item in items["kept"])
