"""The word list: WordNet's nouns with what is near them, inflections, spelling."""

from __future__ import annotations

import doctest
import time
from importlib.resources import files

import pytest

from trace_erasure.concepts import inflections, lexicon, spelling
from trace_erasure.concepts.inflections import plurals, singular
from trace_erasure.concepts.lexicon import DATA, Lexicon, load_lexicon
from trace_erasure.concepts.spelling import suggestions


@pytest.mark.parametrize("module", [lexicon, inflections, spelling])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_it_is_small_loads_fast_and_comes_with_its_licence():
    folder = files(DATA)
    shipped = [folder.joinpath(name) for name in ("wordnet.txt.gz", "glosses.txt.xz")]
    assert sum(len(file.read_bytes()) for file in shipped) <= 2_000_000
    licence = folder.joinpath("WORDNET-LICENSE.txt").read_text("utf-8")
    assert "Princeton University" in licence and "modify and distribute" in licence
    started = time.process_time()
    load_lexicon.__wrapped__()
    assert time.process_time() - started < 0.4  # 0.08 s where nothing else runs


def test_what_is_near_a_word_in_meaning():
    words = load_lexicon()
    assert {"auto", "automobile", "motorcar"} <= set(words.synonyms("car"))
    assert {"vixen", "red fox"} <= set(words.hyponyms("fox"))
    assert "cottage" in words.hyponyms("house") and "house cat" in words.hyponyms("cat")
    assert words.hypernyms("Fox") == words.hypernyms(" fox ") == ("canine", "canid")
    assert {"dog", "wolf"} <= set(words.sisters("fox")) and "fox" not in words.sisters("fox")
    assert words.frequency("dog") > words.frequency("fox") > words.frequency("vixen") == 0
    assert "Paris" not in words.hyponyms("city")


def test_deeper_relatives_come_after_nearer_ones():
    words = load_lexicon()
    near, far = words.hyponyms("feline"), words.hyponyms("feline", 2)
    assert far[: len(near)] == near and "lion" in far and "lion" not in near
    assert "cat" not in words.sisters("fox", 1) and "cat" in words.sisters("fox", 3)


def test_unknown_words_have_no_relatives():
    words = load_lexicon()
    assert "foxx" not in words and words.senses("foxx") == () and words.sense("foxx") is None
    assert words.synonyms("foxx") == words.sisters("foxx") == words.hyponyms("foxx") == ()
    assert words.gloss("foxx") == "" and words.frequency("foxx") == 0


def test_words_are_of_a_kind():
    words = load_lexicon()
    assert words.is_person("Van Gogh") and words.is_person("abraham lincoln")
    assert not words.is_person("painter") and not words.is_person("fox")
    kinds = {word: words.modifier(word) for word in ("green", "tiny", "seven", "happy", "apple")}
    assert kinds == {
        "green": "colour", "tiny": "size", "seven": "number", "happy": "adjective", "apple": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "many"),
    [("fox", "foxes"), ("knife", "knives"), ("wolf", "wolves"), ("mouse", "mice"), ("bus", "buses"),
     ("child", "children"), ("tomato", "tomatoes"), ("red car", "red cars"), ("man", "men"),
     ("house", "houses"), ("pony", "ponies")],
)  # fmt: skip
def test_plurals_go_both_ways(one, many):
    assert many in plurals(one) and singular(many) == one and singular(one) is None


@pytest.mark.parametrize(
    "word", ["glasses", "scissors", "mess", "bus", "foxx", "狐狸", "pixel art"]
)
def test_what_is_no_plural_stays(word):
    assert singular(word) is None


def test_slips_of_the_finger_are_told():
    assert suggestions("foxx") == ("fox",) and suggestions("huose")[0] == "house"
    assert suggestions("vixenn", ["vixen"]) == ("vixen",)
    assert suggestions("zzzqq") == ()


def test_a_word_list_is_plain_text():
    text = "\f".join(
        ["nouns\nanimal\t05\t\nfox|tod\t05\t0\nVulpecula|Fox\t18i\t0", "senses\nfox\t2,1",
         "plurals", "counts\nfox\t3", "adjectives\nred", "others", "colour\nred", "size", "number"]
    )  # fmt: skip
    small = Lexicon(text)
    assert small.synonyms("fox") == ("tod",) and small.hypernyms("tod") == ("animal",)
    assert small.senses("fox") == (2, 1) and small.sense("fox") == 1
    assert small.hyponyms("animal") == ("fox", "tod") and small.modifier("red") == "colour"
