"""`evalkit cache clear`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Tables built before.", no_args_is_help=True)
    group.command()(clear)
    group.command()(where)
    app.add_typer(group, name="cache")


def clear() -> None:
    """Delete every cached table."""
    from evalkit.cli.output import note
    from evalkit.tables.cache import Cache, default_folder

    freed = Cache(default_folder()).clear()
    note(f"freed {freed / 2**20:.1f} MiB in {default_folder()}")


def where() -> None:
    """Print the cache's folder."""
    from evalkit.tables.cache import default_folder

    typer.echo(default_folder())
