"""`score`: how good is it? From Python on lists, and from files as the command does."""

from __future__ import annotations

import itertools
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import evalkit
from evalkit import catalogue
from evalkit import protocol as protocols
from evalkit.errors import DataError, MetricError, UsageError
from evalkit.metric import Metric
from evalkit.protocol import Protocol
from evalkit.records import text
from evalkit.records.example import Example, System
from evalkit.records.fields import parse_fields, text_id
from evalkit.records.lines import file_digest
from evalkit.records.reading import ReadOptions, read_systems
from evalkit.results import Result, check, write
from evalkit.tables.build import Builder, Progress, silent
from evalkit.tables.cache import Cache, default_folder
from evalkit.tables.pool import Pool, processors
from evalkit.verbs.plan import ScoreOptions, plan
from evalkit.verbs.scoring import score_plans

KIND = "text"  # the one kind of record so far
NO_CLUSTER = "none"


def score(
    predictions: Sequence[str],
    references: Sequence[str | Sequence[str]],
    metrics: Sequence[str | Metric] = (),
    *,
    protocol: str | None = None,
    ids: Sequence[str | int] | None = None,
    cluster: Sequence[str | int] | None = None,
    slices: Mapping[str, Sequence[Any]] | None = None,
    system: str = "system",
    set: str | None = None,
    resamples: int | None = None,
    level: float | None = None,
    interval: str | None = None,
    seed: int = 12345,
    bootstrap: str = "poisson",
    workers: int = 1,
    cache: bool = False,
    progress: Callable[[str, int, int], None] = silent,
) -> Result:
    """Score one system; the same code path as `evalkit score`, and no file is written.

    Parameters
    ----------
    predictions : [n] texts.
    references : [n], each a text or several texts.
    metrics : names with parameters (`"chrf:word_order=2"`) or metrics; default: the protocol's.
    protocol : name or path; default: the one for text.
    ids : [n], default "1", "2", …; they key the resampling, so keep them when you compare.
    cluster : [n], what is resampled where examples belong together (documents, speakers).
    slices : field -> [n] values.
    resamples, level, interval : default: the protocol's (2000, 0.95, "auto").
    workers : processes; more than one needs `if __name__ == "__main__":` around the call.

    Raises DataError, MetricError, ProtocolError, UsageError.
    """
    examples = _examples(predictions, references, ids, cluster, slices or {})
    chosen = _protocol(protocol)
    options = _options(
        chosen,
        resamples=resamples,
        level=level,
        interval=interval,
        seed=seed,
        bootstrap=bootstrap,
        slices=tuple(slices or ()),
    )
    made = _metrics(metrics, chosen)
    with Pool(workers) as pool:
        builder = Builder(
            Cache(default_folder()) if cache else None, pool if workers > 1 else None, progress
        )
        planned = [plan(System(system, examples), chosen, options, set)]
        return score_plans(planned, made, options, builder, threads=processors())[0]


@dataclass(frozen=True)
class ScoreRequest:
    """What `evalkit score` was asked; None: the protocol's, or as many as there are processors."""

    predictions: tuple[str, ...]
    references: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    protocol: str | None = None
    fields: tuple[str, ...] = ()
    format: str | None = None
    allow_missing: bool = False
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
    workers: int | None = None
    threads: int | None = None
    cache: bool = True


