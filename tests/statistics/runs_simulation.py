"""How often do the intervals over training runs cover? Sets and runs drawn with a known truth.

`python -m tests.statistics.runs_simulation` prints the tables of docs/intervals.md.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from evalkit.metric import ExampleScorer, Metric
from evalkit.stats.runs import Runs, run_difference, run_interval
from evalkit.stats.units import Units
from evalkit.table import Array, Floats, Header, Ints, Table
from tests.statistics.simulation import Mean, MicroF1

LEVEL = 0.95
SETS = 4000
RESAMPLES = 1000  # of the metric without influence values, and of the pigeonhole bootstrap
ENOUGH_FOR_PIGEONHOLE = 10
MEAN, MICRO_F1 = Mean(), MicroF1()
METHODS = ("two-way-t", "satterthwaite", "pigeonhole", "units only")


class MeanWithoutSlopes(Mean):
    """The same values, but nothing is known of how they come about."""

    def scorer(self, table: Table, unit_of: Ints | None = None) -> ExampleScorer:  # type: ignore[override]
        return ExampleScorer(self, self.prepare(table), unit_of)

    def prepare(self, table: Table) -> Array:  # type: ignore[override]
        values: Array = table.rows[:, 0].astype(np.float64)
        return values

    def score(self, prepared: Array, weights: Array) -> Floats:  # type: ignore[override]
        totals = weights.sum(axis=1, keepdims=True).astype(np.float64)
        empty: Floats = np.full_like(totals, np.nan)
        np.divide((weights @ prepared)[:, None], totals, out=empty, where=totals > 0)
        return empty


@dataclass(frozen=True)
class Drawn:
    """rows [runs, units, k] of each side (a baseline may be missing), and what the value is of."""

    system: Floats
    baseline: Floats | None
    truth: float


@dataclass(frozen=True)
class Case:
    """`runs`: of the system and, for a difference, of the baseline."""

    name: str
    metric: Metric
    units: int
    runs: tuple[int, ...]
    seed: int
    draw: Callable[[np.random.Generator, Case], Drawn]


@dataclass(frozen=True)
class Components:
    """Variances of units, runs, and units within runs; of a difference: of the units' difference.

    heavy: the units are lognormal.
    """

    unit: float
    run: float
    error: float
    heavy: bool = False

    def __call__(self, generator: np.random.Generator, case: Case) -> Drawn:
        """A difference's systems share unit effects of variance 1; the second is a baseline."""
        units = case.units
        own = self._units(generator, units)
        sides, runs = [], []
        shared = generator.normal(0, 1, units) if len(case.runs) == 2 else np.zeros(units)
        for number, count in enumerate(case.runs):
            effects = generator.normal(0, math.sqrt(self.run), count)
            noise = generator.normal(0, math.sqrt(self.error), (count, units))
            values = shared + (own if number == 0 else 0) + effects[:, None] + noise
            sides.append(np.stack([values, np.ones_like(values)], axis=2))
            runs.append(effects)
        if len(sides) == 1:
            return Drawn(sides[0], None, 0.0)
        fixed = [float(effects[0]) if len(effects) == 1 else 0.0 for effects in runs]
        return Drawn(sides[0], sides[1], fixed[0] - fixed[1])

    def _units(self, generator: np.random.Generator, units: int) -> Floats:
        if not self.heavy:
            return generator.normal(0, math.sqrt(self.unit), units)
        spread = math.sqrt((math.e - 1) * math.e)
        drawn = (generator.lognormal(0, 1, units) - math.exp(0.5)) / spread
        return np.asarray(math.sqrt(self.unit) * drawn)


