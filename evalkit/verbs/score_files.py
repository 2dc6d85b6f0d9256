"""`score` from files: read, check, score, write; what the command does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import MetricError, UsageError, counted
from evalkit.metric import Metric
from evalkit.neural.device import use_device
from evalkit.protocol import Protocol
from evalkit.records.example import System
from evalkit.records.fields import parse_fields
from evalkit.records.joining import Partners
from evalkit.records.lines import file_digest
from evalkit.records.reading import ReadOptions, read_systems
from evalkit.results import Result, check, write
from evalkit.tables.build import Builder, Progress, silent
from evalkit.tables.cache import Cache, default_folder
from evalkit.tables.pool import Pool, processors
from evalkit.verbs.plan import (
    NO_CLUSTER,
    Plan,
    ScoreOptions,
    choose_metrics,
    choose_options,
    choose_protocol,
    known_kind,
    made_metrics,
    plan,
)
from evalkit.verbs.provenance import circumstances, tags_without_secrets, without_secrets
from evalkit.verbs.scoring import score_plans

LEFT_OUT = (
    "what looks like a credential was left out of run.json; keep such values in the environment "
    "(the line of a `command:` metric is its label in result.json as well)"
)


@dataclass(frozen=True)
class ScoreRequest:
    """What `evalkit score` was asked; None: the protocol's, or as many as there are processors.

    note, tags, command (the command line as it was typed) go to run.json and change no value.
    """

    predictions: tuple[str, ...]
    references: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    protocol: str | None = None
    fields: tuple[str, ...] = ()
    format: str | None = None
    box_format: str | None = None
    allow_missing: bool = False
    only_predicted: bool = False
    cluster: str | None = None
    slices: tuple[str, ...] = ()
    resamples: int | None = None
    level: float | None = None
    interval: str | None = None
    seed: int = 12345
    bootstrap: str = "poisson"
    set: str | None = None
    out: Path | None = None
    replace: bool = False
    require: tuple[str, ...] = ()
    device: str = "auto"
    workers: int | None = None
    threads: int | None = None
    cache: bool = True
    note: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()


@dataclass
class ScoreRun:
    """`notes`: what was chosen for the user; `folders`: what was written."""

    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def score_files(request: ScoreRequest, progress: Progress = silent) -> ScoreRun:
    """Read, score and, where `out` is given, write; everything is checked before the work."""
    started = time.time()
    around = {} if request.out is None else circumstances()
    run = ScoreRun()
    asked = made_metrics(request.metrics)
    kind = known_kind(request.protocol, asked)
    chosen, metrics, options = _choose(request, asked, kind or "text")
    systems = read_systems(
        request.predictions, request.references, _reading(request, options.cluster), kind
    )
    if systems[0].kind != chosen.reads:
        chosen, metrics, options = _choose(request, asked, systems[0].kind)
    plans = [plan(system, chosen, options, request.set) for system in systems]
    _refuse_mixed_sets(plans, request.set)
    run.notes.extend(_replaced(plans, metrics, request))
    if request.protocol is None and not request.metrics:
        run.notes.append(f"protocol {chosen.name} (the default for {chosen.reads})")
    run.notes.extend(
        f"{one.name}: {counted(one.unused, 'reference')} without a prediction left out"
        for one in systems
        if one.unused
    )
    if len({one.system.references_digest for one in plans}) > 1:
        run.notes.append("these systems have different references: their values do not compare")
    if options.cluster is None and any(one.clusters is not None for one in plans):
        run.notes.append("resampled by cluster, because the records have one (--cluster none)")
    workers = request.workers or processors()
    with Pool(workers) as pool, use_device(request.device):
        builder = Builder(
            Cache(default_folder()) if request.cache else None,
            pool if workers > 1 else None,
            progress,
            eager=request.workers is not None and workers > 1,
        )
        run.results = score_plans(plans, metrics, options, builder, request.threads or processors())
    for result in run.results:
        _refuse_unavailable(result, request.require)
    if builder.hits > 0:
        run.notes.append(
            f"{builder.hits} of {len(plans) * len(metrics)} tables from the cache "
            "(--no-cache counts again)"
        )
    if request.out is not None:
        _write(request.out, run, request, systems, started, around)
    return run


def _write(
    out: Path,
    run: ScoreRun,
    request: ScoreRequest,
    systems: Sequence[System],
    started: float,
    around: dict[str, Any],
) -> None:
    """around: what was found out before the work began."""
    around["definitions"] = _definitions(request)
    around["seconds"] = round(time.time() - started, 3)
    records = [_run_record(request, system, started, around) for system in systems]
    kept = [
        {**without_secrets(record), "tags": tags_without_secrets(record["tags"])}
        for record in records
    ]
    if kept != records:
        run.notes.append(LEFT_OUT)
    run.results = [replace(result, run=one) for result, one in zip(run.results, kept, strict=True)]
    run.folders = write(out, run.results, replace=request.replace)


def _choose(
    request: ScoreRequest, asked: Sequence[Metric], kind: str
) -> tuple[Protocol, list[Metric], ScoreOptions]:
    """What the flags leave open comes from the protocol."""
    chosen = choose_protocol(request.protocol, kind, bare=bool(asked))
    metrics = choose_metrics(asked, chosen)
    _check_required(request.require, metrics)
    options = choose_options(
        chosen,
        resamples=request.resamples,
        level=request.level,
        interval=request.interval,
        seed=request.seed,
        bootstrap=request.bootstrap,
        cluster=request.cluster if request.cluster is not None else chosen.cluster,
        slices=request.slices,
    )
    return chosen, metrics, options


def _refuse_mixed_sets(plans: Sequence[Plan], name: str | None) -> None:
    """A set is one set of references."""
    if name is not None and len({one.system.references_digest for one in plans}) > 1:
        raise UsageError(f"--set {name}: these systems have different references; leave --set out")


def _replaced(
    plans: Sequence[Plan], metrics: Sequence[Metric], request: ScoreRequest
) -> Iterator[str]:
    """ResultError where a result of other inputs is in the way; what will be lost, if anything."""
    if request.out is None:
        return
    now = {metric.label for metric in metrics}
    for one in plans:
        stored = check(request.out, one.document, replace=request.replace)
        lost = sorted({record["label"] for record in stored["scores"]} - now) if stored else []
        if lost:
            yield (
                f"{one.system.name}: the result with {', '.join(lost)} was replaced; "
                "a result holds the metrics of one call"
            )


def _reading(request: ScoreRequest, cluster: str | None) -> ReadOptions:
    fields = parse_fields(request.fields)
    if cluster not in (None, NO_CLUSTER):
        fields["cluster"] = str(cluster)
    partners = Partners(request.allow_missing, request.only_predicted)
    clusters = cluster != NO_CLUSTER
    return ReadOptions(fields, request.format, partners, clusters, request.box_format)


def _run_record(
    request: ScoreRequest, system: System, started: float, around: Mapping[str, Any]
) -> dict[str, Any]:
    """What varies from run to run."""
    asked = msgspec.json.decode(msgspec.json.encode(request, enc_hook=str))
    return {
        "schema": 1,
        "note": asked.pop("note"),
        "tags": dict(asked.pop("tags")),
        "command": asked.pop("command"),
        "request": asked,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "files": dict(system.files),
        **around,
    }


def _definitions(request: ScoreRequest) -> dict[str, str | None]:
    """sha256 of the metrics and the protocol that are files of one's own."""
    named = [one.partition(":")[0] for one in request.metrics] + [request.protocol or ""]
    own = [one for one in named if one.endswith((".py", ".toml"))]
    return {path: file_digest(path) for path in own}


def _check_required(require: Sequence[str], metrics: Sequence[Metric]) -> None:
    known = {name for metric in metrics for name in (metric.name, metric.label)}
    for name in require:
        if name not in known:
            raise UsageError(
                f"--require {name}: not among the metrics ({', '.join(sorted(known))})"
            )


def _refuse_unavailable(result: Result, require: Sequence[str]) -> None:
    missing = [record for record in result.scores if record["status"] == "unavailable"]
    for record in missing:
        if record["metric"] in require or record["label"] in require:
            raise MetricError(f"{record['label']} is required but unavailable: {record['reason']}")
    if len(missing) == len(result.scores):
        raise MetricError(f"no metric can run: {missing[0]['reason']}")
