"""Files as disks and people damage them, and the one thing that may come of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from trace_erasure.errors import InputError

WORDS = (
    "",
    "x",
    "fox",
    "{x}",
    "a {x} and a {y}",
    "\x1b[2J",
    "🦊",
    "狐狸",
    "../..",
    "\u2028",
    "nan",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, 10**6, -(10**30), 10**400, 2**63, 1e-300, float("inf"),
    float("nan"), [], {}, [[]], {"x": None}, "x" * 5000, ["x"] * 300, *WORDS,
)  # fmt: skip
"""What stands where something else should."""


def changed(data: bytes, seed: int) -> bytes:
    """``data`` with one to three changes: cut, bits, bytes, parts left out, doubled or moved."""
    random = Random(seed)
    found = bytearray(data)
    for _ in range(random.randint(1, 3)):
        if not found:
            break
        start = random.randrange(len(found))
        end = min(len(found), start + random.choice((1, 4, 30, 300)))
        match random.randrange(7):
            case 0:
                del found[start:]
            case 1:
                found[start] ^= 1 << random.randrange(8)
            case 2:
                found[start:end] = random.randbytes(end - start)
            case 3:
                del found[start:end]
            case 4:
                found[start:start] = found[start:end]
            case 5:
                found[start:end] = random.choice((b"\0", b"\xff", b"0", b"9")) * (end - start)
            case _:
                part = bytes(found[start:end])
                del found[start:end]
                place = random.randint(0, len(found))
                found[place:place] = part
    return bytes(found)


def fits_or_is_refused(read: Callable[[Path], object], file: Path) -> bool:
    """Whether ``read`` takes the file; where not, its one error has to be ours and name it."""
    try:
        read(file)
    except InputError as error:
        assert str(file) in str(error)
        assert len(str(error)) < 2000
        return False
    return True


def mutated(value: Any, random: Random) -> Any:
    """JSON with one to three changes: entries dropped, replaced, renamed, nested or doubled."""
    whole = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        places = [place for place in _places(whole) if place]
        if not places:
            break
        *parents, last = random.choice(places)
        parent = whole
        for key in parents:
            parent = parent[key]
        match random.randrange(5):
            case 0:
                del parent[last]
            case 1 if isinstance(parent, dict):
                parent[random.choice(WORDS)] = parent.pop(last)
            case 2:
                parent[last] = [copy.deepcopy(parent[last])]
            case 3 if isinstance(parent, list):
                parent.extend([copy.deepcopy(parent[last])] * random.choice((1, 50)))
            case _:
                parent[last] = copy.deepcopy(random.choice(VALUES))
    return whole


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(one, (*path, key))
