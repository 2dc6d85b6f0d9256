"""A system less the baseline: of two tables, of training runs, or of cross-validated folds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from evalkit.metric import Metric
from evalkit.stats.cautions import cautions
from evalkit.stats.detectable import detectable, units_wanted
from evalkit.stats.folds import Folds, fold_cautions, fold_difference
from evalkit.stats.intervals import NoIntervalError, Situation, interval, wants_errors
from evalkit.stats.paired import DifferenceScorer
from evalkit.stats.randomisation import Randomised, randomisation, shifted_bootstrap
from evalkit.stats.resampling import Resamples, resample
from evalkit.stats.runs import Runs, run_cautions, run_difference
from evalkit.stats.units import Units
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Floats, Table
from evalkit.tables.build import Progress
from evalkit.verbs.comparing.options import CompareOptions

Record = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A metric on the whole set or a slice. tables: of each system, one per run.

    folds: of each system and run the fold of every example, where these are cross-validated.
    """

    metric: Metric
    name: Mapping[str, str] | None
    tables: tuple[tuple[Table, ...], ...]
    units: Units
    folds: tuple[tuple[tuple[str, ...], ...], ...] | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.tables[0][0].header.outputs


@dataclass(frozen=True)
class Work:
    """How it is done: what the values depend on, and what they do not."""

    options: CompareOptions
    progress: Progress
    threads: int


class Contrast(Protocol):
    """values [2, outputs]: of the baseline and of the system; moves [b, outputs] or None."""

    @property
    def values(self) -> Floats: ...

    @property
    def moves(self) -> Floats | None:
        """The difference in every resample, where there are resamples."""
        ...

    def interval(self, output: int, level: float) -> Record:
        """As of stats.intervals.interval; NoIntervalError."""
        ...

    def test(self, output: int) -> Record:
        """name, p (NaN where undefined), and what it rests on."""
        ...

    def standard_error(self, output: int) -> float: ...

    def detectable(self, output: int, level: float, power: float) -> float:
        """The smallest true difference that this test, alone, finds with this power."""
        ...

    def units_wanted(
        self, output: int, difference: float, level: float, power: float
    ) -> int | None:
        """How many units find this true difference; None where that is not theirs alone to do."""
        ...

    def cautions(self, output: int) -> Iterator[tuple[str, str]]: ...


def contrast(part: Part, baseline: int, system: int, work: Work) -> Contrast:
    """Of two systems by number; tables that cannot tell more are compared as they are."""
    if part.folds is not None:
        return FoldContrast(part, baseline, system, work)
    if len(part.tables[baseline]) > 1 or len(part.tables[system]) > 1:
        return RunContrast(part, baseline, system, work)
    return TableContrast(part, baseline, system, work)


@dataclass(frozen=True)
class TableContrast:
    """Two tables: paired resamples and swaps."""

    part: Part
    baseline: int
    system: int
    work: Work

    @cached_property
    def scorer(self) -> DifferenceScorer:
        unit_of = self.part.units.unit_of
        ours, theirs = (self.part.tables[one][0] for one in (self.system, self.baseline))
        metric = self.part.metric
        return DifferenceScorer(metric.scorer(theirs, unit_of), metric.scorer(ours, unit_of))

    @cached_property
    def values(self) -> Floats:
        ones = np.ones((1, len(self.part.units.names)), np.uint8)
        both = (self.scorer.baseline, self.scorer.system)
        return np.concatenate([one.measure(ones, errors=False)[0] for one in both])

    @property
    def declared(self) -> str:
        own = self.part.metric.interval
        return own if own != "centred" else "percentile"

    @cached_property
    def resamples(self) -> Resamples:
        options, units = self.work.options, self.part.units
        references = self.part.tables[0][0].header.references
        stage = f"{self.part.metric.label}: resampling"
        return resample(
            [self.scorer],
            [wants_errors(options.interval, self.declared)],
            PoissonDraws(unit_keys(units.names, options.seed, references)),
            options.resamples,
            threads=self.work.threads,
            progress=lambda done: self.work.progress(stage, done, options.resamples),
        )[0]

    @property
    def moves(self) -> Floats | None:
        return self.resamples.values

    def situation(self, output: int) -> Situation:
        units = self.part.units
        return Situation(self.scorer, self.resamples, output, len(units.names), units.clustered)

    def interval(self, output: int, level: float) -> Record:
        options = self.work.options
        found = interval(
            self.situation(output),
            options.interval,
            declared=self.declared,
            level=level,
            scale=(None, None),
        )
        return found | {"resamples": options.resamples, "seed": options.seed}

    @cached_property
    def tested(self) -> Randomised | Floats:
        options, part = self.work.options, self.part
        if options.test == "bootstrap":
            return shifted_bootstrap(self.resamples.values, self.resamples.point)
        stage = f"{part.metric.label}: swapping"
        return randomisation(
            part.metric,
            part.tables[self.baseline][0],
            part.tables[self.system][0],
            part.units,
            swaps=options.swaps,
            seed=options.seed,
            threads=self.work.threads,
            progress=lambda done: self.work.progress(stage, done, options.swaps),
        )

    def test(self, output: int) -> Record:
        found = self.tested
        if isinstance(found, Randomised):
            p = float(found.p[output])
            return {"name": "randomisation", "p": p, "swaps": found.swaps, "exact": found.exact}
        resamples = self.work.options.resamples
        return {"name": "bootstrap", "p": float(found[output]), "resamples": resamples}

    def standard_error(self, output: int) -> float:
        """Linearised where the metric has slopes, else the standard deviation of the resamples."""
        found = float(self.resamples.point_error[output])
        return found if math.isfinite(found) else float(np.nanstd(self.resamples.values[:, output]))

    def detectable(self, output: int, level: float, power: float) -> float:
        return detectable(self.standard_error(output), level=level, power=power)

    def units_wanted(
        self, output: int, difference: float, level: float, power: float
    ) -> int | None:
        units, error = len(self.part.units.names), self.standard_error(output)
        return units_wanted(units, error, difference, level=level, power=power)

    def cautions(self, output: int) -> Iterator[tuple[str, str]]:
        return cautions(self.situation(output), "bootstrap-t")


