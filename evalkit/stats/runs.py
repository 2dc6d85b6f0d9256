"""Several training runs of one system: an interval for the test set's and the runs' variance.

Units and runs are crossed, as items and raters are. Measured coverage: docs/intervals.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evalkit.errors import MetricError
from evalkit.metric import Metric, Scorer
from evalkit.stats.cautions import cautions
from evalkit.stats.intervals import MOST_UNDEFINED, NoIntervalError, Scale, Situation
from evalkit.stats.resampling import Resamples, resample
from evalkit.stats.student import OPEN, Variances, refuse_few, same_units
from evalkit.stats.units import Units
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Array, Floats, Table, require_same

ENOUGH_RUNS = 5
METHOD = "two-way-t"
BOTH = "the expected value over training runs and over the population that the units are drawn from"
BOTH_SAME_SIZE = "the expected value over training runs and over sets of this size"


@dataclass(frozen=True)
class MeanScorer(Scorer):
    """The mean over runs, under the same weights in each."""

    runs: tuple[Scorer, ...]

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        values = _mean([run.measure(weights, errors=False)[0] for run in self.runs])
        return values, np.full_like(values, np.nan)

    def resampled(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        values = _mean([run.resampled(weights, errors=False)[0] for run in self.runs])
        return values, np.full_like(values, np.nan)

    def influence(self) -> Floats | None:
        found = _streamed(self.runs)
        return None if found is None else found[0]

    def binary(self, output: int) -> tuple[int, int] | None:
        return None

    def each(self) -> Floats | None:
        columns = [run.each() for run in self.runs]
        known = [column for column in columns if column is not None]
        return _mean(known) if len(known) == len(columns) else None


@dataclass(frozen=True)
class Runs:
    """A system's runs on the same units.

    values [runs, outputs]: of each run. effects [m, outputs]: of the mean over runs, either the
    influence of each of m units or, where a metric has none, its value in each of m resamples
    (sampled). interaction [outputs]: what units and runs together add to the variance of the mean.
    """

    metric: Metric
    units: Units
    scorer: MeanScorer
    values: Floats
    effects: Floats
    interaction: Floats
    sampled: bool

    @classmethod
    def of(
        cls,
        metric: Metric,
        tables: Sequence[Table],
        units: Units,
        *,
        resamples: int = 2000,
        seed: int = 12345,
        threads: int = 1,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Runs:
        """tables: one per run, at least one. MetricError where their headers or ids differ."""
        first = tables[0]
        for number, table in enumerate(tables[1:], start=2):
            require_same(first.header, table.header)
            if first.ids != table.ids:
                raise MetricError(f"runs 1 and {number} hold different ids; score both on one set")
        scorer = MeanScorer(tuple(metric.scorer(table, units.unit_of) for table in tables))
        ones = np.ones((1, len(units.names)), np.uint8)
        values = np.concatenate([run.measure(ones, errors=False)[0] for run in scorer.runs])
        streamed = _streamed(scorer.runs)
        if streamed is None:
            draws = PoissonDraws(unit_keys(units.names, seed, first.header.references))
            unwanted = [False] * len(tables)
            found = resample(
                scorer.runs, unwanted, draws, resamples, threads=threads, progress=progress
            )
            effects, squares = _drawn([run.values for run in found])
        else:
            effects, squares = streamed
        scale = _correction(units) / (len(tables) * max(len(tables) - 1, 1))
        return cls(metric, units, scorer, values, effects, squares * scale, streamed is None)

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def value(self) -> Floats:
        """[outputs]: the mean over runs."""
        return np.asarray(self.values.mean(axis=0))

    def deviation(self, output: int) -> float | None:
        """The standard deviation between runs; None for one run."""
        return float(self.values[:, output].std(ddof=1)) if self.count > 1 else None

    def between(self, output: int) -> tuple[float, float]:
        """Variance of the mean that other runs would bring: on the same units, and beyond units'.

        MS runs / (units runs), and the same less MS error, not below 0; 0 and 0 for one run.
        """
        if self.count == 1:
            return 0.0, 0.0
        given = float(self.values[:, output].var(ddof=1)) / self.count
        return given, max(0.0, given - float(self.interaction[output]))


def run_interval(
    runs: Runs, output: int = 0, *, level: float = 0.95, scale: Scale = OPEN
) -> dict[str, Any]:
    """Of the mean over at least 2 runs; beside what `interval` gives, standard_error, seed_share.

    Variance: the analysis of variance of linearised contributions [units, runs], (MS units +
    MS runs - MS error) / (units runs). Width: Howe 1974 on its two parts, MS units with units - 1
    and MS runs - MS error, where positive, with runs - 1 degrees of freedom. seed_share: what
    infinitely many runs would take from the variance. NoIntervalError with the reason.
    """
    if runs.count == 1:
        raise NoIntervalError("one run; the variance between runs takes at least 2")
    estimand = BOTH_SAME_SIZE if runs.metric.interval == "centred" else BOTH
    record = _interval([runs], float(runs.value[output]), output, level, scale, estimand)
    return record | {"runs": runs.count, "run_deviation": runs.deviation(output)}


def run_difference(
    baseline: Runs, system: Runs, output: int = 0, *, level: float = 0.95
) -> dict[str, Any]:
    """`value` (system - baseline), its `interval` as of run_interval, and `p` (two-sided).

    Units are paired; the two systems' runs are independent: their variances add, with Welch's
    degrees of freedom. A side of one run is taken as that run, which the estimand says. MetricError
    where the tables do not pair; NoIntervalError with the reason.
    """
    if baseline.count == system.count == 1:
        raise NoIntervalError("one run of each system; the variance between runs takes at least 2")
    if baseline.metric != system.metric or not same_units(baseline.units, system.units):
        raise MetricError("the runs of the two systems are not of one metric on the same units")
    value = float(system.value[output] - baseline.value[output])
    sides = [system, baseline]
    record = _interval(sides, value, output, level, OPEN, _difference_estimand(baseline, system))
    named = {"baseline": baseline, "system": system}
    record["runs"] = {name: side.count for name, side in named.items()}
    record["run_deviation"] = {name: side.deviation(output) for name, side in named.items()}
    p_value = _variances(sides, output)[0].p_value(value)
    return {"value": value, "interval": record, "p": p_value}


def run_cautions(
    system: Runs, output: int = 0, *, baseline: Runs | None = None
) -> Iterator[tuple[str, str]]:
    """(code, message): one-run, identical-runs, few-runs, and of a value what its units warn of."""
    sides = [("", system)] if baseline is None else [("baseline: ", baseline), ("system: ", system)]
    for name, side in sides:
        values = side.values[:, output]
        if side.count == 1:
            message = f"{name}one run; how other runs would differ from it is not included"
            yield "one-run", message + _if_alike(sides, output)
        elif (values == values[0]).all() and side.interaction[output] == 0:
            yield "identical-runs", f"{name}all {side.count} runs agree in every unit"
        elif side.count < ENOUGH_RUNS:
            yield (
                "few-runs",
                f"{name}{side.count} runs; a spread between fewer than {ENOUGH_RUNS} is rough",
            )
    if baseline is None:
        none = np.zeros((0, system.values.shape[1]))
        found = Resamples(system.value, none, none, none)
        units = system.units
        situation = Situation(system.scorer, found, output, len(units.names), units.clustered)
        yield from cautions(situation, METHOD)


def _if_alike(sides: Sequence[tuple[str, Runs]], output: int) -> str:
    """What the one run of a side hides, if its runs spread as the other side's."""
    several = [side for _, side in sides if side.count > 1]
    if len(sides) == 1 or not several:
        return ""
    found, _ = _variances([side for _, side in sides], output)
    hidden = several[0].between(output)[1] * several[0].count
    alike = math.hypot(found.standard_error, math.sqrt(hidden))
    return (
        f"; were they spread as the other system's, the standard error would be {alike:.3g} "
        f"instead of {found.standard_error:.3g}"
    )


