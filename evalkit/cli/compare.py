"""`evalkit compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from evalkit.cli.options import HelpAll, Json, Quiet, rare
from evalkit.cli.output import Progress, note, print_json


def register(app: typer.Typer) -> None:
    app.command()(compare)


def compare(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="BASELINE SYSTEM…",
            help="Results, or prediction files; NAME=… names one, NAME='runs/*' joins its runs.",
        ),
    ],
    refs: Annotated[
        list[str] | None, typer.Option("--refs", "-r", help="References of prediction files.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="Of those that all have, or for files; repeatable."),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="For prediction files.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Of prediction files: resample by this field; or none.")
    ] = None,
    slice: Annotated[
        list[str] | None, typer.Option("--slice", help="Of prediction files; repeatable.")
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="Largest loss that does not matter: 0.5, or bleu=0.5; repeatable."),
    ] = None,
    per_example: Annotated[
        str | None, typer.Option("--per-example", help="List who moved most by this metric.")
    ] = None,
    on_common: Annotated[
        bool, typer.Option("--on-common", help="Fit and compare on the examples that all have.")
    ] = False,
    correction: Annotated[
        str, typer.Option(help="Of the p-values of this call: holm, bh or none.")
    ] = "holm",
    test: Annotated[
        str, typer.Option(help="randomisation, or bootstrap (sacrebleu's shifted one).")
    ] = "randomisation",
    level: Annotated[float, typer.Option(help="Of intervals; p is held against the rest.")] = 0.95,
    as_json: Json = False,
    quiet: Quiet = False,
    help_all: HelpAll = False,
    run: Annotated[
        str | None, rare("--run", help="Field of prediction files that tells training runs apart.")
    ] = None,
    fold: Annotated[
        str | None, rare("--fold", help="Field with the fold of a cross-validation.")
    ] = None,
    field: Annotated[
        list[str] | None, rare("--field", help="NAME=FIELD, e.g. id=image_id; repeatable.")
    ] = None,
    form: Annotated[str | None, rare("--format", help="Of prediction files.")] = None,
    box_format: Annotated[str | None, rare("--box-format", help="xywh or xyxy.")] = None,
    allow_missing: Annotated[
        bool, rare("--allow-missing", help="Score missing predictions as empty.")
    ] = False,
    only_predicted: Annotated[
        bool, rare("--only-predicted", help="Leave out references without a prediction.")
    ] = False,
    most: Annotated[int, rare("--top", help="Examples either way.", min=1)] = 10,
    swaps: Annotated[int, rare("--swaps", help="Of the test by randomisation.")] = 10_000,
    resamples: Annotated[int, rare("--resamples", help="Draws per interval.")] = 2000,
    interval: Annotated[str, rare("--interval", help="As in score.")] = "auto",
    power: Annotated[float, rare("--power", help="Of the detectable difference.")] = 0.8,
    seed: Annotated[int, rare("--seed", help="Of resamples and swaps.")] = 12345,
    device: Annotated[str, rare("--device", help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, rare("--workers", help="Processes that count.", min=1)] = None,
    no_cache: Annotated[bool, rare("--no-cache", help="Neither read nor fill the cache.")] = False,
) -> None:
    """Is B really better than A? Differences to the first, with intervals and tests.

    evalkit compare results/set/A results/set/B
    """
    del help_all
    from evalkit.report import comparison as page
    from evalkit.report import terminal
    from evalkit.verbs.compare import compare_files
    from evalkit.verbs.comparing.options import CompareOptions, parse_margins
    from evalkit.verbs.score_files import ScoreRequest

    options = CompareOptions(
        resamples=resamples,
        swaps=swaps,
        level=level,
        power=power,
        seed=seed,
        interval=interval,
        test=test,
        correction=correction,
        margins=parse_margins(margin or ()),
        on_common=on_common,
        fold=fold,
        moved=per_example,
        most_moved=most,
    )
    request = ScoreRequest(
        predictions=(),
        references=tuple(refs or ()),
        metrics=tuple(metric or ()),
        protocol=protocol,
        fields=tuple(field or ()),
        format=form,
        box_format=box_format,
        allow_missing=allow_missing,
        only_predicted=only_predicted,
        cluster=cluster,
        slices=tuple(slice or ()),
        seed=seed,
        device=device,
        workers=workers,
        cache=not no_cache,
    )
    with Progress(quiet=quiet) as progress:
        found, notes = compare_files(systems, request, options, run_field=run, progress=progress)
    if as_json:
        print_json(found.document)
    else:
        screen = terminal.console()
        screen.print(page.comparison_page(found, screen.width))
    if not quiet:
        for line in (*notes, *page.notes(found)):
            note(line)