@dataclass(frozen=True)
class Detections:
    """(tp, fp, fn): a thing is found with logit 1.2 + unit + run + both, normal deviations."""

    unit: float
    run: float
    both: float

    def __call__(self, generator: np.random.Generator, case: Case) -> Drawn:
        shape = case.runs[0], case.units
        things = generator.negative_binomial(1.2, 1.2 / 5.2, case.units)
        logit = 1.2 + generator.normal(0, self.unit, case.units)
        logit = logit + generator.normal(0, self.run, (shape[0], 1))
        found = generator.binomial(things, special.expit(logit + self._both(generator, shape)))
        wrong = generator.poisson(generator.gamma(0.8, 1.25, case.units), shape)
        rows = np.stack([found, wrong, things - found], axis=2).astype(np.float64)
        return Drawn(rows, None, self.truth())

    def _both(self, generator: np.random.Generator, shape: tuple[int, int]) -> Floats:
        return generator.normal(0, self.both, shape)

    @cache  # noqa: B019 (a frozen value, a handful of them)
    def truth(self) -> float:
        """Expected over runs: 2 tp / (2 tp + fp + fn) of a run with 4 things, 1 wrong per unit."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        weights = weights / weights.sum()
        within = math.hypot(self.unit, self.both)
        found = 4 * (special.expit(1.2 + self.run * nodes[:, None] + within * nodes) @ weights)
        return float((2 * found / (4 + found + 1)) @ weights)


def _case(
    name: str,
    units: int,
    runs: tuple[int, ...],
    seed: int,
    draw: Components | Detections,
    metric: Metric = MEAN,
) -> Case:
    return Case(name, metric, units, runs, seed, draw)


LARGE = Components(0.4, 0.1, 0.5)
SMALL = Components(0.4, 0.004, 0.5)
NONE = Components(0.4, 0.0, 0.5)
HEAVY = Components(0.4, 0.004, 0.5, heavy=True)
SEEDED = Detections(0.8, 0.15, 0.8)
SAME = Detections(0.8, 0.0, 0.8)

VALUES = (
    *(_case("mean, runs differ much", 100, (r,), 20 + r, LARGE) for r in (2, 3, 5, 10)),
    *(_case("mean, runs differ a little", 100, (r,), 40 + r, SMALL) for r in (2, 3, 5, 10)),
    *(_case("mean, runs do not differ", 50, (r,), 60 + r, NONE) for r in (2, 3, 5, 10)),
    _case("mean of lognormal units", 100, (5,), 80, HEAVY),
    *(_case("micro-F1, runs differ", 100, (r,), 100 + r, SEEDED, MICRO_F1) for r in (3, 5, 10)),
    *(_case("micro-F1, runs do not differ", 100, (r,), 120 + r, SAME, MICRO_F1) for r in (3, 10)),
    *(_case("mean by resampling", 100, (r,), 140 + r, SMALL, MeanWithoutSlopes()) for r in (3, 10)),
)
DIFFERENCES = (
    *(
        _case("runs differ much", 100, pair, 200 + i, LARGE)
        for i, pair in enumerate([(2, 2), (3, 3), (5, 3), (10, 3), (10, 10), (5, 1)])
    ),
    *(
        _case("runs differ a little", 100, pair, 220 + i, SMALL)
        for i, pair in enumerate([(3, 3), (5, 3), (10, 10), (5, 1)])
    ),
    *(
        _case("runs do not differ", 100, pair, 240 + i, NONE)
        for i, pair in enumerate([(3, 3), (5, 5), (5, 1)])
    ),
)


@dataclass(frozen=True)
class Simulated:
    """`bounds`: method -> [sets, 2]; truths [sets]; shares [sets]: of the seed; p [sets] of 0."""

    bounds: dict[str, Floats]
    truths: Floats
    shares: Floats
    p_values: Floats

    def coverage(self, method: str = "two-way-t") -> float:
        low, high = self.bounds[method].T
        return float(((low <= self.truths) & (self.truths <= high)).mean())

    def misses(self, method: str) -> tuple[float, float]:
        """Shares of the intervals that lie wholly below and wholly above the truth."""
        low, high = self.bounds[method].T
        return float((high < self.truths).mean()), float((low > self.truths).mean())

    def width(self, method: str) -> float:
        return float(np.median(np.diff(self.bounds[method])))


def simulate(case: Case, sets: int = SETS) -> Simulated:
    """Set i does not depend on how many there are."""
    bounds: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
    truths, shares, p_values = [], [], []
    for number in range(sets):
        generator = np.random.default_rng([case.seed, number])
        drawn = case.draw(generator, case)
        value, record, p_value, sides = measured(case, drawn, number)
        truths.append(drawn.truth)
        shares.append(record["seed_share"])
        p_values.append(p_value)
        bounds["two-way-t"].append((record["low"], record["high"]))
        for method, half in _others(sides, record).items():
            bounds[method].append((value - half, value + half))
        if drawn.baseline is None and min(case.runs) >= ENOUGH_FOR_PIGEONHOLE:
            bounds["pigeonhole"].append(_pigeonhole(generator, case.metric, drawn.system))
    found = {method: np.array(pairs) for method, pairs in bounds.items() if pairs}
    return Simulated(found, np.array(truths), np.array(shares), np.array(p_values))


def measured(
    case: Case, drawn: Drawn, number: int
) -> tuple[float, dict[str, float], float, list[Runs]]:
    """Value, interval, p-value (NaN of a value), and the runs of each side, system first."""
    system = _runs(case, drawn.system, number)
    if drawn.baseline is None:
        record = run_interval(system, level=LEVEL)
        return float(system.value[0]), record, math.nan, [system]
    baseline = _runs(case, drawn.baseline, number)
    found = run_difference(baseline, system, level=LEVEL)
    return found["value"], found["interval"], found["p"], [system, baseline]


def _runs(case: Case, rows: Floats, number: int) -> Runs:
    header = Header(case.metric.name, {}, "", ("value",), "", f"{case.name}, {number}")
    ids = tuple(f"{i:05d}".encode() for i in range(case.units))
    tables = [Table(header, ids, np.arange(case.units), run) for run in rows]
    return Runs.of(case.metric, tables, Units(ids), resamples=RESAMPLES)


def _others(sides: list[Runs], record: dict[str, float]) -> dict[str, float]:
    """Half widths: Student's t with Satterthwaite's degrees of freedom; the units' part alone."""
    degrees = len(sides[0].units.names) - 1
    by_runs = sum(side.between(0)[1] for side in sides)
    by_units = record["standard_error"] ** 2 - by_runs
    squares = by_units**2 / degrees
    for side in sides:
        given, left = side.between(0)
        if left:
            squares += given**2 / (side.count - 1)
            squares += float(side.interaction[0]) ** 2 / (degrees * (side.count - 1))
    freedom = (by_units + by_runs) ** 2 / squares
    tail = (1 + LEVEL) / 2
    return {
        "satterthwaite": float(special.stdtrit(freedom, tail)) * record["standard_error"],
        "units only": float(special.stdtrit(degrees, tail)) * math.sqrt(by_units),
    }


