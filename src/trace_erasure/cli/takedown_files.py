"""``takedown build`` and ``takedown verify``: the files that fulfil a list of requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import FAILED, NO_GOOD, narration, say
from trace_erasure.cli.takedown import DEFAULT, At, By, LedgerFile, takedown
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.takedown.bases import ModelName
    from trace_erasure.takedown.ledger import Ledger

Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="A shipped model, a folder, a file or a repository; repeatable."),
]
AllBases = Annotated[
    bool, typer.Option("--all-bases", help="Every model that the ledger was built for.")
]


@takedown.command()
def build(
    model: Models = None,
    all_bases: AllBases = False,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    revision: options.Revision = None,
    ledger: LedgerFile = DEFAULT,
    by: By = None,
    at: At = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Make the erasures that are missing, merge those that stand, and write a manifest.

    Broken off, the same command goes on. After `add` or `withdraw` only what is new is made. The
    exit code is 3 where the file erases a concept whose verdict is failed.
    """
    from trace_erasure.cli.printing.console import print_json, print_result
    from trace_erasure.cli.printing.takedown import about_built, built_data
    from trace_erasure.takedown.builder import build as build_for
    from trace_erasure.takedown.ledger import Ledger

    opened = Ledger(ledger)
    made: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in _names(opened, model, all_bases, revision, variant):
        started = time.perf_counter()
        with narration(quiet):
            pipe = _load(name, dtype, device)
            built = build_for(opened, pipe, name, by=by, at=at)
        made.append(built_data(opened, built, time.perf_counter() - started))
        if not as_json:
            print_result(None, [about_built(opened, built, made[-1]["seconds"])], False, quiet)
        failed += [f"{concept} on {name.model}" for concept in built.failed]
        del pipe  # room for the next one
    if as_json:
        print_json(made)
    if failed:
        say(
            f"Merged, but erased too little by the figures: {', '.join(failed)}. `takedown status "
            "--json` says why and what to do."
        )
        raise typer.Exit(NO_GOOD)


@takedown.command()
def verify(
    model: Models = None,
    all_bases: AllBases = False,
    dtype: options.Dtype = None,
    variant: options.Variant = None,
    revision: options.Revision = None,
    ledger: LedgerFile = DEFAULT,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Check every file against the ledger and its manifest; with a model, that model, too.

    What is not as the ledger says is named, and the exit code is 1.
    """
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.takedown.bases import bases
    from trace_erasure.takedown.ledger import Ledger
    from trace_erasure.takedown.verification import verify as verify_files
    from trace_erasure.takedown.verification import verify_model

    opened = Ledger(ledger)
    found = verify_files(opened)
    problems = list(found.problems)
    known = {base.name: base for base in bases(opened)}
    chosen = _names(opened, model, all_bases, revision, variant) if model or all_bases else ()
    checked = 0
    for name in chosen:
        if name not in known:
            raise InputError(f"{opened.path} was never built for {name.model}. Build it first.")
        if problem := verify_model(known[name], _load(name, dtype, None)):
            problems.append(problem)
        checked += 1
    models = f" and {checked} models" if checked else "; no model was loaded"
    said = [] if problems else [f"{len(found.files)} files{models}: all as the ledger says."]
    data = {
        "files": [str(file) for file in found.files],
        "models": checked,
        "problems": [{"what": one.what, "problem": one.problem} for one in problems],
    }
    print_result(data, said, as_json, quiet)
    for problem in () if as_json else problems:
        say(f"{problem.what}: {problem.problem}")
    if problems:
        raise typer.Exit(FAILED)


def _names(
    ledger: Ledger,
    models: list[str] | None,
    all_bases: bool,
    revision: str | None,
    variant: str | None,
) -> Iterator[ModelName]:
    """The models that the options choose. Raises ``InputError`` where they choose none, or two
    ways."""
    from trace_erasure.takedown.bases import ModelName, bases

    if bool(models) == all_bases:
        raise InputError("say which models: --model NAME, repeatable, or --all-bases.")
    if all_bases:
        if revision or variant:
            raise InputError("--revision and --variant go with --model; --all-bases knows its own.")
        known = [base.name for base in bases(ledger)]
        if not known:
            raise InputError(f"{ledger.path} was not built for any model yet. Give --model.")
        return iter(known)
    return (ModelName.of(model, revision, variant) for model in dict.fromkeys(models or ()))


def _load(name: ModelName, dtype: str | None, device: str | None) -> Any:
    return options.Loading(dtype, device, name.variant, name.revision).load(name.model)
