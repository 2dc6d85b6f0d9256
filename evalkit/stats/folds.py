"""Cross-validation: the pooled value, its spread over folds, and an interval for both.

The folds' training sets overlap, so that their values are correlated (Nadeau and Bengio 2003).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evalkit.errors import MetricError, counted
from evalkit.metric import Metric
from evalkit.stats.intervals import NoIntervalError, Scale
from evalkit.stats.student import OPEN, Variances, refuse_few
from evalkit.stats.units import Units
from evalkit.table import Floats, Table, require_same

ENOUGH_FOLDS = 5
MOST_UNEQUAL = 2  # largest fold over smallest
FEWEST_IN_FOLD = 2  # examples; a corpus metric of one example is another metric
METHOD = "nadeau-bengio"
ESTIMAND = (
    "the expected value on the population of a model trained on {share:.0%} of as many examples"
)

Place = tuple[int, str]


@dataclass(frozen=True)
class Folds:
    """One system under cross-validation, repeated with other folds where there are many tables.

    values [repeats, outputs]: the metric on all examples, each predicted by its fold's model.
    fold_values [folds, outputs]: of the examples of one fold; `places`, `sizes`: its repeat and
    label, and its examples. `labels`: per repeat, the fold of each example in order of id.
    """

    metric: Metric
    units: Units
    ids: tuple[bytes, ...]
    labels: tuple[tuple[str, ...], ...]
    values: Floats
    fold_values: Floats
    places: tuple[Place, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(
        cls,
        metric: Metric,
        tables: Sequence[Table],
        labels: Sequence[Sequence[str]],
        units: Units,
    ) -> Folds:
        """tables: one per repeat, at least one; labels: the fold of each example in order of id.

        MetricError where headers or ids differ, or where a repeat has one fold only.
        """
        first = tables[0]
        for number, table in enumerate(tables[1:], start=2):
            require_same(first.header, table.header)
            if first.ids != table.ids:
                raise MetricError(f"repeats 1 and {number} hold different ids; use one set")
        values = [_value(metric, table) for table in tables]
        fold_values, places, sizes = [], [], []
        for repeat, (table, folds) in enumerate(zip(tables, labels, strict=True), start=1):
            sized = Counter(folds)
            if len(sized) < 2:
                raise MetricError(f"{counted(len(sized), 'fold')}; cross-validation has at least 2")
            column = np.array(list(folds), dtype=object)
            for label in sorted(sized):
                fold_values.append(_value(metric, table.take(column == label)))
                places.append((repeat, label))
                sizes.append(sized[label])
        return cls(
            metric,
            units,
            first.ids,
            tuple(map(tuple, labels)),
            np.stack(values),
            np.stack(fold_values),
            tuple(places),
            tuple(sizes),
        )

    @property
    def value(self) -> Floats:
        """[outputs]: the pooled value, the mean over repeats."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def overlap(self) -> float:
        """Test examples per training example, the mean over folds: 1 / (k - 1) of k equal ones."""
        held = np.array(self.sizes)
        return float(np.mean(held / (len(self.ids) - held)))


def fold_interval(
    folds: Folds, output: int = 0, *, level: float = 0.95, scale: Scale = OPEN
) -> dict[str, Any]:
    """Around the pooled value; beside what `interval` gives, standard_error and fold_values.

    Variance: (1 / J + test / training examples) times the variance s² of the J fold values, with
    J - 1 degrees of freedom: the corrected resampled t-test of Nadeau and Bengio 2003, who derive
    it for random splits; for repeats J is folds times repeats (Bouckaert and Frank 2004).
    NoIntervalError with the reason.
    """
    return _interval(folds, folds.value, folds.fold_values, output, level, scale)


