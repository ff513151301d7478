"""``takedown``: a list of requests in one file. ``takedown_files`` has the verbs for its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app
from trace_erasure.cli.printing.console import print_result
from trace_erasure.concepts.concept import KINDS, Concept
from trace_erasure.config import HARDENING
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

takedown = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(
    takedown,
    name="takedown",
    help="Keep a list of requests to erase, and the LoRA file that fulfils it.",
)

LedgerFile = Annotated[Path, typer.Option("--ledger", help="The file that `takedown init` makes.")]
By = Annotated[str | None, typer.Option(help="Who asks for this, for the ledger.")]
At = Annotated[
    str | None, typer.Option(help="When, in ISO 8601; UTC where no zone is given. Default: now.")
]
Phrases = Annotated[list[str] | None, typer.Option(help="Repeatable.")]
DEFAULT = Path("takedown.db")


@takedown.command()
def init(
    ledger: LedgerFile = DEFAULT,
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Train the LoRA of stage 2 for every concept, too.")
    ] = False,
    hardening: Annotated[str, typer.Option(help=f"{', '.join(HARDENING)}.")] = HARDENING[0],
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    by: By = None,
    at: At = None,
    as_json: options.AsJson = False,
) -> None:
    """Start an empty ledger. How erasures are made is settled here, once for all of them."""
    from trace_erasure.takedown.ledger import Ledger
    from trace_erasure.takedown.settings import Settings

    made = Ledger.create(ledger, Settings(finetune, hardening, seed), by, at)
    said = f"{made.path}: an empty ledger. Its files will lie in {made.files}."
    print_result({"ledger": str(made.path), "files": str(made.files)}, [said], as_json)


@takedown.command()
def add(
    concepts: Annotated[
        Path | None,
        typer.Argument(help="A .csv table or a .txt file with a phrase a line; or --concept."),
    ] = None,
    concept: Annotated[str | None, typer.Option(help="What to erase, without an article.")] = None,
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS)}.")] = KINDS[0],
    surrogate: Annotated[
        str | None, typer.Option(help="What to show instead. Default: one is proposed.")
    ] = None,
    synonym: Phrases = None,
    description: Phrases = None,
    retain: Phrases = None,
    only_with: Annotated[str | None, typer.Option(help="Erase it beside this only.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your own name for the request.")] = None,
    ledger: LedgerFile = DEFAULT,
    by: By = None,
    at: At = None,
    as_json: options.AsJson = False,
) -> None:
    """Add a request, or all of a list. A bad line is named, and nothing is added then."""
    from trace_erasure.takedown.changes import NewRequest
    from trace_erasure.takedown.changes import add as add_to
    from trace_erasure.takedown.concept_list import read_list
    from trace_erasure.takedown.ledger import Ledger

    if concepts is not None:
        details = (surrogate, synonym, description, retain, only_with, reference)
        if concept is not None or any(details) or kind != KINDS[0]:
            raise InputError(f"{concepts} says what to erase. Leave the other options out.")
        asked = read_list(concepts)
    elif concept is None:
        raise InputError("nothing to add. Give --concept fox, or a list.")
    else:
        made = Concept(
            concept,
            surrogate,
            kind,
            synonyms=tuple(synonym or ()),
            descriptions=tuple(description or ()),
            retain=tuple(retain or ()),
            only_with=only_with,
        )
        asked = [NewRequest((made,), reference)]
    numbers = add_to(Ledger(ledger), asked, by, at)
    named = [
        (number, [one.name for one in request.concepts])
        for number, request in zip(numbers, asked, strict=True)
    ]
    print_result(
        [{"id": number, "concepts": names} for number, names in named],
        [f"request {number}: {', '.join(names)}" for number, names in named],
        as_json,
    )


@takedown.command()
def withdraw(
    requests: Annotated[list[int], typer.Argument(help="Numbers, as `status` shows them.")],
    reason: Annotated[str | None, typer.Option(help="Why, for the ledger.")] = None,
    ledger: LedgerFile = DEFAULT,
    by: By = None,
    at: At = None,
    as_json: options.AsJson = False,
) -> None:
    """Withdraw requests. They stay in the ledger; the next build leaves them out."""
    from trace_erasure.takedown.changes import withdraw as withdraw_from
    from trace_erasure.takedown.ledger import Ledger

    named = [
        (request.id, [one.name for one in request.concepts.values()])
        for request in withdraw_from(Ledger(ledger), requests, by, at, reason)
    ]
    print_result(
        [{"id": number, "concepts": names} for number, names in named],
        [f"request {number} is withdrawn: {', '.join(names)}" for number, names in named],
        as_json,
    )


@takedown.command()
def status(ledger: LedgerFile = DEFAULT, as_json: options.AsJson = False) -> None:
    """Show every request, and whether each model's LoRA file has it."""
    from trace_erasure.cli.printing.takedown import about_models, about_requests
    from trace_erasure.takedown.data import as_data
    from trace_erasure.takedown.ledger import Ledger
    from trace_erasure.takedown.standing import standings

    opened = Ledger(ledger)
    found = standings(opened)
    tables: list[Table | str] = [about_requests(opened, found)]
    if found.builds:
        tables += ["", about_models(opened, found)]
    print_result(as_data(opened, found), tables, as_json)
