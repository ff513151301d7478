"""Phrases: normalised once, found as whole words in every script, refused where they are wrong."""

from __future__ import annotations

import doctest

import pytest

from trace_erasure import (
    ClosedFormConfig,
    Concept,
    EraseConfig,
    FinetuneConfig,
    InputError,
    MergeConfig,
    load_pipeline,
)
from trace_erasure.concepts import concept as concept_module
from trace_erasure.concepts import context_templates
from trace_erasure.concepts.alignment import locate
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.resolve import resolve_concepts
from trace_erasure.concepts.stream_columns import stream_columns
from trace_erasure.config_file import slug
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.utils import numbers, words
from trace_erasure.utils.words import find_phrase, mentions, replace_phrase


@pytest.mark.parametrize("module", [words, numbers, concept_module, context_templates])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a picture of 🦊 on blue", "🦊"),
        ("一只狐狸在森林里", "狐狸"),
        ("キツネが走る", "キツネ"),
        ("여우가 숲에 있다", "여우"),
        ("лиса бежит", "Лиса"),
        ("a fox! runs", "fox!"),
        ("written in C++", "c++"),
        ("a fox's den", "fox"),
        ("fox-like", "fox"),
        ("a RED\u3000  car", "red car"),
        ("die Straße", "STRASSE"),
        ("un cafe\u0301 noir", "CAFÉ"),
        ("a ❤️ and a tree", "❤"),
    ],
)
def test_whole_words_are_found_in_every_script(text, phrase):
    ((start, end),) = find_phrase(text, phrase)
    assert words.fold(text[start:end]) == words.fold(phrase)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a cartoon", "car"),
        ("a scar", "car"),
        ("две лисы", "лис"),
        ("an image", "mage"),
        ("лисапед", "лиса"),
        ("スカート", "カー"),
        ("여우비", "여우"),
        ("🐻‍❄️ on ice", "🐻"),
        ("cafe\u0301", "cafe"),
        ("anything", ""),
        ("anything", " \u200b"),
    ],
)
def test_parts_of_words_are_not(text, phrase):
    assert not mentions(text, [phrase])


def test_replacing_a_word_mends_its_article_and_leaves_longer_words():
    assert replace_phrase("An owl and an owlet", "owl", "cat") == "A cat and an owlet"
    assert replace_phrase("一只狐狸在森林里", "狐狸", "猫") == "一只猫在森林里"
    assert fill_template("a {x} and a {x}", "owl") == "an owl and an owl"


def test_positions_are_those_of_whole_words():
    tokenizer = load_pipeline("emoji-sd").tokenizer
    assert locate(tokenizer, "a car, cartoon style", "car", 24).concept == [2]
    assert locate(tokenizer, "an image of a mage", "mage", 24).concept == [5, 6]
    with pytest.raises(InputError, match="'car' does not occur"):
        locate(tokenizer, "a cartoon", "car", 24)


@pytest.mark.parametrize(
    "fields",
    [
        {"surrogate": ""}, {"surrogate": " "}, {"surrogate": "\u3000"}, {"surrogate": 3},
        {"synonyms": ("",)}, {"synonyms": "vixen"}, {"synonyms": (None,)}, {"synonyms": None},
        {"descriptions": "a red animal"}, {"descriptions": (" ",)},
        {"retain": "dog"}, {"retain": ("",)}, {"retain": ("FOX ",)}, {"retain": {"dog": 1}},
        {"templates": "a {x}"}, {"templates": ("a fox",)}, {"templates": ("two {x}s",)},
        {"only_with": ""}, {"only_with": "Fox "}, {"kind": "animal"},
        {"surrogate": "Fox "}, {"surrogate": "a red fox"},
        {"synonyms": ("vixen",), "surrogate": "vixen"},
    ],
)  # fmt: skip
def test_fields_that_are_wrong_are_refused(fields):
    with pytest.raises(InputError):
        Concept("fox", **fields)


@pytest.mark.parametrize("phrase", ["", " ", "\u3000", "\u200b", None, 3, ["fox"]])
def test_phrases_that_are_wrong_are_refused(phrase):
    with pytest.raises(InputError):
        Concept(phrase)


def test_phrases_are_normalised_once():
    concept = Concept(" red\u3000 car\n", surrogate="  blue  boat ", synonyms=(" auto", "Auto"))
    assert concept.phrases == ("red car", "auto") and concept.surrogate == "blue boat"
    assert concept.key == Concept("Red Car").key


@pytest.mark.parametrize(
    "concepts",
    [
        (Concept("fox"), Concept("Fox")),
        (Concept("fox"), Concept(" fox ")),
        (Concept("cat", "dog"), Concept("cat", "tree")),
        (Concept("fox", synonyms=("vixen",)), Concept("Vixen")),
        (),
        ("fox",),
    ],
)
def test_concepts_that_contradict_each_other_are_refused(concepts):
    with pytest.raises(InputError):
        EraseConfig(concepts)


