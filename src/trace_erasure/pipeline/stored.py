"""What a model's files hold, and errors of libraries that read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.errors import InputError, shown
from trace_erasure.utils.quiet_libraries import quiet_loading

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "float16", "bfloat16")
HEADERS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Names of dtypes in safetensors files."""


def dtype_named(dtype: str | torch.dtype) -> torch.dtype:
    import torch

    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise InputError(f"dtype {shown(dtype)} is not known; allowed: {', '.join(DTYPES)}.")
    return getattr(torch, name)


def dtype_of(files: Sequence[Path]) -> torch.dtype:
    """The dtype of the first tensor of real numbers in ``files``; float32 where there is none."""
    from safetensors import SafetensorError, safe_open

    for file in files:
        try:
            with safe_open(file, "pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (it is no dict)
                    if (kind := tensors.get_slice(name).get_dtype()) in HEADERS:
                        return dtype_named(HEADERS[kind])
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{file} is no complete safetensors file ({error}). Copy it again from its source."
            ) from error
    return dtype_named("float32")


def guarded(make: Callable[[], Any], problem: str, remedy: str) -> Any:
    """What ``make`` gives; whatever a library raises on a user's files is one ``InputError``."""
    try:
        with quiet_loading():
            return make()
    except Exception as error:
        raise InputError(f"{problem}: {first_line(error)} {remedy}") from error


def first_line(error: Exception) -> str:
    """The first line of an error, as a sentence."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return line if line.endswith((".", "!", "?")) else f"{line}."
