"""``certify``: what can be guaranteed of an erasure."""

from __future__ import annotations

from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration


@app.command()
def certify(
    file: options.Artifact,
    model: options.Model = options.DEFAULT_MODEL,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    paths: Annotated[
        int, typer.Option(help="Sampling paths for each comparison; 0: exact part only.", min=0)
    ] = 16,
    steps: options.Steps = 20,
    guidance_scale: options.GuidanceScale = 3.5,
    noise_level: Annotated[
        float | None,
        typer.Option(help="τ between early and late. Default: the file's, or 0.5.", min=0, max=1),
    ] = None,
    gate: Annotated[
        float | None,
        typer.Option(help="Certify the gated use up to this noise level.", min=0, max=1),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the certificate into the file too.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the result.")] = False,
) -> None:
    """Show what can be guaranteed of an erasure on a model: exactly, and with confidence."""
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.cli.printing.guarantees import about_guarantee
    from trace_erasure.guarantees.certify import certified
    from trace_erasure.guarantees.certify import certify as certify_erasure

    erasure = Erasure.load(file)
    with narration(quiet):
        found = certify_erasure(
            options.Loading(dtype, device, variant, revision, offload, base_folder).load(model),
            erasure,
            paths=paths,
            steps=steps,
            guidance_scale=guidance_scale,
            noise_level=noise_level,
            gate=gate,
        )
    if write:
        certified(erasure, found).save(file)
    print_result(found.to_dict(), about_guarantee(found), as_json)