def _pigeonhole(
    generator: np.random.Generator, metric: Metric, rows: Floats
) -> tuple[float, float]:
    """Two-way bootstrap (Owen 2007): units and runs drawn with replacement, percentile."""
    runs, units, k = rows.shape
    by_unit = generator.poisson(1, (RESAMPLES, units)).astype(np.float64)
    by_run = generator.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
    sums = np.einsum("bu,ruk->rbk", by_unit, rows, optimize=True)
    values = metric.from_sums(sums.reshape(-1, k), {})  # type: ignore[attr-defined]
    drawn = (values.reshape(runs, RESAMPLES) * by_run.T).sum(axis=0) / runs
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


HEADER = """\
| {} | units | runs | two-way-t covers | Satterthwaite | pigeonhole | units only | width | seed |
|---|---|---|---|---|---|---|---|---|"""


def row(case: Case, found: Simulated) -> str:
    """Per cent; width: median, by that of units only; seed: the mean share of the variance."""
    width = found.width("two-way-t") / found.width("units only")
    cells = [
        case.name,
        f"{case.units}",
        " and ".join(map(str, case.runs)),
        *(_covers(found, method) for method in METHODS),
        f"{width:.2f}",
        f"{100 * found.shares.mean():.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _covers(found: Simulated, method: str) -> str:
    if method not in found.bounds:
        return "–"
    share = found.coverage(method)
    if method != "two-way-t":
        return f"{100 * share:.1f}"
    below, above = (f"{100 * one:.1f}" for one in found.misses(method))
    error = math.sqrt(share * (1 - share) / len(found.truths))
    return f"{100 * share:.1f} ± {100 * error:.2f} ({below}, {above})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=SETS)
    options = parser.parse_args()
    started = time.process_time()
    for title, cases in (("value", VALUES), ("difference of means", DIFFERENCES)):
        print(HEADER.format(title), flush=True)
        for case in cases:
            print(row(case, simulate(case, options.sets)), flush=True)
        print()
    print(f"{options.sets:,} sets, {time.process_time() - started:,.0f} s of CPU")


if __name__ == "__main__":
    main()
