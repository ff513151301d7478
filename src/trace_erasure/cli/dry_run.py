"""What ``erase`` would do: along which words, with which verdict, and what else would change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.config_file import RunConfig

MOST = 8
"""Names that are listed of those that would change."""


def show_plan(pipe: Any, asked: RunConfig, captions: Sequence[str] | None) -> None:
    """The resolved spec as YAML on stdout, everything else on stderr; nothing is written.

    Stage 1 is solved for it. Stage 2 is not trained.
    """
    from trace_erasure.concepts.masking import masked
    from trace_erasure.config_file import to_yaml
    from trace_erasure.pipeline.denoiser import Denoiser
    from trace_erasure.trace.erase import run
    from trace_erasure.trace.request import resolve

    planned = resolve(Denoiser(pipe), asked.erase, captions)
    concepts = asked.erase.concepts
    typer.echo(masked(to_yaml(replace(asked, erase=planned.spec)), concepts), nl=False)
    lines = [f"retained: {'; '.join(planned.retain) or 'nothing named'}"]
    lines.append(f"ordinary captions: {len(planned.captions)}")
    if asked.erase.closed_form is not None:
        hardening = asked.erase.hardening
        first = replace(
            asked.erase,
            finetune=None,
            hardening="off" if hardening == "adversarial" else hardening,
        )
        lines += _of_stage_1(pipe, run(pipe, first, captions), captions)
    typer.echo(masked("\n".join([*lines, "Nothing was written."]), concepts), err=True)


def _of_stage_1(pipe: Any, erasure: Erasure, captions: Sequence[str] | None) -> Iterator[str]:
    for concept in erasure.record.concepts:
        along = (*concept.synonyms, *concept.descriptions)
        also = f", along with {', '.join(along)}" if along else ""
        yield f"erased: {concept.name}{also} → {concept.surrogate}"
    named = _changed_names(pipe, erasure, captions)
    changes = ", ".join(f"{name} {change:.0%}" for name, change in named)
    yield f"will change most (of the layers' output for the name): {changes or 'nothing named'}"
    if erasure.verdict is not None:
        yield f"verdict: {erasure.verdict}"
        yield from erasure.verdict.advice


def _changed_names(
    pipe: Any, erasure: Erasure, captions: Sequence[str] | None
) -> list[tuple[str, float]]:
    """The names of the captions that stage 1 changes most, without a picture."""
    from trace_erasure.concepts.candidates import PROBE_TEMPLATES
    from trace_erasure.concepts.captions import captions_for
    from trace_erasure.concepts.concept import fill_template
    from trace_erasure.guarantees.forecast import text_change
    from trace_erasure.pipeline.denoiser import Denoiser
    from trace_erasure.trace.verdict import caption_names

    denoiser, erased = Denoiser(pipe), erasure.record.concepts
    named = [
        (name, fill_template(PROBE_TEMPLATES[kind], name))
        for kind, names in caption_names(captions_for(denoiser, captions)).items()
        for name in names
        if not any(concept.is_mentioned_in(name) for concept in erased)
    ]
    found = text_change(denoiser, erasure.delta, [prompt for _, prompt in named]).tolist()
    ranked = sorted(zip((name for name, _ in named), found, strict=True), key=lambda p: -p[1])
    return ranked[:MOST]