def test_a_concept_alone_and_in_combination_are_two():
    both = (Concept("knife", "cup", only_with="clown"), Concept("knife", "cup", only_with="fox"))
    assert len(EraseConfig(both).concepts) == 2


def test_a_resolved_concept_has_a_surrogate():
    with pytest.raises(InputError, match="'fox' has no surrogate"):
        ResolvedConcept.of(Concept("fox"))
    resolved = ResolvedConcept.of(Concept("fox", synonyms=("vixen",)), "dog")
    assert resolved.surrogate == "dog" and resolved.unresolved() == Concept(
        "fox", synonyms=("vixen",)
    )


@pytest.mark.parametrize("seed", [10**14, 2**63, -3, 1.5, "0", None, True, float("nan")])
def test_seeds_that_no_generator_takes_are_refused(seed):
    with pytest.raises(InputError, match=r"seed is .*; allowed: 0 to \d+ \(integers\)"):
        EraseConfig((Concept("fox"),), seed=seed)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (FinetuneConfig, {"late": -5}), (FinetuneConfig, {"eta": float("nan")}),
        (FinetuneConfig, {"steps": True}), (FinetuneConfig, {"guidance_scale": -5}),
        (FinetuneConfig, {"noise_level": "x"}), (FinetuneConfig, {"rank": 2.5}),
        (ClosedFormConfig, {"ridge": "1"}), (ClosedFormConfig, {"directions": 0}),
        (ClosedFormConfig, {"ridge": float("inf")}), (ClosedFormConfig, {"pooled": "yes"}),
        (MergeConfig, {"keep": -1}), (MergeConfig, {"rank": False}),
    ],
)  # fmt: skip
def test_numbers_out_of_range_or_of_another_type_are_refused(settings, values):
    (name,) = values
    with pytest.raises(InputError, match=f"{name} is .*; allowed: "):
        settings(**values)


def test_slugs_of_different_names_differ():
    same = {slug(name) for name in ("fox", " fox ", "fox\u3000", "Fox")}
    assert same == {"fox"}
    names = ['fox"', "fox!", "🦊", "🐻", "..", "!!!", "a b", "a-b", "a_b", "x" * 80, "x" * 81]
    names += ["con", "nul", "COM1", "狐狸"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert not {"con", "nul", "com1"} & set(slugs) and slug("狐狸") == "狐狸"
    assert all(len(made) < 80 and not made.startswith(".") for made in slugs)


@pytest.mark.parametrize("word", ["狐狸", "лиса", "🐱"])
def test_words_that_an_encoder_does_not_know_are_refused_and_named(word):
    denoiser = Denoiser(load_pipeline("emoji-flux"))
    for concept in (Concept(word, "tree"), Concept("fox", word), Concept("fox", synonyms=(word,))):
        with pytest.raises(InputError, match="does not know: '"):
            resolve_concepts(denoiser, [concept], ("a cat",))


def test_sentences_that_do_not_fit_are_left_out():
    pipe = load_pipeline("emoji-sd")
    pipe.tokenizer.model_max_length = 9
    denoiser = Denoiser(pipe)
    long = "a cat and an owl next to a tree on a red background"
    fox = Concept("fox", surrogate="horse", retain=("dog",))
    found = resolve_concepts(denoiser, [fox], ("a cat", "an owl", long), in_context=True)
    assert found.captions == ("a cat", "an owl")
    assert found.concepts[0].sentences and all(
        denoiser.fits(fill_template(t, "fox")) for t in found.concepts[0].sentences
    )
    assert "an image of a {x} on a blue background" not in found.concepts[0].sentences


def test_a_surrogate_that_reads_as_the_concept_does_is_refused():
    denoiser = Denoiser(load_pipeline("emoji-sd"))
    tokenizer = denoiser.pipe.tokenizer
    assert tokenizer("a fox-tree").input_ids == tokenizer("a fox - tree").input_ids
    same = ResolvedConcept("fox-tree", surrogate="fox - tree")
    with pytest.raises(InputError, match="have the same embeddings"):
        stream_columns(denoiser, same)


@pytest.mark.parametrize("vectors", [1, 3])
def test_textual_inversions_are_located_as_the_pipeline_reads_them(vectors):
    pipe = load_pipeline("emoji-sd")
    base = fingerprint(pipe)
    table = pipe.text_encoder.get_input_embeddings().weight.detach()
    pipe.load_textual_inversion(table[300 : 300 + vectors].clone(), token="<t>")
    span = locate(pipe.tokenizer, "a <t> and a tree", "<t>", 24)
    read = pipe.tokenizer(pipe.maybe_convert_prompt("a <t> and a tree", pipe.tokenizer)).input_ids
    assert span.concept == list(range(2, 2 + vectors)) and span.eos == len(read) - 1
    assert fingerprint(pipe) == base