def _interval(
    sides: Sequence[Runs], value: float, output: int, level: float, scale: Scale, estimand: str
) -> dict[str, Any]:
    refuse_few(sides[0].units)
    for side in sides:
        if (lost := np.flatnonzero(np.isnan(side.values[:, output]))).size:
            raise NoIntervalError(f"the value of run {lost[0] + 1} is undefined")
    found, undefined = _variances(sides, output)
    (by_units, degrees), (by_runs, degrees_of_runs) = found.parts
    given = sum(side.between(output)[0] for side in sides)
    return {
        **found.around(value, level, scale),
        "method": METHOD,
        "estimand": estimand,
        "degrees_of_freedom": {"units": degrees, "runs": degrees_of_runs if by_runs else None},
        "seed_share": min(1.0, given / (by_units + by_runs)),
        "undefined": undefined,
    }


def _variances(sides: Sequence[Runs], output: int) -> tuple[Variances, int]:
    """Of units and of runs, for the first side less the second; and resamples without a value."""
    effects, sampled = sides[0].effects[:, output], sides[0].sampled
    if len(sides) == 2:
        if sampled != sides[1].sampled or len(effects) != len(sides[1].effects):
            raise MetricError("the runs of the two systems were not resampled alike")
        effects = effects - sides[1].effects[:, output]
    undefined = int(np.isnan(effects).sum())
    if undefined > MOST_UNDEFINED * len(effects):
        raise NoIntervalError(f"undefined in {undefined / len(effects):.0%} of the resamples")
    squares = _variance(effects) if sampled else np.square(effects).sum()
    by_units = float(squares) * _correction(sides[0].units)
    between = [(side.between(output)[1], side.count - 1) for side in sides if side.count > 1]
    by_runs = sum(part for part, _ in between)
    welch = sum(part**2 / degrees for part, degrees in between)
    degrees_of_runs = by_runs**2 / welch if welch else math.nan
    units = len(sides[0].units.names) - 1
    return Variances(((by_units, units), (by_runs, degrees_of_runs))), undefined


