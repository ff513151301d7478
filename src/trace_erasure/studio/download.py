"""An erasure as the file that a tool reads, to download."""

from __future__ import annotations

import shutil
from pathlib import Path

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.tools import TOOLS, export_lora
from trace_erasure.config_file import file_name


def tools_for(family: str) -> list[str]:
    """Names of the tools that read an erasure of ``family``.

    >>> tools_for("stable-diffusion")
    ['diffusers', 'comfyui', 'a1111', 'invokeai', 'peft']
    """
    return [name for name, tool in TOOLS.items() if family in tool.spelling]


def write_download(erasure: Erasure, tool: str, folder: Path) -> Path:
    """Writes ``erasure`` into ``folder`` as ``tool`` reads it, and returns the file.

    What is a folder elsewhere comes as a zip. Raises ``InputError`` where the tool cannot read it.
    """
    name = file_name([concept.name for concept in erasure.record.concepts])
    made = export_lora(erasure, tool, folder / f"no-{name}-{tool}")
    if not made.is_dir():
        return made
    return Path(shutil.make_archive(str(made), "zip", made))
