"""Whole words in a text: in every script, and signs."""

from __future__ import annotations

import pytest

from trace_erasure.utils.words import mentions


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("a cartoon", "car", False),
        ("a scar", "car", False),
        ("a Car, red", "car", True),
        ("a fox! and a dog", "fox!", True),
        ("written in C++", "C++", True),
        ("a picture of 🦊 on blue", "🦊", True),
        ("一只狐狸在森林里", "狐狸", True),
        ("две лисы", "лис", False),
    ],
)
def test_mentions(text: str, phrase: str, found: bool):
    assert mentions(text, [phrase]) is found
