"""Slips of the finger: what people type when they mean a word."""

from __future__ import annotations

from string import ascii_lowercase

TYPO_KINDS = ("swap", "drop", "double", "replace")


def with_typo(word: str, kind: str, place: int, letter: str) -> str:
    """``word`` with one typo at ``place``: two letters swapped, one dropped, doubled or replaced.

    Where there is nothing to swap with, or nothing would be left, it is replaced by ``letter``.
    """
    before, here, after = word[:place], word[place], word[place + 1 :]
    if kind == "swap" and after:
        return before + after[0] + here + after[1:]
    if kind == "drop" and len(word) > 2:
        return before + after
    if kind == "double":
        return before + here + here + after
    return before + letter + after


def typos_by_position(word: str) -> list[list[str]]:
    """Every misspelling of ``word`` by one typo, once, grouped by the letter where it happens."""
    found, seen = [], {word}
    for place in range(len(word)):
        if word[place] == " ":
            continue
        made = [with_typo(word, kind, place, "") for kind in TYPO_KINDS[:3]]
        made += [with_typo(word, "replace", place, letter) for letter in ascii_lowercase]
        new = [text for text in dict.fromkeys(made) if text not in seen and text.strip()]
        seen.update(new)
        found.append(new)
    return [part for part in found if part]
