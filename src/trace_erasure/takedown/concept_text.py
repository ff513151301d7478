"""Concepts as a ledger stores and compares them."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import Any

from trace_erasure.concepts.concept import Concept
from trace_erasure.utils.words import fold


def concept_text(concept: Concept) -> str:
    """A concept as JSON, without what is left at its default.

    >>> concept_text(Concept("fox", synonyms=("vixen",)))
    '{"kind": "object", "phrase": "fox", "synonyms": ["vixen"]}'
    """
    return json.dumps(concept_data(concept), sort_keys=True, ensure_ascii=False)


def concept_data(concept: Concept) -> dict[str, Any]:
    """A concept as a mapping, without what is left at its default."""
    values = {one.name: getattr(concept, one.name) for one in fields(concept)}
    return {
        one.name: list(value) if isinstance(value := values[one.name], tuple) else value
        for one in fields(concept)
        if one.default is MISSING or values[one.name] != one.default
    }


def concept_of(text: str) -> Concept:
    """The concept in what ``concept_text`` gives."""
    return Concept(**json.loads(text))


def concept_key(concept: Concept) -> str:
    """Equal for concepts that are one and the same, whatever their details."""
    return " + ".join(concept.key)


def concept_phrases(concept: Concept) -> list[tuple[str, bool]]:
    """What the concept is called everywhere, folded, and whether that is its name."""
    if concept.only_with is not None:
        return []
    own = fold(concept.phrase)
    return [(own, True), *((fold(s), False) for s in concept.synonyms if fold(s) != own)]
