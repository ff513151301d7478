"""``info``: the header of a file."""

from __future__ import annotations

from trace_erasure.cli import options
from trace_erasure.cli.app import app


@app.command()
def info(
    file: options.Artifact,
    as_json: options.AsJson = False,
) -> None:
    """Show what a file erases, from which model, and how it was made. Reads the header only."""
    from trace_erasure.artifact.header import read_header
    from trace_erasure.cli.printing.artifacts import about_header
    from trace_erasure.cli.printing.console import print_result

    header = read_header(file)
    data = dict(sorted(header.to_dict().items()))
    print_result(data, [about_header(file, header)], as_json)
