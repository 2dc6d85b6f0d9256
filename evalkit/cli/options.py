"""Flags that verbs share, defined once."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def show_all(context: typer.Context, wanted: bool) -> None:
    if wanted:
        for parameter in context.command.params:
            parameter.hidden = False  # type: ignore[attr-defined]
        typer.echo(context.get_help())
        raise typer.Exit


def rare(*names: str, help: str, **more: Any) -> Any:
    """An option that `--help` leaves to `--help-all`."""
    return typer.Option(*names, help=help, hidden=True, **more)


Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress on stderr.")]
HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all", callback=show_all, is_eager=True, help="Show the rarer options too."
    ),
]
