"""`evalkit gate`."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from evalkit.cli.options import HelpAll, Json, Quiet, rare
from evalkit.cli.output import inert, note, print_json
from evalkit.errors import UsageError

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}


def register(app: typer.Typer) -> None:
    app.command()(gate)


def gate(
    results: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RESULT…]", help="Results, or a set's folder.  [results]"),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", "-b", help="A result to pair with.  [evalkit-baseline]"),
    ] = None,
    rules: Annotated[
        str | None,
        typer.Option(help="A file of [[gate]] tables.  [pyproject.toml, else the protocol]"),
    ] = None,
    level: Annotated[
        float | None, typer.Option(help="Of the one-sided bounds, where a rule has none.  [0.95]")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML there.")] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Keep this result as the baseline.")
    ] = False,
    sequential: Annotated[
        bool,
        typer.Option("--sequential", help="Keep the false-alarm rate over all looks at the set."),
    ] = False,
    looks: Annotated[
        str | None, rare("--looks", help="Where looks are counted.  [results/SET/looks.jsonl]")
    ] = None,
    metric: Annotated[
        list[str] | None,
        rare("--metric", "-m", help="A metric file of one's own, ./mine.py; repeatable."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    help_all: HelpAll = False,
) -> None:
    """May this change be merged? Rules against stored results: pass, fail or inconclusive.

    evalkit gate results/SET/SYSTEM --rules gate.toml

    Exit codes: 0 pass, 1 fail, 3 inconclusive, 2 bad input.
    """
    del help_all
    from evalkit.verbs import gate as verb

    request = verb.GateRequest(
        results=tuple(results or ()),
        baseline=baseline,
        rules=rules,
        metrics=tuple(metric or ()),
        level=level,
        sequential=sequential,
        looks=looks,
    )
    if update_baseline:
        _update(request, as_json=as_json, quiet=quiet)
        return
    run = verb.gate(request)
    _publish(run.document, junit, os.environ)
    if as_json:
        print_json(run.document)
    else:
        _show(run.document)
    if not quiet:
        for line in run.notes:
            note(line)
    raise typer.Exit(EXIT_CODES[run.verdict])


def _update(request: Any, *, as_json: bool, quiet: bool) -> None:
    from evalkit.verbs.gate import update_baseline

    kept = update_baseline(request)
    if as_json:
        print_json(kept.document())
    if not quiet:
        from evalkit.report import gate_words

        note(gate_words.kept(kept))


def _show(document: Mapping[str, Any]) -> None:
    """The table; names in it that GitHub's runner would take for commands lose that."""
    from evalkit.report import gate as report
    from evalkit.report import terminal

    console = terminal.console()
    with console.capture() as shown:
        console.print(report.verdict_table(document, console.width))
    sys.stdout.write(inert(shown.get()))
    sys.stdout.flush()


def _publish(
    document: Mapping[str, Any], junit: Path | None, environment: Mapping[str, str]
) -> None:
    """UsageError where a file cannot be written: nobody would miss it otherwise."""
    from evalkit.report import github
    from evalkit.report.junit import junit as xml

    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        _append(Path(summary), github.summary(document))
    if junit is not None:
        _write(junit, xml(document))
    if environment.get("GITHUB_ACTIONS") == "true":
        for line in github.annotations(document):
            sys.stderr.write(line.rstrip("\n") + "\n")


def _append(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", str(path)) from None


def _write(path: Path, text: str) -> None:
    """The whole file or none of it; a device or a pipe takes the text as it comes."""
    if path.exists() and not path.is_file():
        _append(path, text)
        return
    target = path.resolve() if path.is_symlink() else path
    aside = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8", newline="\n")
        aside.replace(target)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", str(path)) from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
