"""`evalkit list`, `evalkit show`, `evalkit new`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from evalkit.cli.options import Json
from evalkit.cli.output import note, print_json


class Kind(StrEnum):
    metrics = "metrics"
    protocols = "protocols"
    studies = "studies"


class Entry(StrEnum):
    metric = "metric"
    protocol = "protocol"


def register(app: typer.Typer) -> None:
    app.command("list")(list_entries)
    app.command()(show)
    app.command()(new)


def list_entries(
    kind: Annotated[Kind, typer.Argument(help="What to list.")], as_json: Json = False
) -> None:
    """List metrics, protocols or studies."""
    from evalkit.report import terminal
    from evalkit.verbs import entries

    rows = entries.titles(kind.value)
    if as_json:
        print_json(
            {"schema": 1, kind.value: [{"name": one, "title": title} for one, title in rows]}
        )
    elif rows:
        terminal.console().print(terminal.listing(rows))
    else:
        note(f"no {kind.value} yet")


def show(
    kind: Annotated[Entry, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its name, or the path of one's own file.")],
    as_json: Json = False,
) -> None:
    """Show a metric (outputs, range, parameters, source) or a protocol."""
    from evalkit.report import terminal
    from evalkit.verbs import entries

    found = entries.metric(name) if kind is Entry.metric else entries.protocol(name)
    if as_json:
        print_json({"schema": 1, **found})
    else:
        terminal.console().print(terminal.listing(terminal.facts(found)))


def new(
    kind: Annotated[Entry, typer.Argument(help="What to make.")],
    name: Annotated[str, typer.Argument(help="Lower case, with underscores.")],
) -> None:
    """Write the template of a metric or a protocol where evalkit will find it."""
    from evalkit.verbs import entries

    for path in entries.new(kind.value, name):
        note(f"wrote {path}")
