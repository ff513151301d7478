"""``cache``: what is kept on disk between runs."""

from __future__ import annotations

from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of it.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what is kept on disk between runs, or delete it. Everything there is made again when it
    is needed."""
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.cli.printing.listings import cached_files
    from trace_erasure.utils.cache import cache_folder, kept
    from trace_erasure.utils.cache import clear as delete

    found = kept()
    if clear:
        delete(found)
    files = [{"file": str(one.file), "holds": one.name, "bytes": one.size} for one in found]
    done = "Deleted from" if clear else "Kept in"
    megabytes = sum(one.size for one in found) / 1e6
    said = f"{done} {cache_folder()}: {len(found)} files, {megabytes:.1f} MB."
    print_result(
        {"folder": str(cache_folder()), "files": files, "cleared": clear},
        [said, cached_files(found)] if found else [said],
        as_json,
    )
