"""Verbs that look ahead and vouch: ``certify``, ``forecast``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration
from trace_erasure.concepts.concept import KINDS, Concept


@app.command()
def certify(
    file: options.Artifact,
    model: options.Model = options.DEFAULT_MODEL,
    paths: Annotated[
        int, typer.Option(help="Sampling paths for each comparison; 0: exact part only.", min=0)
    ] = 16,
    steps: options.Steps = 20,
    guidance_scale: options.GuidanceScale = 3.5,
    noise_level: Annotated[
        float | None, typer.Option(help="τ between early and late. Default: the file's, or 0.5.")
    ] = None,
    gate: Annotated[
        float | None, typer.Option(help="Certify the gated use up to this noise level.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the certificate into the file too.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Say what can be guaranteed of an erasure on a model: exactly, and with confidence."""
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.cli.printing import about_guarantee, print_table
    from trace_erasure.guarantees.certify import certified
    from trace_erasure.guarantees.certify import certify as certify_erasure
    from trace_erasure.pipeline.loading import load

    erasure = Erasure.load(file)
    with narration(quiet=False):
        found = certify_erasure(
            load(model),
            erasure,
            paths=paths,
            steps=steps,
            guidance_scale=guidance_scale,
            noise_level=noise_level,
            gate=gate,
        )
    if write:
        certified(erasure, found).save(file)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        return
    for table in about_guarantee(found):
        print_table(table)
        typer.echo()


@app.command()
def forecast(
    concept: Annotated[str, typer.Option(help="What would be erased, without an article.")],
    model: options.Model = options.DEFAULT_MODEL,
    surrogate: Annotated[
        str | None, typer.Option(help="What would be shown instead. Default: one is proposed.")
    ] = None,
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS)}.")] = KINDS[0],
    name: Annotated[
        list[str] | None, typer.Option(help="What to look at; repeatable. Default: a vocabulary.")
    ] = None,
    most: Annotated[int, typer.Option(help="How many names to show.", min=1)] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Say what an erasure would do to other names, before anything is erased or drawn."""
    from dataclasses import asdict

    from trace_erasure.cli.printing import about_outlook, print_table
    from trace_erasure.guarantees.forecast import outlook
    from trace_erasure.pipeline.loading import load

    with narration(quiet=False):
        found = outlook(load(model), Concept(concept, surrogate, kind), name)
    if as_json:
        whole = {**asdict(found), "warnings": found.warnings}
        text = json.dumps(whole, indent=2, ensure_ascii=False)
        typer.echo(text.replace("Infinity", "null"))
        return
    for table in about_outlook(found, most):
        print_table(table)
        typer.echo()
