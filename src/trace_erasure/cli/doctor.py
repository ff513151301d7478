"""``doctor``: what is installed, and what can run here."""

from __future__ import annotations

from typing import Any

import typer

from trace_erasure import __version__
from trace_erasure.cli import options
from trace_erasure.cli.app import FAILED, app
from trace_erasure.errors import InputError


def diagnosis() -> dict[str, Any]:
    """Everything that the verb prints; ``problems`` are sentences that say what to do."""
    from trace_erasure.pipeline import shipped
    from trace_erasure.utils import environment
    from trace_erasure.utils.cache import cache_folder

    packages = environment.installed()
    problems = [
        f"{one.name} {one.version or 'is missing'}; needed is {one.name}{one.wanted}. "
        f"Run `pip install '{one.name}{one.wanted}'`."
        for one in packages
        if not one.extra and not one.fits
    ]
    try:
        models = {name: str(shipped.path(name)) for name in shipped.PIPELINES}
    except InputError as error:  # a model of one's own does as well
        models, missing = {}, str(error)
    else:
        missing = ""
    cache = cache_folder()
    if not environment.is_writable(cache):
        problems.append(
            f"the cache {cache} cannot be written, so that every run computes afresh. "
            "Set XDG_CACHE_HOME to a folder of yours."
        )
    extras: dict[str, bool] = {}
    for one in packages:
        if one.extra:
            extras[one.extra] = extras.get(one.extra, True) and one.fits
    return {
        "version": __version__,
        **environment.system(),
        "packages": {one.name: one.version for one in packages if not one.extra},
        "devices": list(environment.devices()),
        "models": models,
        "models_note": missing,
        "extras": extras,
        "cache": {"folder": str(cache), "bytes": environment.size_of(cache)},
        "problems": problems,
    }


@app.command()
def doctor(as_json: options.AsJson = False) -> None:
    """Show versions, devices, models, extras and the cache, and what to mend.

    Exit code 1 where something that every use needs is missing.
    """
    from trace_erasure.cli.printing.console import print_json, print_tables
    from trace_erasure.cli.printing.environment import tables_of

    found = diagnosis()
    if as_json:
        print_json(found)
    else:
        print_tables(tables_of(found))
        for problem in found["problems"]:
            typer.echo(problem)
        if not found["problems"]:
            typer.echo("Everything that is needed is there.")
    if found["problems"]:
        raise typer.Exit(FAILED)
