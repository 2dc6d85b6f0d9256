"""`score`: how good is it? From Python on lists, and from files as the command does."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

import evalkit
from evalkit import catalogue
from evalkit import protocol as protocols
from evalkit.errors import DataError, MetricError, ProtocolError, UsageError, counted
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
from evalkit.verbs.plan import NO_CLUSTER, Plan, ScoreOptions, plan
from evalkit.verbs.scoring import score_plans

KIND = "text"  # the one kind of record so far


def score(
    predictions: Sequence[str],
    references: Sequence[str | Sequence[str]],
    metrics: str | Metric | Sequence[str | Metric] = (),
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
    asked = [metrics] if isinstance(metrics, str | Metric) else list(metrics)
    made = _metrics(asked, chosen)
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
        cluster=cluster,
        slices=request.slices,
    )
    systems = read_systems(request.predictions, request.references, _reading(request, cluster))
    plans = [plan(system, chosen, options, request.set) for system in systems]
    _refuse_mixed_sets(plans, request.set)
    run.notes.extend(_replaced(plans, metrics, request))
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
    if builder.hits > 0:
        run.notes.append(
            f"{builder.hits} of {len(plans) * len(metrics)} tables from the cache "
            "(--no-cache counts again)"
        )
    if request.out is not None:
        run.results = [
            replace(result, run=_run_record(request, system, started))
            for result, system in zip(run.results, systems, strict=True)
        ]
        run.folders = write(request.out, run.results, replace=request.replace)
    return run


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
    return ReadOptions(fields, request.format, request.allow_missing, cluster != NO_CLUSTER)


def _run_record(request: ScoreRequest, system: System, started: float) -> dict[str, Any]:
    """What varies from run to run."""
    return {
        "schema": 1,
        "request": msgspec.to_builtins(request, enc_hook=str),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "files": {source: file_digest(source) for source in system.sources},
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
        value = getattr(chosen, name)
        try:
            ScoreOptions(**{name: value})
        except UsageError as error:
            raise ProtocolError(error.message, protocols.place(chosen, name)) from None
        if given[name] is None:
            given[name] = value
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
    texts = _column("predictions", predictions, None)
    count = len(texts)
    if count == 0:
        raise DataError("there are no predictions")
    truths = _references(references, count)
    clusters = [None] * count if cluster is None else _column("cluster", cluster, count)
    fields = {name: _column(f"slices[{name!r}]", slices[name], count) for name in slices}
    named = range(1, count + 1) if ids is None else _column("ids", ids, count)
    examples = [
        Example(
            text_id(id, f"ids[{i}]"),
            text.prediction(texts[i], f"predictions[{i}]"),
            text.references(truths[i], f"references[{i}]"),
            None if clusters[i] is None else str(clusters[i]),
            {name: values[i] for name, values in fields.items()},
        )
        for i, id in enumerate(named)
    ]
    examples.sort(key=lambda example: example.id.encode())
    for one, other in pairwise(examples):
        if one.id == other.id:
            raise DataError(f'the id "{one.id}" appears twice; ids must be unique')
    return examples


def _column(name: str, values: Any, count: int | None) -> list[Any]:
    """A list of `count` plain Python values; numpy arrays, series and generators become one."""
    if isinstance(values, str | bytes | Mapping):
        raise DataError(f"{name} must be a list, not one {type(values).__name__}")
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    if count is not None and len(found) != count:
        raise DataError(f"{len(found)} {name} for {counted(count, 'prediction')}")
    return found


def _references(references: Any, count: int) -> list[Any]:
    found = _column("references", references, None)
    if len(found) != count:
        by_stream = all(isinstance(one, list | tuple) and len(one) == count for one in found)
        hint = "; one list per example is wanted, not one per reference: zip(*references)"
        raise DataError(
            f"references of {counted(len(found), 'example')} for {counted(count, 'prediction')}"
            + (hint if found and by_stream else "")
        )
    return found
