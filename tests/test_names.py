"""Names as people write them: each works, or is refused with what to do."""

from __future__ import annotations

import doctest
import logging

import pytest

from trace_erasure import Concept, EraseConfig, InputError, load_pipeline
from trace_erasure.concepts import kinds, relatives, shared_words
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.names import as_meant, vocabulary
from trace_erasure.concepts.resolve import resolve_concepts
from trace_erasure.concepts.shared_words import held_words, shared_prompts
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
from trace_erasure.trace.request import resolve


@pytest.mark.parametrize("module", [kinds, relatives, shared_words])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


@pytest.fixture(scope="module")
def denoiser():
    return Denoiser(load_pipeline("emoji-sd"))


def meant(denoiser: Denoiser, concept: Concept) -> Concept:
    return as_meant(denoiser, concept, vocabulary(denoiser, captions_for(denoiser)))


@pytest.mark.parametrize("phrase", ["fox", "a fox", "The fox", "foxes", "Foxes", "fox's", " Fox "])
def test_ways_to_write_a_name_are_one(denoiser, phrase):
    found = meant(denoiser, Concept(phrase))
    assert found.phrase.lower() == "fox" and found.kind == "object"


@pytest.mark.parametrize(
    ("concept", "fix"),
    [
        (Concept("foxx"), "did you mean 'fox'"),
        (Concept("submarine"), "cannot draw it"),
        (Concept("puppy"), "Did you mean 'pup'"),
        (Concept("fox and cat"), "--concept fox --concept cat"),
        (Concept("fox, cat"), r"erase\(pipe, \['fox', 'cat'\]\)"),
        (Concept("fox and pixel art"), "--concept fox --concept 'pixel art'"),
        (Concept("Mira Solberg", kind="object"), "a person here.*--kind identity"),
        (Concept("pixel art", kind="object"), "a style here.*--kind style"),
        (Concept("neon"), "a style here.*--kind style"),
        (Concept("fox", kind="style"), "an object here.*--kind object"),
    ],
)
def test_names_that_are_not_what_was_meant_are_refused_with_the_fix(denoiser, concept, fix):
    with pytest.raises(InputError, match=fix):
        meant(denoiser, concept)


@pytest.mark.parametrize(("phrase", "kind"), [("Mira Solberg", "identity"), ("pixel art", "style")])
def test_the_kind_is_seen_from_the_name(denoiser, phrase, kind):
    assert meant(denoiser, Concept(phrase)) == Concept(phrase, kind=kind)


def test_a_name_of_which_the_surrogate_is_given_is_taken_as_it_is(denoiser, caplog):
    odd = Concept("foxx", surrogate="duck")
    with caplog.at_level(logging.WARNING, "trace_erasure"):
        assert meant(denoiser, odd) == odd
    assert "did you mean 'fox'" in caplog.text


def test_a_plural_stays_where_the_model_knows_no_other_form(denoiser):
    assert meant(denoiser, Concept("swords", kind="explicit")).phrase == "swords"


def test_one_and_many_of_a_thing_are_one_concept(denoiser):
    with pytest.raises(InputError, match="'fox' is given twice"):
        resolve(denoiser, EraseConfig((Concept("fox"), Concept("foxes"))))


def test_a_name_loses_its_article_and_titles_keep_theirs():
    concept = Concept("a fox", surrogate="an owl", synonyms=("the vixen",), retain=("a dog",))
    assert (concept.phrase, concept.surrogate) == ("fox", "owl")
    assert concept.synonyms == ("vixen",) and concept.retain == ("dog",)
    assert Concept("The Scream", kind="style").phrase == "The Scream"
    assert Concept("A Bugs Life", kind="object").phrase == "A Bugs Life"
    with pytest.raises(InputError, match="both 'fox'"):
        Concept("a fox", surrogate="the fox")


def test_models_of_the_real_world_take_any_word_that_is_one():
    denoiser = Denoiser(tiny_stable_diffusion())
    known = vocabulary(denoiser, CAPTIONS)
    for phrase in ("submarine", "bow and arrow", "Eiffel Tower", "狐狸"):
        assert as_meant(denoiser, Concept(phrase), known).phrase == phrase
    with pytest.raises(InputError, match="did you mean 'submarine'"):
        as_meant(denoiser, Concept("submarinne"), known)
    with pytest.raises(InputError, match="is 2 concepts"):
        as_meant(denoiser, Concept("submarine and giraffe"), known)


def test_the_search_asks_no_network_by_default(denoiser, monkeypatch):
    calls = []
    predict = Denoiser.predict
    monkeypatch.setattr(
        Denoiser, "predict", lambda self, *a, **k: (calls.append(1), predict(self, *a, **k))[1]
    )
    found = resolve(denoiser, EraseConfig((Concept("fox"),))).concepts[0]
    assert calls == []
    assert set(found.synonyms) == {"vixen", "tod", "reynard"}
    with pytest.raises(InputError, match="search is 'web'; allowed: words, network"):
        EraseConfig((Concept("fox"),), search="web")


def test_words_of_the_lexicon_are_found_where_the_captions_have_none():
    denoiser = Denoiser(tiny_stable_diffusion())
    found = resolve_concepts(denoiser, [Concept("fox")], CAPTIONS)
    (fox,) = found.concepts
    kin = {*relatives.kin("fox")}
    assert kin >= {"vixen"} and {*fox.synonyms, *fox.descriptions} <= kin
    assert fox.surrogate in {*relatives.beside("fox")}
    assert any("wolf" in prompt or "dog" in prompt for prompt in found.retain)


@pytest.mark.parametrize(
    ("phrase", "surrogate", "held"),
    [
        ("red car", "car", ("red",)),
        ("green apple", "apple", ("green",)),
        ("red car", "blue boat", ("red",)),
        ("kitchen knife", "kitchen spoon", ("kitchen",)),
        ("seven red cars", "boat", ("seven", "red")),
        ("fox", "dog", ()),
        ("van gogh", "monet", ()),
        ("red", "blue", ()),
    ],
)
def test_ordinary_words_of_a_name_are_held(phrase, surrogate, held):
    assert held_words(phrase, surrogate) == held
    prompts = shared_prompts(ResolvedConcept(phrase, surrogate, kind="object"))
    assert bool(prompts) == bool(held)
    for word in held:
        assert any(f" {word} " in prompt for prompt in prompts)


def test_styles_and_people_have_no_ordinary_words():
    for kind in ("style", "identity"):
        assert shared_prompts(ResolvedConcept("red car", "car", kind=kind)) == []


def test_what_the_user_calls_a_scene_is_no_synonym():
    """A picnic implies an apple, and reads like one."""
    denoiser = Denoiser(load_pipeline("emoji-scenes"))
    captions = captions_for(denoiser)
    told = resolve_concepts(denoiser, [Concept("apple")], captions, unnamed=["a picnic"])
    (apple,) = told.concepts
    assert not [text for text in (*apple.synonyms, *apple.descriptions) if "picnic" in text]
    assert apple.synonyms == ("pippin",)


def test_a_sentence_that_names_the_concept_is_no_description_of_it():
    """Erased along, *chef with a knife* would take the chef."""
    denoiser = Denoiser(load_pipeline("emoji-scenes"))
    captions = captions_for(denoiser)
    assert any("with a knife" in text for text in captions)
    (knife,) = resolve_concepts(denoiser, [Concept("knife")], captions).concepts
    assert not [text for text in knife.descriptions if "knife" in text]
