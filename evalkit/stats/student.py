"""Intervals and p-values from variances, each known with some degrees of freedom."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evalkit.errors import counted
from evalkit.stats.intervals import FEWEST_CLUSTERS, FEWEST_EXAMPLES, FLAT, NoIntervalError, Scale
from evalkit.stats.units import Units

OPEN: Scale = (None, None)
SMALLEST = math.log(1e-100)  # of p-values; Student's quantiles are exact so far out


@dataclass(frozen=True)
class Variances:
    """Independent `parts` of the variance of an estimate: (variance, degrees of freedom)."""

    parts: tuple[tuple[float, float], ...]

    @property
    def standard_error(self) -> float:
        return math.sqrt(sum(variance for variance, _ in self.parts))

    def half(self, tail: float) -> float:
        """Half the width with probability `tail` on each side: sqrt(sum of t² variance).

        Howe 1974, each part with its own t; of one part, Student's interval.
        """
        from scipy import special  # loaded where it is needed: a third of a second

        known = [(special.stdtrit(degrees, tail), one) for one, degrees in self.parts if one]
        return math.hypot(*(quantile * math.sqrt(variance) for quantile, variance in known))

    def p_value(self, value: float) -> float:
        """Two-sided, of 0, at least 1e-100: the interval of level 1 - p ends at 0."""
        from scipy import optimize

        def beyond(logarithm: float) -> float:
            return self.half(math.exp(logarithm) / 2) - abs(value)

        if beyond(0.0) >= 0:
            return 1.0
        if beyond(SMALLEST) <= 0:
            return math.exp(SMALLEST)
        return math.exp(optimize.brentq(beyond, SMALLEST, 0.0, xtol=1e-12))

    def around(self, value: float, level: float, scale: Scale = OPEN) -> dict[str, float]:
        """low, high (cut to the scale), level, standard_error; NoIntervalError with the reason."""
        if math.isnan(value):
            raise NoIntervalError("the value is undefined")
        if not self.standard_error > FLAT * abs(value):
            raise NoIntervalError("everything agrees, so that no uncertainty can be seen")
        half = self.half((1 - level) / 2)
        low, high = (-math.inf if scale[0] is None else scale[0]), scale[1]
        return {
            "low": max(value - half, low),
            "high": value + half if high is None else min(value + half, high),
            "level": level,
            "standard_error": self.standard_error,
        }


def refuse_few(units: Units) -> None:
    """NoIntervalError below 8 examples or 5 clusters."""
    fewest = FEWEST_CLUSTERS if units.clustered else FEWEST_EXAMPLES
    if len(units.names) < fewest:
        number = counted(len(units.names), "cluster" if units.clustered else "example")
        raise NoIntervalError(f"{number}; an interval needs at least {fewest}")


def same_units(ours: Units, theirs: Units) -> bool:
    """Whether examples belong to the same units."""
    if ours.unit_of is None or theirs.unit_of is None:
        return ours.names == theirs.names and ours.clustered == theirs.clustered
    return ours.names == theirs.names and np.array_equal(ours.unit_of, theirs.unit_of)
