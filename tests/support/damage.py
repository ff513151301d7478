"""Files as disks and people damage them, and the one thing that may come of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from trace_erasure.errors import InputError


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