def _difference_estimand(baseline: Runs, system: Runs) -> str:
    if baseline.count > 1 and system.count > 1:
        return f"the difference of {BOTH.replace('value', 'values', 1)}"
    one, several = ("baseline", "system") if baseline.count == 1 else ("system", "baseline")
    return (
        f"the difference of the {several}'s expected value over training runs and this one run of "
        f"the {one}, on the population that the units are drawn from"
    )


def _correction(units: Units) -> float:
    """From sums over units to an unbiased variance."""
    return len(units.names) / max(len(units.names) - 1, 1)


def _mean(columns: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(np.stack(columns), axis=0))


def _streamed(scorers: Sequence[Scorer]) -> tuple[Floats, Floats] | None:
    """Mean influence over runs [units, outputs], and the squares around it [outputs]."""
    mean: Floats | None = None
    squares: Any = 0.0
    for number, scorer in enumerate(scorers, start=1):
        influence = scorer.influence()
        if influence is None:
            return None
        if mean is None:
            mean = np.zeros_like(influence)
        step = influence - mean
        mean += step / number
        squares += (step * (influence - mean)).sum(axis=0)
    return None if mean is None else (mean, np.asarray(squares))


def _drawn(runs: Sequence[Floats]) -> tuple[Floats, Floats]:
    """As _streamed, from the values of each run in the same resamples [B, outputs]."""
    mean = _mean(runs)
    return mean, np.sum([_variance(run - mean) for run in runs], axis=0)


def _variance(values: Floats) -> Floats:
    """Over the resamples [B, …] that are defined; 0 of fewer than 2."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0)
    away = np.where(known, values - filled.sum(axis=0) / np.maximum(count, 1), 0)
    return np.asarray((away**2).sum(axis=0) / np.maximum(count - 1, 1))
