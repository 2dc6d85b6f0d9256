"""`evalkit list`, `evalkit show`, `evalkit new`."""

from __future__ import annotations

from typing import Annotated

import typer

from evalkit.cli.options import Json
from evalkit.cli.output import note, print_json


def register(app: typer.Typer) -> None:
    app.command("list")(list_entries)
    app.command()(show)
    app.command()(new)


def list_entries(
    kind: Annotated[str, typer.Argument(help="metrics, protocols or studies.")] = "",
    as_json: Json = False,
) -> None:
    """List metrics, protocols or studies."""
    from evalkit.report import terminal
    from evalkit.verbs import entries

    kind = entries.kind_of(kind)
    rows = entries.titles(kind)
    if as_json:
        print_json({"schema": 1, kind: [{"name": one, "title": title} for one, title in rows]})
    elif rows:
        terminal.console().print(terminal.listing(rows))
    else:
        note(f"no {kind} yet")


def show(
    kind: Annotated[str, typer.Argument(help="metric or protocol.")] = "",
    name: Annotated[str, typer.Argument(help="Its name, or the path of one's own file.")] = "",
    as_json: Json = False,
) -> None:
    """Show a metric (outputs, range, parameters, source) or a protocol."""
    from evalkit.report import terminal
    from evalkit.verbs import entries

    found = entries.show(kind, name)
    if as_json:
        print_json({"schema": 1, **found})
    else:
        terminal.console().print(terminal.listing(terminal.facts(found)))


def new(
    kind: Annotated[str, typer.Argument(help="metric or protocol.")],
    name: Annotated[str, typer.Argument(help="Lower case, with underscores.")],
) -> None:
    """Write the template of a metric or a protocol where evalkit will find it."""
    from evalkit.verbs import entries

    paths = entries.new(kind, name)
    for path in paths:
        note(f"wrote {path}")
    note(f"use it: {entries.usage(paths[0])}")
