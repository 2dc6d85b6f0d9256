"""What a gate rule is judged by: values, differences and their one-sided bounds, from tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evalkit import catalogue
from evalkit.errors import ResultError
from evalkit.metric import Metric, Scorer
from evalkit.results import Result
from evalkit.stats.intervals import (
    FLAT,
    POPULATION,
    NoIntervalError,
    Situation,
    interval,
    wants_errors,
)
from evalkit.stats.paired import DifferenceScorer
from evalkit.stats.resampling import Resamples, resample
from evalkit.stats.units import Units
from evalkit.stats.weights import Draws, MultinomialDraws, PoissonDraws, unit_keys
from evalkit.table import Table
from evalkit.tables.pool import processors
from evalkit.verbs.stored import Mask, units_of

STEPS = 40  # halvings of the range in which a p-value lies
LEAST = 1e-300  # p-value; 0 would say that it cannot be
SAME_BITS = 1e-12
SAME = 1e-6  # relative: a value from its table against the one in result.json
Scale = tuple[float | None, float | None]
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """What must hold: sign * (number - threshold) > 0, or >= 0 where not strict."""

    threshold: float
    sign: int
    strict: bool

    def holds(self, number: float, *, rounded: bool = False) -> bool:
        """rounded: a number that differs by no more than rounding is the threshold."""
        ahead = self.sign * (number - self.threshold)
        if rounded and abs(ahead) <= rounding(number, self.threshold):
            ahead = 0.0
        return ahead > 0 or (ahead == 0 and not self.strict)

    def near(self, bounds: Record) -> float:
        """The bound that must be good for a pass."""
        return float(bounds["low" if self.sign > 0 else "high"])

    def far(self, bounds: Record) -> float:
        """The bound that must be bad for an alarm."""
        return float(bounds["high" if self.sign > 0 else "low"])


@dataclass(frozen=True)
class Pair:
    """One metric of one system, and of the baseline where there is one, on some examples."""

    metric: Metric
    system: Result
    label: str
    baseline: Result | None = None
    chosen: Mask | None = None

    @property
    def units(self) -> Units:
        return units_of(self.system, self.system.tables[self.label], self.chosen)

    def table(self, of: Result) -> Table:
        table = of.tables[self.label]
        return table if self.chosen is None else table.take(self.chosen)

    def value(self, of: Result, position: int) -> float:
        """By the table, of one output; NaN where it is undefined."""
        table = self.table(of)
        ones = np.ones((1, len(table.ids)), np.uint8)
        with catalogue.named_errors(type(self.metric)):
            return float(self.metric.scorer(table).measure(ones, errors=False)[0][0, position])

    def scorer(self, of: Result) -> Scorer:
        return self.metric.scorer(self.table(of), self.units.unit_of)


@dataclass(frozen=True)
class Evidence:
    """A value or a difference, and how sure it is.

    range: how far from 0 the difference of one example may be, where the value is their mean;
    same: all resamples agree; certain: so would any, because the predictions are equal.
    """

    value: float
    situation: Situation
    method: str
    declared: str
    scale: Scale
    range: float | None = None
    same: bool = False
    certain: bool = False

    def between(self, tail: float) -> Mapping[str, Any]:
        """The two bounds that each leave `tail` (0..0.5) beyond them; NoIntervalError."""
        if self.same and self.certain:
            return self._alike("equal predictions", 0.0, tail)
        if self.same and self.range is not None and not self.situation.clustered:
            return self._alike("all units agree", 1 - tail ** (1 / self.situation.units), tail)
        level = 1 - 2 * tail
        return interval(
            self.situation, self.method, declared=self.declared, level=level, scale=self.scale
        )

    def _alike(self, method: str, others: float, tail: float) -> dict[str, Any]:
        """All n agree, so at most 1 - tail^(1/n) of all do not (Clopper and Pearson 1934); these
        others lie anywhere within the range."""
        range = self.range or 0.0
        low = self.value - others * (self.value + range)
        high = self.value + others * (range - self.value)
        return {
            "low": low,
            "high": high,
            "level": 1 - 2 * tail,
            "method": method,
            "estimand": POPULATION,
        }

    def p_value(self, claim: Claim, draws: int, *, beyond: bool = False) -> float:
        """Of the claim: the least tail at which the far bound contradicts it.

        At least 1 / (draws + 1), or `tail` from there on where beyond; 1 where the value itself
        agrees with the claim.
        """
        if claim.holds(self.value):
            return 1.0

        def contradicts(tail: float) -> bool:
            try:
                return not claim.holds(claim.far(self.between(tail)))
            except NoIntervalError:  # too narrow to hold the value, which contradicts
                return True

        least, most = 1 / (draws + 1), 0.5
        if contradicts(least):
            return min(least, (self.tail(claim) if beyond else None) or least)
        for _ in range(STEPS):
            middle = (least + most) / 2
            least, most = (least, middle) if contradicts(middle) else (middle, most)
        return most

    def tail(self, claim: Claim) -> float | None:
        """Of the claim, by Student's t of the linearised standard error (Cameron and Miller 2015).

        For where resamples are too few to tell; None without such an error.
        """
        from scipy import special  # loaded where it is needed: a third of a second

        units, output = self.situation.units, self.situation.output
        error = float(self.situation.resamples.point_error[output])
        if not error > FLAT * abs(self.value) or units < 2:
            return None
        ahead = claim.sign * (self.value - claim.threshold)
        t = ahead / (error * math.sqrt(units / (units - 1)))
        return max(float(special.stdtr(units - 1, t)), LEAST)


@dataclass(frozen=True)
class Bench:
    """Draws each resample of each metric, system and slice once; draws: how many, a count."""

    draws: int
    drawn: dict[Any, tuple[Scorer, Resamples]] = field(default_factory=dict)

    def single(self, pair: Pair, record: Record, position: int) -> Evidence:
        """Of a value held against a number; its interval is of the kind that was stored."""
        options = pair.system.document["options"]
        method = "auto" if options["interval"] == "none" else str(options["interval"])
        declared, units = pair.metric.interval, pair.units
        whole = pair.metric.scorer(pair.table(pair.system))
        scorer, found = self._drawn(pair, None, method, declared)
        scale = (record["scale"][0], record["scale"][1])
        binary = whole.binary(position) if scale == (0, 1) else None
        situation = Situation(scorer, found, position, len(units.names), units.clustered, binary)
        value = pair.value(pair.system, position)
        return Evidence(value, situation, method, declared, scale)

    def paired(self, pair: Pair, record: Record, position: int) -> Evidence:
        """Of system - baseline under the same keyed weights."""
        assert pair.baseline is not None
        declared, units = pair.metric.interval, pair.units
        declared = declared if declared != "centred" else "percentile"
        scorer, found = self._drawn(pair, pair.baseline, "auto", declared)
        situation = Situation(scorer, found, position, len(units.names), units.clustered)
        value = pair.value(pair.system, position) - pair.value(pair.baseline, position)
        low, high = record["scale"]
        return Evidence(
            value,
            situation,
            "auto",
            declared,
            (None, None),
            high - low if declared == "mean" and None not in (low, high) else None,
            same=bool(
                np.allclose(found.values[:, position], value, rtol=SAME_BITS, atol=SAME_BITS)
            ),
            certain=predictions_of(pair.system) == predictions_of(pair.baseline),
        )

    def _drawn(
        self, pair: Pair, baseline: Result | None, method: str, declared: str
    ) -> tuple[Scorer, Resamples]:
        """All outputs of a metric on a slice, of the system or of its difference."""
        part = None if pair.chosen is None else pair.chosen.tobytes()
        key = id(pair.system), pair.label, part, baseline is None
        if key not in self.drawn:
            scorer = pair.scorer(pair.system)
            if baseline is not None:
                scorer = DifferenceScorer(pair.scorer(baseline), scorer)
            options = pair.system.document["options"]
            if baseline is not None:
                options = {**options, "bootstrap": "poisson"}  # the others pair nothing
            draws = _draws(options, pair.units, pair.system.tables[pair.label].header.references)
            wanted = [wants_errors(method, declared)]
            found = resample([scorer], wanted, draws, self.draws, threads=processors())
            self.drawn[key] = scorer, found[0]
        return self.drawn[key]


def rounding(*numbers: float) -> float:
    """By how much a difference of such numbers may miss its decimal value."""
    return SAME_BITS * max(1.0, *map(abs, numbers))


def predictions_of(result: Result) -> str:
    return str(result.document["inputs"]["predictions"])


def _draws(options: Mapping[str, Any], units: Units, references: str) -> Draws:
    if options["bootstrap"] == "multinomial":
        return MultinomialDraws(len(units.names), options["seed"])
    return PoissonDraws(unit_keys(units.names, options["seed"], references))


def require_stored(value: float, record: Mapping[str, Any], system: str) -> None:
    """ResultError where a value is not the one that its table gives."""
    stored = record["value"]
    if stored is not None and not math.isclose(value, stored, rel_tol=SAME, abs_tol=SAME):
        raise ResultError(
            f"{system}: result.json says that {record['label']} {record['output']} is {stored:g}, "
            f"but its table gives {value:g}: one of them was changed; score again"
        )
