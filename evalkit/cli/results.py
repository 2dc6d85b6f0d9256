"""`evalkit results list|show|diff|leaderboard|verify|prune`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalkit.cli.options import HelpAll, Json, Quiet, rare
from evalkit.cli.output import Progress, note, print_json

if TYPE_CHECKING:
    from evalkit.results.store import Filters

BAD_INPUT = 2

results = typer.Typer(
    help="What is stored: find, read, rank, check and remove results.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

In = Annotated[
    list[str] | None,
    typer.Option("--in", "-i", help="A folder of results, or a URL; repeatable.  [results]"),
]
Set = Annotated[str | None, typer.Option("--set", help="Of this set; * stands for anything.")]
ByProtocol = Annotated[str | None, typer.Option("--protocol", "-p", help="Of this protocol.")]
System = Annotated[
    list[str] | None, typer.Option("--system", "-s", help="Of this system; repeatable.")
]
Metric = Annotated[
    str | None, typer.Option("--metric", "-m", help="With this metric, whose value is shown.")
]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", "-t", help="Tagged NAME=VALUE; repeatable.")
]


def register(app: typer.Typer) -> None:
    results.command("list")(list_results)
    results.command()(show)
    results.command()(diff)
    results.command()(leaderboard)
    results.command()(verify)
    results.command()(prune)
    app.add_typer(results, name="results")


def _folders(given: list[str] | None) -> tuple[str, ...]:
    return tuple(given or ("results",))


def _filters(
    set_name: str | None,
    protocol: str | None,
    system: list[str] | None,
    metric: str | None,
    tag: list[str] | None,
) -> Filters:
    from evalkit.results.store import Filters
    from evalkit.verbs.provenance import parse_tags

    tags = tuple(parse_tags(tag or ()).items())
    return Filters(set_name, protocol, tuple(system or ()), metric, tags)


def _unread(found: Mapping[str, Any]) -> None:
    """Never hidden, and never the end of the others."""
    for one in found["damaged"]:
        note(f"damaged: {one['reason']}")
    for one in found["unread"]:
        note(f"not read: {one['reason']}")
    if found["damaged"] or found["unread"]:
        raise typer.Exit(BAD_INPUT)


def list_results(
    folder: In = None,
    set_name: Set = None,
    protocol: ByProtocol = None,
    system: System = None,
    metric: Metric = None,
    tag: Tag = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """One line per result: set, system, value with interval, when, tags."""
    del quiet  # what cannot be read is said all the same
    from evalkit.report import terminal
    from evalkit.report.results import results_list
    from evalkit.verbs import results as verbs

    filters = _filters(set_name, protocol, system, metric, tag)
    found = verbs.list_results(_folders(folder), filters)
    if as_json:
        print_json(found)
    elif found["results"]:
        screen = terminal.console()
        screen.print(results_list(found["results"], screen.width))
    _unread(found)


def show(
    result: Annotated[str, typer.Argument(help="SYSTEM, SET/SYSTEM, or the path of a result.")],
    folder: In = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Everything of one result: scores, slices, inputs, options, note, tags, versions."""
    del quiet  # there is nothing but the result
    from evalkit.report import terminal
    from evalkit.report.results import one_result
    from evalkit.verbs import results as verbs

    stored, found = verbs.show_result(result, _folders(folder))
    if as_json:
        print_json(found)
    else:
        screen = terminal.console()
        screen.print(one_result(stored, screen.width))


