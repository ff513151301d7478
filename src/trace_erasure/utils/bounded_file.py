"""Files of other people's, read up to a size: one error names what is wrong."""

from __future__ import annotations

from pathlib import Path

from trace_erasure.errors import InputError


def read_bounded(path: Path, largest: int) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: it cannot be read, or has more than ``largest`` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}. Check the path.") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Check the path.") from error
    if len(data) > largest:
        raise InputError(f"{path} is larger than {largest:,} bytes. Give a smaller file.")
    return data
