"""The difference of two systems under the same weights, as a scorer like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evalkit.errors import MetricError
from evalkit.metric import Metric, Scorer, SumScorer
from evalkit.panels import RESAMPLES, SideBySide, spread
from evalkit.stats.intervals import Situation, interval, wants_errors
from evalkit.stats.resampling import resample
from evalkit.stats.units import Units
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Array, Floats, Table, require_same


@dataclass(frozen=True)
class DifferenceScorer:
    """system - baseline; errors and influence where both are sums."""

    baseline: Scorer
    system: Scorer

    def measure(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        ours, theirs = (
            scorer.measure(weights, errors=False)[0] for scorer in (self.system, self.baseline)
        )
        return ours - theirs, self._errors(weights, ours - theirs, errors=errors)

    def resampled(self, weights: Array, *, errors: bool) -> tuple[Floats, Floats]:
        ours, theirs = (
            scorer.resampled(weights, errors=False)[0] for scorer in (self.system, self.baseline)
        )
        return ours - theirs, self._errors(weights, ours - theirs, errors=errors)

    def _errors(self, weights: Array, values: Floats, *, errors: bool) -> Floats:
        """NaN where they are not wanted or not known."""
        both = self._sums()
        spreads = np.full_like(values, np.nan)
        if not errors or both is None:
            return spreads
        rows = SideBySide(both[0].rows, both[1].rows)
        for first in range(0, len(weights), RESAMPLES):  # a gradient can be large
            these = slice(first, first + RESAMPLES)
            gradients = [
                sign * scorer.metric.gradient(scorer.sums(weights[these]), scorer.scoring)
                for sign, scorer in zip((-1, 1), both, strict=True)
            ]
            spreads[these] = spread(rows, weights[these], np.concatenate(gradients, axis=2))
        return spreads

    def influence(self) -> Floats | None:
        ours, theirs = self.system.influence(), self.baseline.influence()
        return None if ours is None or theirs is None else ours - theirs

    def binary(self, output: int) -> tuple[int, int] | None:
        return None

    def each(self) -> Floats | None:
        ours, theirs = self.system.each(), self.baseline.each()
        return None if ours is None or theirs is None else ours - theirs

    def _sums(self) -> tuple[SumScorer, SumScorer] | None:
        both = self.baseline, self.system
        if isinstance(both[0], SumScorer) and isinstance(both[1], SumScorer):
            return (both[0], both[1]) if both[0].has_slopes else None
        return None


def paired_difference(
    metric: Metric,
    baseline: Table,
    system: Table,
    *,
    output: int = 0,
    clusters: list[str] | None = None,
    method: str = "auto",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 12345,
) -> dict[str, Any]:
    """`value` (system - baseline) and its interval; MetricError where the tables do not pair.

    The tables may come from runs weeks apart: the weights depend on seed, references and ids only.
    """
    require_same(baseline.header, system.header)
    if baseline.ids != system.ids:
        raise MetricError("the tables hold different ids; score both systems on the same set")
    units = Units.of(baseline.ids, clusters)
    keys = unit_keys(units.names, seed, baseline.header.references)
    scorer = DifferenceScorer(
        metric.scorer(baseline, units.unit_of), metric.scorer(system, units.unit_of)
    )
    declared = metric.interval if metric.interval != "centred" else "percentile"
    errors = [wants_errors(method, declared)]
    found = resample([scorer], errors, PoissonDraws(keys), resamples)[0]
    situation = Situation(scorer, found, output, len(units.names), units.clustered)
    record = interval(situation, method, declared=declared, level=level, scale=(None, None))
    return {"value": float(found.point[output]), "interval": record}
