"""The engine of `score`: tables once, then values and intervals of every system and slice."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit import catalogue
from evalkit.errors import MetricError, UnavailableError, UsageError, counted
from evalkit.metric import Fitted, Metric, Output, Scorer
from evalkit.results import Result
from evalkit.stats.cautions import cautions
from evalkit.stats.intervals import NoIntervalError, Situation, interval, wants_errors
from evalkit.stats.resampling import Resamples, resample
from evalkit.stats.units import Units
from evalkit.stats.weights import Draws, MultinomialDraws, PoissonDraws, unit_keys
from evalkit.table import Floats, Table
from evalkit.tables.build import Builder
from evalkit.verbs.plan import Plan, ScoreOptions

Record = dict[str, Any]
Fits = dict[tuple[str, str], Fitted]


@dataclass(frozen=True)
class Built:
    """A metric on one system: its table, or why there is none."""

    metric: Metric
    signature: str | None
    outputs: tuple[Output, ...]
    table: Table | None
    scorer: Scorer | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Slice:
    """Some of the examples: `chosen` [n], None for all of them; `units` and `draws` are theirs."""

    name: Mapping[str, str] | None
    chosen: NDArray[np.bool_] | None
    examples: int
    units: Units
    draws: Draws


@dataclass(frozen=True)
class Measured:
    """One metric of one system on one slice: values [outputs] over examples, and resamples."""

    examples: Scorer
    units: Scorer
    values: Floats
    resamples: Resamples


def score_plans(
    plans: Sequence[Plan],
    metrics: Sequence[Metric],
    options: ScoreOptions,
    builder: Builder,
    threads: int = 1,
) -> list[Result]:
    """One result per plan, in their order; systems with the same units share their weights."""
    names = [metric.label for metric in metrics]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f'the metric "{twice}" is named twice')
    fits: Fits = {}
    built = [
        _build(one, metrics, builder, fits, f"{position}/{len(plans)} " if len(plans) > 1 else "")
        for position, one in enumerate(plans, start=1)
    ]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for position, one in enumerate(plans):
        groups.setdefault(one.unit_key, []).append(position)
    results: dict[int, Result] = {}
    for members in groups.values():
        records: dict[int, list[Record]] = {i: [] for i in members}
        warnings: dict[int, list[Record]] = {i: [] for i in members}
        for part in _slices(plans[members[0]], options):
            measured = _measure([built[i] for i in members], part, options, builder, threads)
            for i, found in zip(members, measured, strict=True):
                for metric, what in zip(built[i], found, strict=True):
                    for record, cautioned in _records(metric, what, part, options):
                        records[i].append(record)
                        warnings[i].extend(cautioned)
                    warnings[i].extend(_resample_remarks(metric, what, part))
        for i in members:
            results[i] = _result(plans[i], built[i], records[i], warnings[i])
    return [results[i] for i in range(len(plans))]


def _build(
    one: Plan, metrics: Sequence[Metric], builder: Builder, fits: Fits, place: str
) -> list[Built]:
    """fits: by metric and set of references, shared by the systems of a call."""
    references = one.system.references_digest
    built = []
    for metric in metrics:
        try:
            with catalogue.named_errors(type(metric)):
                if (metric.label, references) not in fits:
                    fits[metric.label, references] = metric.fit(
                        [example.references for example in one.system.examples]
                    )
                fitted = fits[metric.label, references]
                signature = metric.signature(fitted)
                outputs = metric.output_list(fitted)
            table = builder.table(metric, one.system, fitted, references, place)
            scorer = _try_once(metric, table, outputs)
            built.append(Built(metric, signature, outputs, table, scorer))
        except UnavailableError as error:
            built.append(Built(metric, None, metric.outputs, None, reason=error.message))
        except MetricError as error:
            if not place:
                raise
            raise MetricError(f"{one.system.name}: {error.message}", error.where) from error
    return built


def _try_once(metric: Metric, table: Table, outputs: tuple[Output, ...]) -> Scorer:
    """MetricError where score or from_sums fails or gives another shape than the outputs."""
    with catalogue.named_errors(type(metric)):
        ones = np.ones((1, len(table.ids)), np.uint8)
        scorer = metric.scorer(table)
        values, _ = scorer.measure(ones, errors=True)
    if values.shape != (1, len(outputs)):
        raise MetricError(
            f"{metric.name}: values of shape {values.shape}, but one row of weights and "
            f"{counted(len(outputs), 'output')} want (1, {len(outputs)})"
        )
    return scorer


def _slices(plan: Plan, options: ScoreOptions) -> Iterator[Slice]:
    """The whole set, then each value of each slice field in order of name."""
    ids = plan.system.ids
    units = Units.of(ids, plan.clusters)
    draws: Draws
    if options.bootstrap == "multinomial":
        draws = MultinomialDraws(len(units.names), options.seed)
    else:
        set_name = plan.system.references_digest
        draws = PoissonDraws(unit_keys(units.names, options.seed, set_name))
    yield Slice(None, None, len(ids), units, draws)
    for field, labels in plan.slices.items():
        for value in sorted(set(labels), key=_natural):
            chosen = np.array([label == value for label in labels])
            taken, numbers = units.take(chosen)
            name = {"field": field, "value": value}
            yield Slice(name, chosen, int(chosen.sum()), taken, draws.take(numbers))


def _natural(label: str) -> list[tuple[int, int, str]]:
    """d2 before d10."""
    parts = re.split(r"(\d+)", label)
    return [(1, int(part), "") if part.isdecimal() else (2, 0, part) for part in parts]


def _measure(
    systems: Sequence[Sequence[Built]],
    part: Slice,
    options: ScoreOptions,
    builder: Builder,
    threads: int,
) -> list[list[Measured | None]]:
    """Per system and metric; None where there is no table."""
    flat = [one for system in systems for one in system if one.table is not None]
    by_example, by_unit = [], []
    for one in flat:
        assert one.table is not None
        assert one.scorer is not None
        table = one.table if part.chosen is None else one.table.take(part.chosen)
        by_example.append(one.scorer if part.chosen is None else one.metric.scorer(table))
        clustered = one.metric.scorer(table, part.units.unit_of) if part.units.clustered else None
        by_unit.append(clustered or by_example[-1])
    wanted = [wants_errors(options.interval, one.metric.interval) for one in flat]
    count = 0 if options.interval == "none" else options.resamples
    stage = "resampling" if part.name is None else "resampling {field}={value}".format(**part.name)
    resampled = resample(
        by_unit,
        wanted,
        part.draws,
        count,
        threads=threads,
        progress=lambda done: builder.progress(stage, done, count),
    )
    ones = np.ones((1, part.examples), np.uint8)
    found = iter(
        Measured(example, unit, example.measure(ones, errors=False)[0][0], draws)
        for example, unit, draws in zip(by_example, by_unit, resampled, strict=True)
    )
    return [[next(found) if one.table is not None else None for one in each] for each in systems]


def _records(
    built: Built, measured: Measured | None, part: Slice, options: ScoreOptions
) -> Iterator[tuple[Record, list[Record]]]:
    """One record per output, and its cautions."""
    for position, output in enumerate(built.outputs):
        record: Record = {
            "metric": built.metric.name,
            "label": built.metric.label,
            "output": output.name,
            "parameters": built.metric.parameters,
            "signature": built.signature,
            "slice": part.name,
            "n": part.examples,
            "scale": list(output.scale),
            "higher_is_better": output.higher_is_better,
            "detail": output.detail,
            "value": None,
            "interval": None,
        }
        cautioned: list[Record] = []
        if measured is None:
            record |= {"status": "unavailable", "reason": built.reason}
        elif not math.isfinite(value := float(measured.values[position])):
            record |= {"status": "undefined", "reason": "the metric is not defined on these data"}
        else:
            record |= {"status": "ok", "value": value}
            cautioned = _add_interval(record, measured, position, part, options, built, output)
        yield record, cautioned


def _resample_remarks(built: Built, measured: Measured | None, part: Slice) -> Iterator[Record]:
    if measured is None or built.table is None or not len(measured.resamples.values):
        return
    table = built.table if part.chosen is None else built.table.take(part.chosen)
    unit_of = part.units.unit_of if part.units.clustered else None
    values = measured.resamples.values
    for code, message in built.metric.resample_remarks(table, values, unit_of):
        place = {"metric": built.metric.label, "output": None, "slice": part.name}
        yield {**place, "code": code, "message": message}


def _add_interval(
    record: Record,
    measured: Measured,
    position: int,
    part: Slice,
    options: ScoreOptions,
    built: Built,
    output: Output,
) -> list[Record]:
    situation = Situation(
        measured.units,
        measured.resamples,
        position,
        len(part.units.names),
        part.units.clustered,
        measured.examples.binary(position) if output.scale == (0, 1) else None,
    )
    try:
        found = interval(
            situation,
            options.interval,
            declared=built.metric.interval,
            level=options.level,
            scale=output.scale,
        )
    except NoIntervalError as error:
        record["interval_reason"] = str(error)
        return []
    record["interval"] = found | {
        "resamples": options.resamples,
        "bootstrap": options.bootstrap,
        "seed": options.seed,
        "unit": "cluster" if part.units.clustered else "example",
        "units": len(part.units.names),
        "clusters": len(part.units.names) if part.units.clustered else None,
    }
    place = {"metric": record["label"], "output": record["output"], "slice": record["slice"]}
    return [
        {**place, "code": code, "message": message}
        for code, message in cautions(situation, found["method"])
    ]


def _result(
    plan: Plan, built: Sequence[Built], records: list[Record], warnings: list[Record]
) -> Result:
    if plan.system.missing:
        warnings.insert(
            0,
            {
                "metric": None,
                "output": None,
                "slice": None,
                "code": "missing-predictions",
                "message": f"{plan.system.missing} missing predictions were scored as empty",
            },
        )
    nowhere = {"metric": None, "output": None, "slice": None}
    for code, message in plan.system.remarks:
        warnings.append({**nowhere, "code": code, "message": message})
    for one in built:
        for code, message in one.metric.remarks(one.table) if one.table is not None else ():
            place = {"metric": one.metric.label, "output": None, "slice": None}
            warnings.append({**place, "code": code, "message": message})
    tables = {one.metric.label: one.table for one in built if one.table is not None}
    document = {**plan.document, "scores": records, "warnings": warnings}
    return Result(document, tables, _examples(plan, built))


def _examples(plan: Plan, built: Sequence[Built]) -> list[Record]:
    """What was scored, in order of id, with the value of every example alone where it is cheap."""
    columns = {
        one.metric.label: each
        for one in built
        if one.scorer is not None and (each := one.scorer.each()) is not None
    }
    names = {one.metric.label: [output.name for output in one.outputs] for one in built}
    lists = {label: each.tolist() for label, each in columns.items()}
    return [
        {
            "id": example.id,
            "cluster": example.cluster,
            "prediction": example.prediction,
            "references": example.references,
            "fields": example.fields,
            "scores": {
                label: {
                    name: value if math.isfinite(value) else None
                    for name, value in zip(names[label], values[i], strict=True)
                }
                for label, values in lists.items()
            },
        }
        for i, example in enumerate(plan.system.examples)
    ]