@dataclass(frozen=True)
class StudentContrast(ABC):
    """An interval with t quantiles, whose width more examples alone do not make small."""

    part: Part
    baseline: int
    system: int
    work: Work

    @property
    def moves(self) -> Floats | None:
        return None

    @abstractmethod
    def difference(self, output: int, level: float) -> Record:
        """value, interval, p; NoIntervalError."""

    def interval(self, output: int, level: float) -> Record:
        found: Record = self.difference(output, level)["interval"]
        return found

    def test(self, output: int) -> Record:
        try:
            found = self.difference(output, self.work.options.level)
        except NoIntervalError:
            return {"name": "t", "p": math.nan}
        return {"name": found["interval"]["method"], "p": float(found["p"])}

    def standard_error(self, output: int) -> float:
        return float(self.interval(output, self.work.options.level)["standard_error"])

    def detectable(self, output: int, level: float, power: float) -> float:
        """By the interval's own quantiles: half of it and half of a narrower one."""
        halves = (self.interval(output, one) for one in (level, 2 * power - 1))
        return float(sum((one["high"] - one["low"]) / 2 for one in halves))

    def units_wanted(
        self, output: int, difference: float, level: float, power: float
    ) -> int | None:
        return None


class RunContrast(StudentContrast):
    """Systems with several training runs: the runs' variance beside the set's."""

    @cached_property
    def sides(self) -> tuple[Runs, Runs]:
        options, part = self.work.options, self.part
        stage = f"{part.metric.label}: resampling runs"
        theirs, ours = (
            Runs.of(
                part.metric,
                part.tables[one],
                part.units,
                resamples=options.resamples,
                seed=options.seed,
                threads=self.work.threads,
                progress=lambda done: self.work.progress(stage, done, options.resamples),
            )
            for one in (self.baseline, self.system)
        )
        return theirs, ours

    @property
    def values(self) -> Floats:
        return np.stack([side.value for side in self.sides])

    def difference(self, output: int, level: float) -> Record:
        return run_difference(*self.sides, output, level=level)

    def cautions(self, output: int) -> Iterator[tuple[str, str]]:
        return run_cautions(self.sides[1], output, baseline=self.sides[0])


class FoldContrast(StudentContrast):
    """Cross-validated systems, tested on the same folds."""

    @cached_property
    def sides(self) -> tuple[Folds, Folds]:
        part = self.part
        assert part.folds is not None
        theirs, ours = (
            Folds.of(part.metric, part.tables[one], part.folds[one], part.units)
            for one in (self.baseline, self.system)
        )
        return theirs, ours

    @property
    def values(self) -> Floats:
        return np.stack([side.value for side in self.sides])

    def difference(self, output: int, level: float) -> Record:
        return fold_difference(*self.sides, output, level=level)

    def cautions(self, output: int) -> Iterator[tuple[str, str]]:
        return fold_cautions(self.sides[1])