def diff(
    a: Annotated[str, typer.Argument(help="SYSTEM, SET/SYSTEM, or the path of a result.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    folder: In = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What two results differ in: inputs, options, versions, and value by value."""
    from evalkit.report import terminal
    from evalkit.report.results import difference
    from evalkit.verbs import results as verbs

    found = verbs.diff_results((a, b), _folders(folder))
    if as_json:
        print_json(found)
    else:
        screen = terminal.console()
        screen.print(difference(found, screen.width))
    if not quiet:
        note(f"whether a difference is real: evalkit compare {found['a']} {found['b']}")


def leaderboard(
    folder: In = None,
    set_name: Set = None,
    protocol: ByProtocol = None,
    system: System = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", "-m", help="Rank by this, e.g. chrf, or an output as headed."),
    ] = None,
    tag: Tag = None,
    form: Annotated[str, typer.Option("--as", help="table, markdown, latex or csv.")] = "table",
    level: Annotated[float, typer.Option(help="A cluster ends at p <= 1 - level.")] = 0.95,
    as_json: Json = False,
    quiet: Quiet = False,
    help_all: HelpAll = False,
    swaps: Annotated[int, rare("--swaps", help="Of each pair; 0: no test.")] = 10_000,
    seed: Annotated[int, rare("--seed", help="Of the swaps.", min=0)] = 12345,
    correction: Annotated[str, rare("--correction", help="holm, bh or none.")] = "holm",
    trust: Annotated[bool, rare("--trust", help="Run metric files that the results name.")] = False,
) -> None:
    """The systems of one set, best first, with intervals and significance clusters."""
    del help_all
    from evalkit.errors import UsageError, did_you_mean
    from evalkit.report import leaderboard as report
    from evalkit.report import terminal
    from evalkit.verbs.leaderboard import Ranking
    from evalkit.verbs.leaderboard import leaderboard as rank

    if form not in report.FORMS:
        more = " (--json)" if form.lower() == "json" else ""
        raise UsageError(f"--as {form}: no such form{did_you_mean(form, report.FORMS)}{more}")
    filters = _filters(set_name, protocol, system, None, tag)
    asked = Ranking(metric, level, swaps, seed, correction, trust)
    with Progress(quiet=quiet) as progress:
        board = rank(_folders(folder), filters, asked, progress)
    if as_json:
        print_json(board)
    elif form == "table":
        screen = terminal.console()
        screen.print(report.table(board, screen.width))
    else:
        typer.echo(report.text(board, form), nl=False)


def verify(
    result: Annotated[
        list[str], typer.Argument(metavar="RESULT…", help="SYSTEM, SET/SYSTEM, or a path.")
    ],
    folder: In = None,
    inputs: Annotated[
        str | None, typer.Option(help="Where the inputs lie now, if they moved.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run its own metric files and `command:` programs.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score the inputs again and say whether every byte agrees; exit 1 where one does not."""
    from evalkit.report import terminal
    from evalkit.report.results import verification
    from evalkit.verbs.verify import exit_code, verify_results

    with Progress(quiet=quiet) as progress:
        found = verify_results(result, _folders(folder), inputs, progress, trust=trust)
    if as_json:
        print_json(found)
    else:
        terminal.console().print(verification(found), soft_wrap=True)
    raise typer.Exit(exit_code(found))


def prune(
    folder: In = None,
    set_name: Set = None,
    protocol: ByProtocol = None,
    system: System = None,
    metric: Metric = None,
    tag: Tag = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Scored before that: 30d, 12h.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="Keep this many, the newest, of each set and system.")
    ] = None,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="What is no result any more, and nothing else.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove results, and what killed runs left; without --yes only say which."""
    from evalkit.report import terminal
    from evalkit.report.results import results_list
    from evalkit.verbs import results as verbs

    asked = verbs.Prune(older_than, keep, damaged, yes)
    filters = _filters(set_name, protocol, system, metric, tag)
    found = verbs.prune_results(_folders(folder), filters, asked)
    if as_json:
        print_json(found)
        return
    if found["results"]:
        screen = terminal.console()
        screen.print(results_list(found["results"], screen.width))
    for line in () if quiet else _pruned(found):
        note(line)


def _pruned(found: Mapping[str, Any]) -> Sequence[str]:
    from evalkit.errors import counted

    done = "removed" if found["removed"] else "would be removed"
    broken = found["damaged"] if found["damaged_removed"] else []
    parts = [
        counted(len(rows), noun)
        for rows, noun in (
            (found["results"], "result"),
            (broken, "damaged result"),
            (found["leftovers"], "leftover"),
        )
        if rows
    ]
    lines = [f"damaged: {one['reason']}" for one in found["damaged"]]
    lines += [f"kept: {one['reason']}" for one in found["unread"]]
    if not parts:
        return [*lines, "nothing to remove; name results by a filter, --older-than or --keep"]
    hint = "" if found["removed"] else "; --yes removes for good"
    return [*lines, f"{', '.join(parts)} {done}{hint}"]