@dataclass
class ScoreRun:
    """`notes`: what was chosen for the user; `folders`: what was written."""

    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def score_files(request: ScoreRequest, progress: Progress = silent) -> ScoreRun:
    """Read, score and, where `out` is given, write; everything is checked before the work."""
    started = time.time()
    run = ScoreRun()
    chosen = _protocol(request.protocol)
    metrics = _metrics(request.metrics, chosen)
    _check_required(request.require, metrics)
    cluster = request.cluster if request.cluster is not None else chosen.cluster
    options = _options(
        chosen,
        resamples=request.resamples,
        level=request.level,
        interval=request.interval,
        seed=request.seed,
        bootstrap=request.bootstrap,
        cluster=None if cluster is None else cluster != NO_CLUSTER,
        slices=request.slices,
    )
    systems = read_systems(request.predictions, request.references, _reading(request, cluster))
    plans = [plan(system, chosen, options, request.set) for system in systems]
    if request.out is not None:
        for one in plans:
            check(request.out, one.document, replace=request.replace)
    if request.protocol is None:
        run.notes.append(f"protocol {chosen.name} (the default for {KIND})")
    if cluster is None and any(one.clusters is not None for one in plans):
        run.notes.append("resampled by cluster, because the records have one (--cluster none)")
    workers = request.workers or processors()
    with Pool(workers) as pool:
        builder = Builder(
            Cache(default_folder()) if request.cache else None,
            pool if workers > 1 else None,
            progress,
            eager=request.workers is not None and workers > 1,
        )
        run.results = score_plans(plans, metrics, options, builder, request.threads or processors())
    for result in run.results:
        _refuse_unavailable(result, request.require)
    if builder.hits:
        run.notes.append(f"from the cache (--no-cache): {', '.join(builder.hits)}")
    if request.out is not None:
        about = _run_record(request, systems, started)
        run.results = [replace(result, run=about) for result in run.results]
        run.folders = [write(request.out, result) for result in run.results]
    return run


def _reading(request: ScoreRequest, cluster: str | None) -> ReadOptions:
    fields = parse_fields(request.fields)
    if cluster not in (None, NO_CLUSTER):
        fields["cluster"] = str(cluster)
    return ReadOptions(fields, request.format, request.allow_missing)


def _run_record(request: ScoreRequest, systems: Sequence[System], started: float) -> dict[str, Any]:
    """What varies from run to run."""
    sources = sorted({source for system in systems for source in system.sources})
    return {
        "schema": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "files": {source: file_digest(source) for source in sources},
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {
            "evalkit": evalkit.__version__,
            **{name: metadata.version(name) for name in ("numpy", "scipy", "sacrebleu")},
        },
    }


def _protocol(name: str | None) -> Protocol:
    return protocols.load(name) if name is not None else protocols.default_for(KIND)


def _metrics(asked: Sequence[str | Metric], chosen: Protocol) -> list[Metric]:
    """The metrics asked for, else the protocol's; MetricError where one reads other records."""
    specs = asked or chosen.metrics
    made = [one if isinstance(one, Metric) else catalogue.metric(one) for one in specs]
    for metric in made:
        if metric.reads != KIND:
            raise MetricError(f"{metric.name} reads {metric.reads}, but the records hold {KIND}")
    return made


def _options(chosen: Protocol, **given: Any) -> ScoreOptions:
    """What is not given (None, or no slices) comes from the protocol."""
    for name in ("resamples", "level", "interval"):
        if given[name] is None:
            given[name] = getattr(chosen, name)
    given["slices"] = tuple(given["slices"] or chosen.slices)
    return ScoreOptions(**given)


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


def _examples(
    predictions: Sequence[str],
    references: Sequence[str | Sequence[str]],
    ids: Sequence[str | int] | None,
    cluster: Sequence[str | int] | None,
    slices: Mapping[str, Sequence[Any]],
) -> list[Example]:
    count = len(predictions)
    columns: dict[str, Iterable[Any] | None] = {
        "references": references,
        "ids": ids,
        "cluster": cluster,
        **{f"slices[{field!r}]": values for field, values in slices.items()},
    }
    for name, column in columns.items():
        if column is not None and (length := len(list(column))) != count:
            raise DataError(f"{length} {name} for {count} predictions")
    if count == 0:
        raise DataError("there are no predictions")
    named = ids if ids is not None else range(1, count + 1)
    examples = [
        Example(
            text_id(id, f"ids[{i}]"),
            text.prediction(predictions[i], f"predictions[{i}]"),
            text.references(references[i], f"references[{i}]"),
            None if cluster is None else str(cluster[i]),
            {field: values[i] for field, values in slices.items()},
        )
        for i, id in enumerate(named)
    ]
    examples.sort(key=lambda example: example.id.encode())
    for one, other in itertools.pairwise(examples):
        if one.id == other.id:
            raise DataError(f'the id "{one.id}" appears twice; ids must be unique')
    return examples
