"""``erase --pack``: a list of concepts to one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.cli.app import note_replaced, refuse_failed
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.artifact.record import Record
    from trace_erasure.concepts.pack import Pack
    from trace_erasure.config_file import RunConfig


def pack_request(pack: Pack, model: str, **others: object) -> RunConfig:
    """The run that a pack stands for. ``others`` say what to erase, too, and must be empty."""
    from trace_erasure.config_file import RunConfig
    from trace_erasure.trace.erase_pack import spec_of

    for name, given in others.items():
        if given:
            raise InputError(f"--pack {pack.name} and {name} both say what to erase. Give one.")
    return RunConfig(model, spec_of(pack))


def erase_pack_to(
    out: Path, pipe: Any, pack: Pack, asked: RunConfig, captions: Sequence[str] | None, force: bool
) -> tuple[Record, Path]:
    """Erases a pack, and writes one LoRA file into ``out``; each concept's own into ``out/parts``.

    Ends the program where the erasure failed, unless ``force``.
    """
    from trace_erasure.config_file import slug
    from trace_erasure.trace.erase_pack import erase_pack

    folder = out if len(pack.concepts) == 1 else out / "parts"
    erasure = erase_pack(pipe, pack, folder=folder, settings=asked.erase, captions=captions)
    refuse_failed([erasure], force)
    file = out / f"{slug(pack.name)}.safetensors"
    note_replaced(file)
    return erasure.record, erasure.save(file)
