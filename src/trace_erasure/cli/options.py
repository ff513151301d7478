"""Options and arguments that several verbs have, declared once; defaults stand at the verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_MODEL = "emoji-sd"
_MODEL = (
    "A shipped model (see `ls models`), a folder of a diffusers pipeline, a .safetensors "
    "checkpoint, or a repository on the hub."
)

Model = Annotated[str, typer.Option(help=_MODEL)]
ModelOfSpec = Annotated[
    str | None, typer.Option(help=f"{_MODEL} Default: the spec's, or {DEFAULT_MODEL}.")
]
Concepts = Annotated[
    list[str] | None, typer.Option(help="What to erase, without an article; repeatable.")
]
Artifact = Annotated[Path, typer.Argument(help="A file that `erase` wrote.")]
Steps = Annotated[int, typer.Option(help="Sampler steps.", min=1)]
GuidanceScale = Annotated[float, typer.Option(help="1 is no guidance.", min=0)]
TasksDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder with task files of your own. Default: $XDG_CONFIG_HOME/trace-erasure/tasks."
    ),
]
OfTask = Annotated[
    list[str] | None,
    typer.Option(help="Of the task; repeatable. Default: those that the erasures name."),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(help="NAME=PATH of a model that the task's judges need; repeatable."),
]
Prompts = Annotated[
    Path | None, typer.Option(help="Your copy of the task's prompt list, or its folder.")
]
Bfloat16 = Annotated[bool, typer.Option("--bfloat16", help="Draw in bfloat16.")]
Runs = Annotated[list[Path], typer.Argument(help="Folders that `evaluate` wrote into.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything, for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")]