def fold_difference(
    baseline: Folds, system: Folds, output: int = 0, *, level: float = 0.95
) -> dict[str, Any]:
    """`value` (system - baseline), its `interval` and `p` from the differences fold by fold.

    MetricError where the two were not tested on the same folds; NoIntervalError as fold_interval.
    """
    if baseline.metric != system.metric or baseline.ids != system.ids:
        raise MetricError("the two systems are not of one metric on the same ids")
    if (differs := _first_difference(baseline, system)) is not None:
        raise MetricError(f"{differs}; only systems trained on the same folds are paired")
    values = system.value - baseline.value
    differences = system.fold_values - baseline.fold_values
    record = _interval(system, values, differences, output, level, OPEN)
    record["estimand"] = f"the difference of {ESTIMAND.format(share=_share(system))}"
    value = float(values[output])
    p_value = _variances(system, differences[:, output]).p_value(value)
    return {"value": value, "interval": record, "p": p_value}


def fold_cautions(folds: Folds) -> Iterator[tuple[str, str]]:
    """(code, message): few-folds."""
    if len(folds.places) < ENOUGH_FOLDS:
        yield (
            "few-folds",
            f"{len(folds.places)} folds; a spread between fewer than {ENOUGH_FOLDS} is rough",
        )


def _interval(
    folds: Folds, values: Floats, fold_values: Floats, output: int, level: float, scale: Scale
) -> dict[str, Any]:
    refuse_few(folds.units)
    _refuse_sizes(folds)
    _refuse_split_clusters(folds)
    found = fold_values[:, output]
    if (lost := np.flatnonzero(np.isnan(found))).size:
        raise NoIntervalError(f'the value of fold "{folds.places[lost[0]][1]}" is undefined')
    return {
        **_variances(folds, found).around(float(values[output]), level, scale),
        "method": METHOD,
        "estimand": ESTIMAND.format(share=_share(folds)),
        "degrees_of_freedom": len(found) - 1,
        "folds": len(found),
        "repeats": len(folds.labels),
        "fold_deviation": float(found.std(ddof=1)),
        "fold_values": [
            {"repeat": repeat, "fold": label, "n": size, "value": float(value)}
            for (repeat, label), size, value in zip(folds.places, folds.sizes, found, strict=True)
        ],
    }


def _variances(folds: Folds, values: Floats) -> Variances:
    variance = float(values.var(ddof=1)) * (1 / len(values) + folds.overlap)
    return Variances(((variance, len(values) - 1),))


def _share(folds: Folds) -> float:
    """Of the examples, how many a model is trained on."""
    return 1 - float(np.mean(folds.sizes)) / len(folds.ids)


def _value(metric: Metric, table: Table) -> Floats:
    ones = np.ones((1, len(table.ids)), np.uint8)
    values, _ = metric.scorer(table).measure(ones, errors=False)
    return np.asarray(values[0])


def _refuse_sizes(folds: Folds) -> None:
    smallest, largest = min(folds.sizes), max(folds.sizes)
    if smallest < FEWEST_IN_FOLD:
        raise NoIntervalError(f"a fold of one example; a fold needs at least {FEWEST_IN_FOLD}")
    if largest > MOST_UNEQUAL * smallest:
        raise NoIntervalError(
            f"folds of {smallest:,} to {largest:,} examples; the largest may be at most "
            f"{MOST_UNEQUAL} times the smallest, because all count the same"
        )


def _refuse_split_clusters(folds: Folds) -> None:
    """A cluster in two folds is in the training set of a model that is tested on it."""
    if folds.units.unit_of is None:
        return
    for labels in folds.labels:
        places: dict[int, str] = {}
        for unit, label in zip(folds.units.unit_of.tolist(), labels, strict=True):
            if (known := places.setdefault(unit, label)) != label:
                name = folds.units.names[unit].decode()
                raise NoIntervalError(f'cluster "{name}" is in folds "{known}" and "{label}"')


def _first_difference(baseline: Folds, system: Folds) -> str | None:
    if len(baseline.labels) != len(system.labels):
        return f"{len(baseline.labels)} and {counted(len(system.labels), 'repeat')}"
    for theirs, ours in zip(baseline.labels, system.labels, strict=True):
        for one, left, right in zip(baseline.ids, theirs, ours, strict=True):
            if left != right:
                return f'id "{one.decode()}" is in fold "{left}" and in fold "{right}"'
    return None
