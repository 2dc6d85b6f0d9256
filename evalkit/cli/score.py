"""`evalkit score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evalkit.cli.options import HelpAll, Json, Quiet, rare
from evalkit.cli.output import Progress, note, print_json


def register(app: typer.Typer) -> None:
    app.command()(score)


def score(
    predictions: Annotated[
        list[str], typer.Argument(metavar="PREDS…", help="Files, URLs, or NAME=FILE; - is stdin.")
    ],
    refs: Annotated[
        list[str] | None,
        typer.Option("--refs", "-r", help="References; of plain text one file each, repeatable."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "-m", help="bleu, chrf:word_order=2, ./mine.py, command:./x; repeatable."
        ),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="A task's metrics, by name or .toml.")
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", help="NAME=FIELD, e.g. id=image_id; repeatable.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Resample by this field; none: by example.")
    ] = None,
    slice: Annotated[
        list[str] | None, typer.Option("--slice", help="Score each value of a field; repeatable.")
    ] = None,
    resamples: Annotated[int | None, typer.Option(help="Draws per interval.  [2000]")] = None,
    level: Annotated[float | None, typer.Option(help="Of the intervals.  [0.95]")] = None,
    interval: Annotated[
        str | None, typer.Option(help="auto, bootstrap-t, percentile, …, none.  [auto]")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where results land.")] = Path("results"),
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite a result of other inputs.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    help_all: HelpAll = False,
    set_name: Annotated[str | None, rare("--set", help="Name the set of references.")] = None,
    form: Annotated[
        str | None,
        rare("--format", help="jsonl, json, text, tsv, csv or parquet, whatever the names say."),
    ] = None,
    box_format: Annotated[
        str | None,
        rare("--box-format", help="xywh (COCO's, the default) or xyxy, two corners."),
    ] = None,
    allow_missing: Annotated[
        bool, rare("--allow-missing", help="Score missing predictions as empty.")
    ] = False,
    only_predicted: Annotated[
        bool, rare("--only-predicted", help="Leave out references without a prediction.")
    ] = False,
    require: Annotated[
        list[str] | None, rare("--require", help="Fail where this metric cannot run; repeatable.")
    ] = None,
    seed: Annotated[int, rare("--seed", help="Of the resamples.")] = 12345,
    bootstrap: Annotated[
        str, rare("--bootstrap", help="poisson, or multinomial to compare with other tools.")
    ] = "poisson",
    remark: Annotated[
        str | None, rare("--note", help="A line of one's own, kept in run.json.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        rare("--tag", help="NAME=VALUE, kept in run.json, found by `results`; repeatable."),
    ] = None,
    device: Annotated[
        str, rare("--device", help="For neural metrics: auto, cpu or cuda.")
    ] = "auto",
    workers: Annotated[
        int | None, rare("--workers", help="Processes that count; 1: none but this.", min=1)
    ] = None,
    threads: Annotated[int | None, rare("--threads", help="Threads that resample.", min=1)] = None,
    no_cache: Annotated[bool, rare("--no-cache", help="Neither read nor fill the cache.")] = False,
    no_save: Annotated[bool, rare("--no-save", help="Write no result.")] = False,
) -> None:
    """How good is it? Scores with intervals, per system and slice.

    evalkit score preds.jsonl --refs refs.jsonl
    """
    del help_all
    from evalkit.report import terminal
    from evalkit.verbs.provenance import parse_tags
    from evalkit.verbs.score_files import ScoreRequest, score_files

    request = ScoreRequest(
        predictions=tuple(predictions),
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
        resamples=resamples,
        level=level,
        interval=interval,
        seed=seed,
        bootstrap=bootstrap,
        set=set_name,
        out=None if no_save else out,
        replace=replace,
        require=tuple(require or ()),
        device=device,
        workers=workers,
        threads=threads,
        cache=not no_cache,
        note=remark,
        tags=tuple(parse_tags(tag or ()).items()),
        command=("evalkit", *sys.argv[1:]),
    )
    with Progress(quiet=quiet) as progress:
        run = score_files(request, progress)
    if as_json:
        print_json({"schema": 1, "results": [result.document for result in run.results]})
    else:
        screen = terminal.console()
        screen.print(terminal.score_table(run.results, screen.width))
    if not quiet:
        for line in (*run.notes, *terminal.notes(run.results), *terminal.written(run.folders)):
            note(line)
