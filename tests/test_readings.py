"""What a phrase may have been meant to say."""

from __future__ import annotations

import pytest

from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.readings import advice, readings

NAMES = {
    "object": ["fox", "cat", "cherry", "box", "rocket", "swords"],
    "style": ["pixel art", "ink"],
    "identity": ["Mira Solberg"],
}


def found(phrase, kind="object"):
    return [(r.phrase, r.kind, r.way) for r in readings(Concept(phrase, kind=kind), NAMES)]


@pytest.mark.parametrize(
    "phrase, kind, expected",
    [
        ("fox", "object", []),
        ("Fox", "object", []),
        ("fox", "explicit", []),
        ("swords", "object", []),
        ("pixel art", "style", []),
        ("pixel art", "object", [("pixel art", "style", "kind")]),
        ("mira solberg", "object", [("Mira Solberg", "identity", "kind")]),
        ("fox", "style", [("fox", "object", "kind")]),
        ("foxes", "object", [("fox", "object", "plural")]),
        ("the foxes", "object", [("fox", "object", "plural")]),
        ("cherries", "object", [("cherry", "object", "plural")]),
        ("rockets", "object", [("rocket", "object", "plural")]),
        ("fox and cat", "object", [("fox", "object", "parts"), ("cat", "object", "parts")]),
        ("a fox, a cat", "object", [("fox", "object", "parts"), ("cat", "object", "parts")]),
        ("fox and zzzqq", "object", []),
        ("fox and submarine", "object", [(x, "object", "parts") for x in ("fox", "submarine")]),
        ("rokcet", "object", [("rocket", "object", "spelling")]),
        ("rocet", "object", [("rocket", "object", "spelling")]),
        ("foxx", "object", [("fox", "object", "spelling")]),
        ("Mira Solbreg", "identity", [("Mira Solberg", "identity", "spelling")]),
        ("submarine", "object", []),
        ("lamp", "object", []),  # a word of its own, however near to lamb
        ("submarrine", "object", [("submarine", "object", "spelling")]),
        ("zzzqq", "object", []),
    ],
)
def test_readings(phrase, kind, expected):
    assert found(phrase, kind) == expected


@pytest.mark.parametrize(
    "phrase, kind, expected",
    [
        ("foxx", "object", "Did you mean 'fox'?"),
        ("foxes", "object", "Name the singular: 'fox'."),
        ("pixel art", "object", "'pixel art' is known as kind 'style' here: --kind style."),
        (
            "fox and cat",
            "object",
            "Several concepts? Name each by itself: --concept 'fox' --concept 'cat'.",
        ),
        (
            "submarine",
            "object",
            "The captions never name 'submarine': look whether the model draws it at all.",
        ),
    ],
)
def test_advice(phrase, kind, expected):
    surrogate = {"object": "rocket", "style": "ink"}[kind]
    assert advice(Concept(phrase, kind=kind), surrogate, NAMES) == [expected]


def test_a_surrogate_that_nobody_names_is_advised_against():
    said = advice(Concept("fox"), "zzzqq", NAMES)
    assert said == [
        "The captions never name the surrogate 'zzzqq': leave it out, and one is proposed."
    ]
    assert advice(Concept("fox"), "cat", NAMES) == []
