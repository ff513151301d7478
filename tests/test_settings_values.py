"""Every field of every settings class refuses what it cannot be, in one message that names it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from trace_erasure import (
    ClosedFormConfig,
    Concept,
    EraseConfig,
    FinetuneConfig,
    InputError,
    MergeConfig,
    erase,
)
from trace_erasure.pipeline.strength import check_strength
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

BASE: dict[type, dict[str, Any]] = {
    ClosedFormConfig: {},
    FinetuneConfig: {},
    MergeConfig: {},
    EraseConfig: {"concepts": (Concept("fox", surrogate="cat"),)},
    Concept: {"phrase": "fox", "surrogate": "cat"},
}
WRONG = (
    float("nan"), float("inf"), -float("inf"), -1, -0.5, 10**400, 2**70, "1", "", "x" * 5000, b"1",
    [], [1], {}, {1}, object(), True, 1.5, 1j, [[]], ("",), (None,), None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, field.name) for kind in BASE for field in fields(kind)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_value_is_one_message_that_names_the_field(kind, name):
    refused = 0
    for value in WRONG:
        options: dict[str, Any] = {**BASE[kind], name: value}
        try:
            kind(**options)
        except InputError as error:
            refused += 1
            assert len(str(error)) < 1000, value
        if isinstance(value, float) and value != value:
            with pytest.raises(InputError):
                kind(**options)
    assert refused >= 10, get_type_hints(kind)[name]


@pytest.mark.parametrize("strength", ["1", None, True, float("nan"), -0.1, 2.1, [], 1j, 10**400])
def test_strengths(strength):
    with pytest.raises(InputError, match="strength"):
        check_strength(strength)


@pytest.mark.parametrize("concepts", [5, None, b"fox", {"fox": 1}, [5], [None], []])
def test_concepts(concepts):
    with pytest.raises(InputError, match="concept"):
        erase(tiny_stable_diffusion(), concepts, captions=CAPTIONS)


@pytest.mark.parametrize("captions", ["a fox and a tree", 5, [5], [None], {"a": 1}, b"a fox"])
def test_captions(captions):
    concept = Concept("fox", surrogate="dog")
    with pytest.raises(InputError, match=r"captions is .*a list of texts"):
        erase(tiny_stable_diffusion(), concept, captions=captions)
