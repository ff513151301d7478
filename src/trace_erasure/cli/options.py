"""Options and arguments that several verbs have, declared once; defaults stand at the verb."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from trace_erasure.concepts.kinds import KINDS
from trace_erasure.utils.numbers import MAX_SEED

DEFAULT_MODEL = "emoji-sd"
_MODEL = (
    "A shipped model (see `ls models`), a folder of a diffusers pipeline, a .safetensors "
    "checkpoint, or a repository on the hub."
)

Model = Annotated[str, typer.Option(help=_MODEL)]
ModelOfSpec = Annotated[
    str | None, typer.Option(help=f"{_MODEL} Default: the spec's, or {DEFAULT_MODEL}.")
]
Dtype = Annotated[
    str | None,
    typer.Option(help="float32, float16 or bfloat16. Default: that of the model's files."),
]
Device = Annotated[str | None, typer.Option(help="Such as cuda or cuda:1. Default: the CPU.")]
Offload = Annotated[
    str | None,
    typer.Option(
        help="model: one network at a time is on the device; for stage 1, attaching and drawing."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="With a single file, the folder of its base model: settings, and the weights of parts "
        "that the file lacks. Default: the file's own folder, else the hub.",
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(help="Of the model's files, such as fp16. Default: the only one there is."),
]
Revision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of a repository on the hub.")
]
Concepts = Annotated[
    list[str] | None, typer.Option(help="What to erase, without an article; repeatable.")
]
StatePrompts = Annotated[
    list[str] | None,
    typer.Option(
        help="A prompt whose pictures show the concept though no word names it, such as 'a "
        "kitchen'; stage 2 steers them. Repeatable."
    ),
]
Kind = Annotated[
    str | None, typer.Option(help=f"{', '.join(KINDS)}. Default: what the words suggest.")
]
Synonyms = Annotated[
    list[str] | None, typer.Option(help="Another word for the concept, erased with it; repeatable.")
]
Descriptions = Annotated[
    list[str] | None, typer.Option(help="A wording that never names the concept; repeatable.")
]
Retained = Annotated[
    list[str] | None, typer.Option(help="A word of the same kind that must stay; repeatable.")
]
Captions = Annotated[
    Path | None,
    typer.Option(
        help="A text file of ordinary captions of the model's domain, one a line. Default: the "
        "spec's, or the package's for this model."
    ),
]
Search = Annotated[
    str | None,
    typer.Option(
        help="What is asked for words that are left open: words (lexicon and text encoder) or "
        "network (what the model draws, slow). Default: the spec's, or words."
    ),
]
Artifact = Annotated[Path, typer.Argument(help="A file that `erase` wrote.")]
Seed = Annotated[
    int, typer.Option(help="Of the first picture of every prompt.", min=0, max=MAX_SEED)
]
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
Engine = Annotated[
    str,
    typer.Option(
        help="Where the work runs: local (this process), ray or slurm. The last two need an extra."
    ),
]
Workers = Annotated[int, typer.Option(help="Of --engine ray or slurm, at once.", min=1)]
EngineOption = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=VALUE of the engine; repeatable. ray: address. slurm: timeout_min, cluster, and "
        "submitit's own, such as slurm_partition."
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Write the file even where the verdict is failed.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")]


@dataclass(frozen=True)
class Loading:
    """How a verb loads its model: the options of ``load_pipeline``; None is its default."""

    dtype: str | None = None
    device: str | None = None
    variant: str | None = None
    revision: str | None = None
    offload: str | None = None
    config: Path | None = None

    def load(self, model: str) -> Any:
        """The pipeline that ``--model`` names. Raises ``InputError`` where it cannot."""
        from trace_erasure.pipeline.loading import load_pipeline

        return load_pipeline(model, **asdict(self))
