"""A run as a YAML file: which model, which concepts, which settings; read strictly.

    model: emoji-sd
    concepts:
      - fox
      - {phrase: Mira Solberg, kind: identity}
      - {phrase: knife, only_with: clown}
    closed_form: {directions: 4}
    preset: trace             # fast without this line; the keys below go before it
    finetune: {rank: 8}       # {} is the usual one, null is none
    captions: captions.txt    # ordinary language of the model's domain, one sentence a line
    search: words             # or network
    seed: 0

Every key of ``Concept``, ``ClosedFormConfig`` and ``FinetuneConfig`` may be given; a missing key
has its default.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import sys
import types
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig, preset
from trace_erasure.errors import InputError, shown
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.safe_yaml import parse_yaml, read_text
from trace_erasure.utils.words import fold

STAGES = {"closed_form": ClosedFormConfig, "finetune": FinetuneConfig}
TEXTS = ("hardening", "search")
KEYS = ("model", "concepts", "captions", "preset", *STAGES, "seed", *TEXTS)
LONGEST_NAME = 60
RESERVED_NAMES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{kind}{i}" for kind in ("com", "lpt") for i in range(1, 10)))
)
"""File names that Windows gives to devices, whatever the suffix."""
Settings = TypeVar("Settings", bound=Concept | ClosedFormConfig | FinetuneConfig)


@dataclass(frozen=True)
class RunConfig:
    """A model and what to erase from it.

    Attributes:
        model: a shipped model's name, or a folder with a diffusers pipeline.
        erase: the settings of the erasure.
        captions: a text file of ordinary captions, or None for the package's.
    """

    model: str
    erase: EraseConfig
    captions: str | None = None

    @property
    def name(self) -> str:
        """A file name for what comes of it: ``fox``, ``fox_mira-solberg``."""
        return file_name([concept.name for concept in self.erase.concepts])


def file_name(phrases: Sequence[str]) -> str:
    """One file name for several phrases; lists that differ have different names.

    Example:
        >>> file_name(["fox", "cat"]), file_name(["fox cat"])
        ('fox_cat', 'fox-cat')
    """
    name = "_".join(map(slug, phrases))  # a slug has no underscore
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - len(digest) - 1].rstrip('-_')}_{digest}"


def hyphenated(text: str) -> str:
    """The words of ``text`` in lower case, joined by hyphens; empty where there are none."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:LONGEST_NAME].strip("-")


def slug(text: str) -> str:
    """``text`` as a file name: lower case, words joined by hyphens.

    Where that loses more than case and surplus spaces, or gives a name that Windows reserves, the
    name ends in a digest of the text, so that different texts have different names.

    Example:
        >>> slug("Mira Solberg"), slug("fox!")
        ('mira-solberg', 'fox-6bd35cd9')
    """
    plain = unicodedata.normalize("NFC", fold(text))
    words = hyphenated(plain)
    exact = words == plain.replace(" ", "-") and "-" not in plain
    if words and exact and words not in RESERVED_NAMES:
        return words
    digest = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    short = words[: LONGEST_NAME - len(digest) - 1].strip("-")
    return f"{short or 'erasure'}-{digest}"


# Reading ----------------------------------------------------------------------------------


def load_config(path: str | os.PathLike[str]) -> RunConfig:
    """The run that a YAML file describes.

    Raises:
        InputError: the file is missing, not YAML, or holds a key or a value that is not allowed;
            the message names it.
    """
    return parse_config(read_text(path), str(path))


def parse_config(text: str, source: str = "spec") -> RunConfig:
    """The run that YAML text describes; ``source`` names it in messages. Raises ``InputError``."""
    raw = parse_yaml(text, source)
    if raw is None:
        raise InputError(f"{source} is empty. Give at least `model` and `concepts`.")
    try:
        return _run(_mapping(raw, KEYS, ""))
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _run(raw: Mapping[str, Any]) -> RunConfig:
    for key in ("model", "concepts"):
        if key not in raw:
            raise InputError(f"there is no {key!r}. Add it.")
    listed = raw["concepts"]
    if not isinstance(listed, list):
        raise _wrong("concepts", listed, "a list of phrases or mappings, such as [fox]")
    concepts = [_concept(value, f"concepts[{i}]") for i, value in enumerate(listed)]
    options: dict[str, Any] = {}
    for key, kind in STAGES.items():
        if key in raw:
            options[key] = None if raw[key] is None else _settings(kind, raw[key], key)
    if "seed" in raw:
        options["seed"] = _value(int, raw["seed"], "seed")
    options |= {key: _value(str, raw[key], key) for key in TEXTS if key in raw}
    model = _value(str, raw["model"], "model")
    options = preset(_value(str, raw.get("preset", "fast"), "preset"), options)
    captions = raw.get("captions")
    captions = None if captions is None else _value(str, captions, "captions")
    return RunConfig(model, EraseConfig(tuple(concepts), **options), captions)


