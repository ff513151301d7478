"""Packs: named, versioned lists of words for what people take down most.

A pack is a YAML file with the keys ``name``, ``version`` and ``words``, and where wanted

- ``description`` and ``source``, where the words come from;
- ``kind``, of every concept, by default ``object``;
- ``as``: ``many`` concepts, or ``one``, whose first word is the concept and the others synonyms;
- ``sensitive``: whether words are never logged, and stand as digests in titles;
- ``surrogate``, of every concept; by default one is proposed for each.

Each of ``words`` is a word or a list of a word and its synonyms.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from trace_erasure.concepts.concept import KINDS, Concept
from trace_erasure.errors import InputError
from trace_erasure.utils.safe_yaml import parse_yaml, read_yaml

SUFFIX = ".yaml"
FOLDER = files("trace_erasure.concepts") / "packs"
FORMS = ("one", "many")
REQUIRED = {"name": str, "version": int, "words": list}
OPTIONAL: dict[str, tuple[type, Any]] = {
    "description": (str, ""),
    "source": (str, ""),
    "kind": (str, "object"),
    "as": (str, "many"),
    "sensitive": (bool, False),
    "surrogate": (str, None),
}
"""Keys with their types and defaults."""
SAID = {str: "text in quotes", int: "a whole number", bool: "true or false", list: "a list"}


@dataclass(frozen=True)
class Pack:
    """A list of concepts.

    Attributes:
        name, version, description, source: what it is and where it comes from.
        concepts: one with synonyms, or many, which are erased one by one and merged.
        sensitive: whether its words are kept from logs and titles.
    """

    name: str
    version: int
    description: str
    source: str
    concepts: tuple[Concept, ...]
    sensitive: bool

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


def shipped_packs() -> list[str]:
    """Names of the packs that ship with the package, in alphabetical order.

    >>> shipped_packs()
    ['artists', 'brands', 'nudity', 'violence', 'weapons']
    """
    found = [item.name for item in FOLDER.iterdir()]
    return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))


def load_pack(name: str | os.PathLike[str]) -> Pack:
    """The pack that ships under ``name``, or the one in a YAML file.

    Raises:
        InputError: there is none, or the file is not one; the message names the key and what is
            allowed there.

    >>> load_pack("weapons").concepts[1].phrases
    ('pistol', 'handgun', 'revolver')
    """
    text = os.fspath(name)
    if Path(text).suffix in (SUFFIX, ".yml"):
        return _pack(read_yaml(text), text)
    if text not in shipped_packs():
        raise InputError(
            f"there is no pack {text!r}. Choose one of {', '.join(shipped_packs())}, or give a "
            "file, such as my-pack.yaml."
        )
    data = FOLDER.joinpath(text + SUFFIX).read_text("utf-8")
    return _pack(parse_yaml(data, text), text)


def _pack(raw: Any, source: str) -> Pack:
    try:
        values = _values(raw)
        if values["as"] not in FORMS:
            raise _wrong("as", values["as"], " or ".join(FORMS))
        if values["kind"] not in KINDS:
            raise _wrong("kind", values["kind"], ", ".join(KINDS))
        if not values["name"].strip():
            raise _wrong("name", values["name"], "a name")
        return Pack(
            name=values["name"],
            version=values["version"],
            description=values["description"],
            source=values["source"],
            concepts=tuple(_concepts(values)),
            sensitive=values["sensitive"],
        )
    except InputError as error:
        raise InputError(f"pack {source}: {error}") from error


def _values(raw: Any) -> dict[str, Any]:
    """Every key with a value of its type."""
    known = {**REQUIRED, **{key: kind for key, (kind, _) in OPTIONAL.items()}}
    if not isinstance(raw, Mapping):
        raise _wrong("the file", raw, f"a mapping with the keys {', '.join(known)}")
    for key in raw:
        if key not in known:
            raise InputError(f"unknown key {key!r}. Allowed: {', '.join(known)}.")
    for key in REQUIRED:
        if key not in raw:
            raise InputError(f"there is no {key!r}. Add it.")
    for key, value in raw.items():
        number = known[key] is int and isinstance(value, bool)
        if number or not isinstance(value, known[key]):
            raise _wrong(key, value, SAID[known[key]])
    return {**{key: default for key, (_, default) in OPTIONAL.items()}, **raw}


def _concepts(values: Mapping[str, Any]) -> list[Concept]:
    words = [_phrases(entry, f"words[{i}]") for i, entry in enumerate(values["words"])]
    if not words:
        raise _wrong("words", [], "at least one word")
    if values["as"] == "one":
        words = [[phrase for entry in words for phrase in entry]]
    how = {key: values[key] for key in ("kind", "surrogate", "sensitive")}
    return [Concept(phrase, synonyms=tuple(others), **how) for phrase, *others in words]


def _phrases(entry: Any, where: str) -> list[str]:
    found = [entry] if isinstance(entry, str) else entry
    if not isinstance(found, list) or not found or not all(isinstance(x, str) for x in found):
        raise _wrong(where, entry, "a word in quotes, or a list of a word and its synonyms")
    return found


def _wrong(where: str, value: Any, allowed: str) -> InputError:
    return InputError(f"{where} is {value!r}; allowed: {allowed}.")
