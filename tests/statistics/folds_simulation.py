"""How often do the intervals of cross-validation cover? Models are trained on real folds.

`python -m tests.statistics.folds_simulation` prints the tables of docs/intervals.md.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evalkit.metric import Metric
from evalkit.stats.folds import Folds, fold_difference, fold_interval
from evalkit.stats.intervals import NoIntervalError, wilson
from evalkit.stats.units import Units
from evalkit.table import Floats, Header, Table
from tests.statistics.simulation import Mean, MicroF1

LEVEL = 0.95
SETS = 4000
TRUTH_SETS, TRUTH_SEED = 20_000, 0
FEATURES = 10
SIGNAL = 0.6  # of the classes' distance 2 · 0.6 · sqrt(3): three features of ten tell them apart
CENTRE = np.concatenate([np.full(3, SIGNAL), np.zeros(FEATURES - 3)])
PENALTY = 1.0
ACCURACY, F1 = Mean(0, 1), MicroF1()
METHODS = ("nadeau-bengio", "t over folds", "pooled examples")
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Linear:
    """Class 1 where features · slope + offset > 0."""

    slope: Floats
    offset: float

    def predict(self, features: Floats) -> NDArray[np.bool_]:
        return np.asarray(features @ self.slope + self.offset > 0)

    def hits(self) -> tuple[float, float]:
        """Exact: how often class 1 is called 1, and class 0 is called 0."""
        reach = CENTRE @ self.slope
        length = np.linalg.norm(self.slope)
        return (
            float(special.ndtr((reach + self.offset) / length)),
            float(special.ndtr((reach - self.offset) / length)),
        )


Train = Callable[[Floats, Labels], Linear]


def nearest_centroid(features: Floats, labels: Labels) -> Linear:
    high, low = features[labels == 1].mean(axis=0), features[labels == 0].mean(axis=0)
    return Linear(high - low, float((low @ low - high @ high) / 2))


def ridge(features: Floats, labels: Labels) -> Linear:
    """Least squares of ±1, the slopes held back."""
    mean = features.mean(axis=0)
    away, target = features - mean, 2.0 * labels - 1
    square = away.T @ away + PENALTY * np.eye(FEATURES)
    slope = np.linalg.solve(square, away.T @ (target - target.mean()))
    return Linear(slope, float(target.mean() - mean @ slope))


def tree_stump(features: Floats, labels: Labels) -> Linear:
    """The one feature and threshold with the fewest errors: a model that a few examples sway."""
    order = np.argsort(features, axis=0, kind="stable")
    right = np.cumsum(np.where(labels[order] == 0, 1, -1), axis=0)[:-1] + labels.sum()
    most = np.maximum(right, len(labels) - right)
    row, feature = np.unravel_index(np.argmax(most), most.shape)
    threshold = features[order[row : row + 2, feature], feature].mean()
    sign = 1.0 if right[row, feature] == most[row, feature] else -1.0
    slope = np.zeros(FEATURES)
    slope[feature] = sign
    return Linear(slope, -sign * float(threshold))


def draw(generator: np.random.Generator, size: int) -> tuple[Floats, Labels]:
    labels = generator.integers(0, 2, size)
    features = generator.normal(0, 1, (size, FEATURES)) + (2 * labels[:, None] - 1) * CENTRE
    return features, labels


@dataclass(frozen=True)
class Case:
    """`baseline`: of a difference. metric: accuracy, or the F1 of class 1."""

    name: str
    train: Train
    size: int
    folds: int
    seed: int
    repeats: int = 1
    baseline: Train | None = None
    metric: Metric = ACCURACY

    def truth(self, sets: int) -> float:
        """Expected over this many training sets of the size that each fold leaves."""
        size = self.size - self.size // self.folds
        value = expected(self.train, size, sets)[self.metric == F1]
        return value - (expected(self.baseline, size, sets)[0] if self.baseline else 0)


@cache
def expected(train: Train, size: int, sets: int) -> tuple[float, float]:
    """Accuracy and F1 on the population, the mean over training sets; both exact for each."""
    found = []
    for number in range(sets):
        high, low = train(*draw(np.random.default_rng([TRUTH_SEED, size, number]), size)).hits()
        found.append(((high + low) / 2, 2 * high / (high + (1 - low) + 1)))
    accuracy, f1 = np.mean(found, axis=0)
    return float(accuracy), float(f1)


CASES = (
    Case("accuracy, nearest centroid", nearest_centroid, 100, 5, 300),
    Case("accuracy, nearest centroid", nearest_centroid, 100, 10, 301),
    Case("accuracy, nearest centroid", nearest_centroid, 400, 10, 302),
    Case("accuracy, ridge", ridge, 60, 5, 303),
    Case("accuracy, ridge", ridge, 100, 2, 304),
    Case("accuracy, ridge", ridge, 100, 5, 305),
    Case("accuracy, ridge", ridge, 100, 5, 306, 4),
    Case("accuracy, stump", tree_stump, 100, 5, 307),
    Case("accuracy, stump", tree_stump, 100, 10, 308),
    Case("accuracy, stump", tree_stump, 400, 10, 309),
    Case("F1, ridge", ridge, 100, 5, 310, metric=F1),
)
DIFFERENCES = (
    Case("ridge less nearest centroid", ridge, 100, 5, 320, baseline=nearest_centroid),
    Case("ridge less nearest centroid", ridge, 400, 10, 321, baseline=nearest_centroid),
    Case("ridge less stump", ridge, 100, 5, 322, baseline=tree_stump),
    Case("ridge less stump", ridge, 100, 10, 323, baseline=tree_stump),
    Case("ridge less stump", ridge, 100, 5, 324, repeats=4, baseline=tree_stump),
)


@dataclass(frozen=True)
class Simulated:
    """`bounds`: method -> [sets, 2]. missing: sets without an interval, as all folds agree."""

    truth: float
    bounds: Mapping[str, Floats]
    missing: int

    def coverage(self, method: str = "nadeau-bengio") -> float:
        low, high = self.bounds[method].T
        return float(((low <= self.truth) & (self.truth <= high)).mean())

    def width(self, method: str) -> float:
        return float(np.diff(self.bounds[method]).mean())


def simulate(case: Case, sets: int = SETS, truth_sets: int = TRUTH_SETS) -> Simulated:
    """Set i does not depend on how many there are."""
    bounds: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
    missing = 0
    for number in range(sets):
        system, baseline = cross_validated(case, number)
        try:
            value, record = _measured(system, baseline)
        except NoIntervalError:
            missing += 1
            continue
        bounds["nadeau-bengio"].append((record["low"], record["high"]))
        half = special.stdtrit(record["degrees_of_freedom"], (1 + LEVEL) / 2)
        half *= record["fold_deviation"] / math.sqrt(record["folds"])
        bounds["t over folds"].append((value - half, value + half))
        bounds["pooled examples"].append(_pooled(value, system, baseline))
    truth = case.truth(truth_sets)
    return Simulated(truth, {name: np.array(one) for name, one in bounds.items()}, missing)


@dataclass(frozen=True)
class Validated:
    """One system on one set: its folds, and the table of each repeat."""

    folds: Folds
    tables: tuple[Table, ...]


def cross_validated(case: Case, number: int) -> tuple[Validated, Validated | None]:
    """The system's models, and the baseline's on the same folds."""
    generator = np.random.default_rng([case.seed, number])
    features, labels = draw(generator, case.size)
    plan = [generator.permutation(np.arange(case.size) % case.folds) for _ in range(case.repeats)]
    system = _validate(case, case.train, features, labels, plan)
    if case.baseline is None:
        return system, None
    return system, _validate(case, case.baseline, features, labels, plan)


def _validate(
    case: Case, train: Train, features: Floats, labels: Labels, plan: list[Labels]
) -> Validated:
    header = Header(case.metric.name, {}, "", ("value",), "", "")
    ids = tuple(f"{i:05d}".encode() for i in range(case.size))
    tables = []
    for folds in plan:
        predicted = np.empty(case.size, bool)
        for fold in range(case.folds):
            held = folds == fold
            predicted[held] = train(features[~held], labels[~held]).predict(features[held])
        tables.append(Table(header, ids, np.arange(case.size), _rows(case, predicted, labels)))
    names = [[f"{fold}" for fold in folds] for folds in plan]
    return Validated(Folds.of(case.metric, tables, names, Units(ids)), tuple(tables))


def _rows(case: Case, predicted: NDArray[np.bool_], labels: Labels) -> Floats:
    true = labels == 1
    if case.metric == F1:
        columns = [predicted & true, predicted & ~true, ~predicted & true]
    else:
        columns = [predicted == true, np.ones(len(true))]
    return np.column_stack(columns).astype(np.float64)


def _measured(system: Validated, baseline: Validated | None) -> tuple[float, dict[str, float]]:
    if baseline is None:
        return float(system.folds.value[0]), fold_interval(system.folds, level=LEVEL)
    found = fold_difference(baseline.folds, system.folds, level=LEVEL)
    return found["value"], found["interval"]


def _pooled(value: float, system: Validated, baseline: Validated | None) -> tuple[float, float]:
    """As if one model had predicted all: Wilson's interval, or t over the examples' influence."""
    metric, first = system.folds.metric, system.tables[0]
    if baseline is None and metric == ACCURACY:
        return wilson(round(value * len(first.ids)), len(first.ids), LEVEL)
    slopes = _influence(metric, first)
    if baseline is not None:
        slopes = slopes - _influence(metric, baseline.tables[0])
    units = len(first.ids)
    half = math.sqrt(np.square(slopes).sum() * units / (units - 1))
    half *= special.stdtrit(units - 1, (1 + LEVEL) / 2)
    return value - half, value + half


def _influence(metric: Metric, table: Table) -> Floats:
    found = metric.scorer(table).influence()
    assert found is not None
    return found


HEADER = """\
| {} | examples | folds | truth | nadeau-bengio covers | t over folds | pooled | width | none |
|---|---|---|---|---|---|---|---|---|"""


def row(case: Case, found: Simulated) -> str:
    """Per cent. width: mean of nadeau-bengio by that of pooled examples; none: sets without one."""
    share = found.coverage()
    error = math.sqrt(share * (1 - share) / len(found.bounds["nadeau-bengio"]))
    width = found.width("nadeau-bengio") / found.width("pooled examples")
    cells = [
        case.name,
        f"{case.size}",
        f"{case.folds}" if case.repeats == 1 else f"{case.folds}, {case.repeats} times",
        f"{found.truth:.4f}",
        f"{100 * share:.1f} ± {100 * error:.2f}",
        *(f"{100 * found.coverage(method):.1f}" for method in METHODS[1:]),
        f"{width:.2f}",
        f"{found.missing}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=SETS)
    options = parser.parse_args()
    started = time.process_time()
    for title, cases in (("value", CASES), ("difference in accuracy", DIFFERENCES)):
        print(HEADER.format(title), flush=True)
        for case in cases:
            print(row(case, simulate(case, options.sets)), flush=True)
        print()
    print(f"{options.sets:,} sets, {time.process_time() - started:,.0f} s of CPU")


if __name__ == "__main__":
    main()