def read_captions(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The lines of a text file that are not empty. Raises ``InputError`` where there are none."""
    lines = tuple(filter(None, (line.strip() for line in read_text(path).splitlines())))
    if not lines:
        raise InputError(f"{path} has no captions. Write one a line.")
    return lines


def _concept(raw: Any, where: str) -> Concept:
    if isinstance(raw, str):
        return Concept(raw)
    if not isinstance(raw, dict):
        raise _wrong(where, raw, "a phrase in quotes, or a mapping with a phrase")
    return _settings(Concept, raw, where)


def _settings(kind: type[Settings], raw: Any, where: str) -> Settings:
    """A dataclass of settings from its mapping; what each key may hold is read from its type."""
    hints = get_type_hints(kind)
    raw = _mapping(raw, tuple(hints), where)
    for field in fields(kind):
        required = field.default is MISSING and field.default_factory is MISSING
        if required and field.name not in raw:
            raise InputError(f"{where} has no {field.name!r}. Add it.")
    return kind(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in raw.items()})


def _mapping(raw: Any, allowed: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise _wrong(where or "the file", raw, f"a mapping with the keys {', '.join(allowed)}")
    for key in raw:
        if key not in allowed:
            full = f"{where}.{key}" if where else str(key)
            raise InputError(
                f"unknown key {full!r}{_nearest(str(key), allowed)}. Allowed: {', '.join(allowed)}."
            )
    return raw


def _value(kind: Any, value: Any, where: str) -> Any:
    """``value`` as ``kind``: str, bool, int, float, a tuple of them, or one of them or None."""
    if get_origin(kind) in (Union, types.UnionType):
        inner = next(option for option in get_args(kind) if option is not type(None))
        return None if value is None else _value(inner, value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _wrong(where, value, "a list, such as [one, two]")
        return tuple(_value(get_args(kind)[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is str:
        if not isinstance(value, str):
            raise _wrong(where, value, "text; put it in quotes")
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise _wrong(where, value, "true or false")
        return value
    if kind is int:
        if not number or isinstance(value, float):
            raise _wrong(where, value, "a whole number")
        return value
    if not number or not abs(value) <= sys.float_info.max:
        raise _wrong(where, value, "a number, such as 0.5 or 1.0e-3")
    return float(value)


def _wrong(where: str, value: Any, allowed: str) -> InputError:
    return InputError(f"{where} is {shown(value)}; allowed: {allowed}.")


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; the nearest is {close[0]!r}" if close else ""


# Writing ----------------------------------------------------------------------------------


def to_yaml(run: RunConfig) -> str:
    """The run with every setting written out; ``parse_config`` gives back the same run."""
    data = to_data(run)
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def to_data(run: RunConfig) -> dict[str, Any]:
    """What ``to_yaml`` writes, as plain data."""
    spec = run.erase
    return {
        "model": run.model,
        "concepts": [_plain(concept) for concept in spec.concepts],
        "captions": run.captions,
        "closed_form": None if spec.closed_form is None else _plain(spec.closed_form),
        "finetune": None if spec.finetune is None else _plain(spec.finetune),
        "seed": spec.seed,
        **{key: getattr(spec, key) for key in TEXTS},
    }


class _Dumper(yaml.SafeDumper):
    """YAML that gives back every text: outside quotes, line breaks such as U+0085 would fold."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def dump_config(run: RunConfig, path: str | os.PathLike[str]) -> Path:
    """Writes ``to_yaml(run)``, whole or not at all. Raises ``InputError`` where it cannot."""
    path = Path(path)
    with atomic(path) as partial:
        partial.write_text(to_yaml(run), "utf-8")
    return path


def _plain(settings: Concept | ClosedFormConfig | FinetuneConfig) -> dict[str, Any]:
    items = asdict(settings).items()
    return {key: list(value) if isinstance(value, tuple) else value for key, value in items}
