"""What ``erase`` would do: along which words, with which verdict, and what else would change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from trace_erasure.config_file import RunConfig
    from trace_erasure.guarantees.preview import Preview


def show_plan(
    pipe: Any, asked: RunConfig, captions: Sequence[str] | None, as_json: bool = False
) -> None:
    """The resolved spec as YAML on stdout, everything else on stderr; or all of it as JSON.

    Stage 1 is solved for it. Stage 2 is not trained.
    """
    from trace_erasure.cli.printing.console import print_json
    from trace_erasure.concepts.masking import masked
    from trace_erasure.config_file import to_data, to_yaml
    from trace_erasure.guarantees.preview import preview

    found = preview(pipe, asked.erase, captions)
    concepts = asked.erase.concepts
    if as_json:
        data = {
            "spec": to_data(replace(asked, erase=found.spec)),
            "retained": found.retain,
            "captions": found.captions,
            "will_change": None if found.changed is None else dict(found.changed),
            "verdict": None if found.verdict is None else found.verdict.model_dump(mode="json"),
        }
        print_json(json.loads(masked(json.dumps(data), concepts)))
        return
    typer.echo(masked(to_yaml(replace(asked, erase=found.spec)), concepts), nl=False)
    lines = [f"retained: {'; '.join(found.retain) or 'nothing named'}"]
    lines.append(f"ordinary captions: {found.captions}")
    lines += _of_stage_1(found)
    typer.echo(masked("\n".join([*lines, "Nothing was written."]), concepts), err=True)


def _of_stage_1(found: Preview) -> Iterator[str]:
    if found.changed is None:
        return
    for concept in found.concepts:
        along = (*concept.synonyms, *concept.descriptions)
        also = f", along with {', '.join(along)}" if along else ""
        yield f"erased: {concept.name}{also} → {concept.surrogate}"
    changes = ", ".join(f"{name} {change:.0%}" for name, change in found.changed)
    yield f"will change most (of the layers' output for the name): {changes or 'nothing named'}"
    if found.verdict is not None:
        yield f"verdict: {found.verdict}"
        yield from found.verdict.advice
