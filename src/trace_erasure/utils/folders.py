"""Paths and folders that users give: looked at before any work, made with one message."""

from __future__ import annotations

import os
from pathlib import Path

from trace_erasure.errors import InputError, shown
from trace_erasure.utils.arguments import not_allowed

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""What file systems allow."""


def check_path(name: str, value: object) -> Path:
    """``value`` as a path. Raises ``InputError`` for what no file can be called.

    Example:
        >>> check_path("folder", "")
        Traceback (most recent call last):
        ...
        trace_erasure.errors.InputError: folder is ''; allowed: a path, such as 'out'.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise not_allowed(name, value, "a path, such as 'out'")
    try:
        longest = max(len(os.fsencode(part)) for part in ("", *Path(text).parts))
    except UnicodeEncodeError as error:
        raise not_allowed(name, value, "a path, such as 'out'") from error
    if longest > LONGEST_NAME or len(text) > LONGEST_PATH:
        raise not_allowed(name, value, f"a path with names of at most {LONGEST_NAME} bytes")
    return Path(text)


def check_folder(name: str, value: object, *, exists: bool = False) -> Path:
    """``value`` as the path of a folder that is there, or that can be made unless ``exists``.

    Nothing is made. Raises ``InputError`` where it is a file, or lies in one; where its name
    cannot be resolved; where nothing may be written to it.
    """
    path = check_path(name, value)
    try:
        there = path.absolute()
        while not os.path.lexists(there) and not exists:
            there = there.parent
        if not there.stat() or not there.is_dir():
            raise InputError(f"{name} is {shown(str(path))}: {there} is no folder. Choose another.")
    except OSError as error:
        raise _cannot(name, path, error) from error
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(
            f"{name} is {shown(str(path))}: nothing may be written to {there}. Choose another."
        )
    return path


def resolved(name: str, value: object) -> Path:
    """``value`` as an absolute path without links. ``InputError`` for links that form a loop."""
    path = check_path(name, value)
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 raise the latter for a loop
        raise InputError(
            f"{name} is {shown(str(path))}, a link that leads to itself. Give the file or folder."
        ) from error


def make_folder(path: str | os.PathLike[str], name: str = "the folder") -> Path:
    """The folder at ``path``, made with its parents where it is missing.

    Raises ``InputError`` where it cannot be made.
    """
    folder = check_path(name, path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot(name, folder, error) from error
    return folder


def _cannot(name: str, path: Path, error: OSError) -> InputError:
    reason = error.strerror or error
    return InputError(
        f"{name} is {shown(str(path))}, which is no folder to write to: {reason}. Choose an "
        "existing folder, or a new one in it."
    )
