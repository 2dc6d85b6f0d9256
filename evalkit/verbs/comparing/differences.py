"""Each system less the baseline, by metric, slice and output, as records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit import catalogue
from evalkit.errors import DataError
from evalkit.results import Result
from evalkit.stats.intervals import NoIntervalError
from evalkit.verbs.comparing.contrasts import Contrast, Part, Work, contrast
from evalkit.verbs.comparing.entrants import Entrant
from evalkit.verbs.comparing.options import CompareOptions
from evalkit.verbs.stored import slice_masks, stored_metric, units_of

Record = dict[str, Any]
KEPT = ("metric", "label", "output", "scale", "higher_is_better", "detail", "signature")


@dataclass(frozen=True)
class Compared:
    """A metric on a slice: a contrast with the baseline per other system, and its records."""

    part: Part
    names: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    differences: list[Record] = field(default_factory=list)
    warnings: list[Record] = field(default_factory=list)


def compared(entrants: Sequence[Entrant], labels: Sequence[str], work: Work) -> Iterator[Compared]:
    """Per metric, then per slice of the baseline."""
    first = entrants[0].runs[0]
    names = tuple(one.name for one in entrants)
    for label in labels:
        metric = stored_metric(first.tables[label].header)
        described = {
            record["output"]: record for record in first.scores if record["label"] == label
        }
        for name, chosen in slice_masks(first):
            if name is not None and name["field"] == work.options.fold:
                continue
            tables = tuple(
                tuple(_taken(run.tables[label], chosen) for run in one.runs) for one in entrants
            )
            units = units_of(first, first.tables[label], chosen)
            folds = _folds(entrants, work.options.fold, chosen)
            part = Part(metric, name, tables, units, folds)
            with catalogue.named_errors(type(metric)):
                found = _compared(part, names, described, work)
            yield found


def _taken(table: Any, chosen: NDArray[np.bool_] | None) -> Any:
    return table if chosen is None else table.take(chosen)


def _folds(
    entrants: Sequence[Entrant], name: str | None, chosen: NDArray[np.bool_] | None
) -> tuple[tuple[tuple[str, ...], ...], ...] | None:
    if name is None:
        return None
    return tuple(
        tuple(_fold_labels(one.name, run, name, chosen) for run in one.runs) for one in entrants
    )


def _fold_labels(
    entrant: str, run: Result, name: str, chosen: NDArray[np.bool_] | None
) -> tuple[str, ...]:
    labels = []
    for i, example in enumerate(run.examples):
        if chosen is not None and not chosen[i]:
            continue
        if (label := example["fields"].get(name)) is None:
            raise DataError(f'id "{example["id"]}" of {entrant} has no field "{name}" (--fold)')
        labels.append(str(label))
    return tuple(labels)


def _compared(
    part: Part, names: tuple[str, ...], described: Mapping[str, Record], work: Work
) -> Compared:
    contrasts = tuple(contrast(part, 0, one, work) for one in range(1, len(names)))
    found = Compared(part, names, contrasts)
    for output, name in enumerate(part.outputs):
        for system, one in zip(names[1:], contrasts, strict=True):
            record = _described(described[name], part, system, one.values[:, output])
            if record["status"] == "ok":
                _judge(record, one, output, part, work.options)
            if part.name is None and output == 0 and record["interval"]:
                found.warnings.extend(
                    {"system": system, "label": record["label"], "code": code, "message": message}
                    for code, message in one.cautions(output)
                )
            found.differences.append(record)
    return found


def _described(stored: Record, part: Part, system: str, values: NDArray[np.float64]) -> Record:
    """values: of the baseline and of the system."""
    theirs, ours = (float(value) if math.isfinite(value) else None for value in values)
    defined = theirs is not None and ours is not None
    return {
        **{key: stored[key] for key in KEPT},
        "system": system,
        "slice": part.name,
        "n": len(part.tables[0][0].ids),
        "baseline_value": theirs,
        "value": ours,
        "difference": float(values[1] - values[0]) if defined else None,
        "status": "ok" if defined else "undefined",
        "interval": None,
        "test": None,
        "standard_error": None,
        "detectable": None,
        "margin": None,
    }


def _judge(record: Record, one: Contrast, output: int, part: Part, options: CompareOptions) -> None:
    """The test, the interval, the smallest difference that could be seen, the margin's verdicts."""
    test = one.test(output)
    record["test"] = test if math.isfinite(test["p"]) else None
    units = len(part.units.names)
    try:
        record["interval"] = one.interval(output, options.level) | {
            "unit": "cluster" if part.units.clustered else "example",
            "units": units,
        }
    except NoIntervalError as error:
        record["interval_reason"] = str(error)
        return
    record["standard_error"] = one.standard_error(output)
    margin = margin_of(record, options)
    record["detectable"] = _detectable(one, output, margin, options)
    if margin is not None:
        with suppress(NoIntervalError):
            sided = one.interval(output, 2 * options.level - 1)
            record["margin"] = _margin(record, sided, margin, options)


def margin_of(record: Record, options: CompareOptions) -> float | None:
    """The margin for this value: the one named most exactly, else the one for all."""
    given = dict(options.margins)
    full = f"{record['label']} {record['output']}"
    names = (full, record["label"], record["metric"], "")
    return next((given[name] for name in names if name in given), None)


def _detectable(
    one: Contrast, output: int, margin: float | None, options: CompareOptions
) -> Record | None:
    """difference: the smallest that is seen with this power; units: how many show `wanted`."""
    if not one.standard_error(output) > 0:
        return None
    smallest = one.detectable(output, options.level, options.power)
    wanted = margin or _half(smallest)
    return {
        "difference": smallest,
        "power": options.power,
        "wanted": wanted,
        "units": one.units_wanted(output, wanted, options.level, options.power),
    }


def _half(value: float) -> float:
    """About half of it, in one digit: 0.9 -> 0.5."""
    half = value / 2
    step = 10.0 ** math.floor(math.log10(half))
    return round(half / step) * step


def _margin(record: Record, sided: Record, margin: float, options: CompareOptions) -> Record:
    """Non-inferiority and equivalence by one-sided bounds (two one-sided tests: Schuirmann 1987).

    low, high: of the gain, which is above 0 where the system is better.
    """
    low, high = sided["low"], sided["high"]
    if not record["higher_is_better"]:
        low, high = -high, -low
    return {
        "margin": margin,
        "low": low,
        "high": high,
        "level": options.level,
        "non_inferior": _verdict(low > -margin, high < -margin),
        "equivalent": _verdict(low > -margin and high < margin, high < -margin or low > margin),
    }


def _verdict(holds: bool, fails: bool) -> str:
    return "yes" if holds else "no" if fails else "undecided"
