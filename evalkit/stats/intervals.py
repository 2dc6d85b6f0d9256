"""From resamples to an interval; which method `auto` means, and when there is none.

Measured coverage of each: docs/intervals.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import counted
from evalkit.metric import Scorer
from evalkit.stats.resampling import Resamples
from evalkit.table import Floats

METHODS = (
    "auto",
    "bootstrap-t",
    "cluster-t",
    "percentile",
    "centred",
    "basic",
    "bca",
    "wilson",
    "none",
)
FEWEST_EXAMPLES = 8
FEWEST_CLUSTERS = 5
FEWEST_FOR_BOOTSTRAP_T = 10  # clusters
MOST_DEGENERATE = 0.05
MOST_UNDEFINED = 0.05
TINY_ERROR = 1e-6  # of the point's standard error
FLAT = 1e-8  # of the value: below this the standard error is rounding
POPULATION = "the value on the population that the units are drawn from"
SAME_SIZE = "the expected value over sets of this size"

Scale = tuple[float | None, float | None]


@dataclass(frozen=True)
class Situation:
    """What an interval of one output is made from.

    proportion: (successes, examples) where every example counts 0 or 1, else None.
    """

    scorer: Scorer
    resamples: Resamples
    output: int
    units: int
    clustered: bool
    proportion: tuple[int, int] | None = None


class NoIntervalError(Exception):
    """Why there is no interval."""


def interval(
    situation: Situation, method: str, *, declared: str, level: float, scale: Scale
) -> dict[str, Any]:
    """low, high, method, estimand, bias, undefined, degenerate; NoIntervalError with the reason.

    method: one of METHODS; declared: what `auto` means for this metric; level: 0..1, e.g. 0.95.
    """
    if method == "none":
        raise NoIntervalError("not asked for")
    _refuse_few(situation)
    values = situation.resamples.values[:, situation.output]
    defined = values[~np.isnan(values)]
    point = float(situation.resamples.point[situation.output])
    if math.isnan(point):
        raise NoIntervalError("the value is undefined")
    if method == "auto":
        method = _auto(situation, declared)
    if method not in ("wilson", "cluster-t"):
        _refuse_undefined(values, defined)
    low, high = _INTERVALS[method](situation, defined, level)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NoIntervalError(f"{method}: the bounds are not finite")
    slack = 1e-9 * max(1.0, abs(point))
    if not low - slack <= point <= high + slack and method not in ("percentile", "basic", "bca"):
        raise NoIntervalError(
            f"{method}: the interval does not hold the value itself; the metric is too biased on "
            "so few examples of each kind"
        )
    record = {
        "low": _cut(low, scale),
        "high": _cut(high, scale),
        "level": level,
        "method": method,
        "estimand": SAME_SIZE if method == "centred" else POPULATION,
        "undefined": len(values) - len(defined),
    }
    if len(defined):
        bias, deviation = float(defined.mean() - point), float(defined.std())
        record["bias"] = bias
        record["bias_in_standard_errors"] = bias / deviation if deviation > 0 else None
    if method == "bootstrap-t":
        record["degenerate"] = int(len(values) - _usable(situation).sum())
    return record


def wants_errors(method: str, declared: str) -> bool:
    """Whether a method needs the standard error of every resample."""
    return method == "bootstrap-t" or (method == "auto" and declared in ("mean", "bootstrap-t"))


def _auto(situation: Situation, declared: str) -> str:
    if declared in ("mean", "bootstrap-t"):
        if situation.proportion is not None and not situation.clustered:
            return "wilson"
        if np.isnan(situation.resamples.point_error[situation.output]):
            return "percentile"
        if situation.clustered and situation.units < FEWEST_FOR_BOOTSTRAP_T:
            return "cluster-t"
        usable = _usable(situation)
        return "bootstrap-t" if usable.mean() >= 1 - MOST_DEGENERATE else "cluster-t"
    return declared


def _refuse_few(situation: Situation) -> None:
    fewest = FEWEST_CLUSTERS if situation.clustered else FEWEST_EXAMPLES
    if situation.units < fewest:
        unit = "cluster" if situation.clustered else "example"
        raise NoIntervalError(
            f"{counted(situation.units, unit)}; an interval needs at least {fewest}"
        )


def _refuse_undefined(values: Floats, defined: Floats) -> None:
    if len(defined) < (1 - MOST_UNDEFINED) * len(values):
        share = 1 - len(defined) / len(values)
        raise NoIntervalError(f"undefined in {share:.0%} of the resamples")


def _usable(situation: Situation) -> NDArray[np.bool_]:
    output, found = situation.output, situation.resamples
    smallest = TINY_ERROR * found.point_error[output]
    with np.errstate(invalid="ignore"):
        usable = found.errors[:, output] > smallest
    return np.asarray(usable & ~np.isnan(found.values[:, output]))


def _point_error(situation: Situation) -> float:
    error = float(situation.resamples.point_error[situation.output])
    if math.isnan(error):
        raise NoIntervalError("this metric has no standard error; try --interval percentile")
    values = situation.resamples.values[:, situation.output]
    point = situation.resamples.point[situation.output]
    if error <= FLAT * abs(point) or (values == point).all():
        raise NoIntervalError(
            f"all {situation.units} units agree, so that resampling cannot see the uncertainty"
        )
    return error


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _bootstrap_t(situation: Situation, defined: Floats, level: float) -> tuple[float, float]:
    """Studentised bootstrap (Efron 1981; DiCiccio and Efron 1996, section 4)."""
    error = _point_error(situation)
    found, output = situation.resamples, situation.output
    if np.isnan(found.errors[:, output]).all():
        raise NoIntervalError("this metric has no standard error; try --interval percentile")
    usable = _usable(situation)
    if not usable.any():
        raise NoIntervalError("every resample is degenerate")
    point = found.point[output]
    pivots = (found.values[usable, output] - point) / found.errors[usable, output]
    low, high = _tails(level)
    upper, lower = np.quantile(pivots, [low, high])
    return point - lower * error, point - upper * error


def _cluster_t(situation: Situation, defined: Floats, level: float) -> tuple[float, float]:
    """Linearised standard error with units - 1 degrees of freedom (Cameron and Miller 2015)."""
    from scipy import special  # loaded where it is needed: a third of a second

    units = situation.units
    half = _point_error(situation) * math.sqrt(units / (units - 1))
    half *= float(special.stdtrit(units - 1, _tails(level)[1]))
    point = situation.resamples.point[situation.output]
    return point - half, point + half


def _percentile(situation: Situation, defined: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(defined, _tails(level))
    if low == high:
        _refuse_flat(situation)
    return low, high


def _refuse_flat(situation: Situation) -> None:
    raise NoIntervalError(
        f"all resamples of {situation.units} units agree; resampling cannot see the uncertainty"
    )


def _centred(situation: Situation, defined: Floats, level: float) -> tuple[float, float]:
    """The percentile interval moved by the bootstrap's bias: mean of resamples to the point."""
    low, high = _percentile(situation, defined, level)
    bias = defined.mean() - situation.resamples.point[situation.output]
    return low - bias, high - bias


def _basic(situation: Situation, defined: Floats, level: float) -> tuple[float, float]:
    """Davison and Hinkley 1997, equation 5.6."""
    low, high = _percentile(situation, defined, level)
    point = situation.resamples.point[situation.output]
    return 2 * point - high, 2 * point - low


def _bca(situation: Situation, defined: Floats, level: float) -> tuple[float, float]:
    """Bias-corrected and accelerated (Efron 1987), acceleration from the linearised influence."""
    _percentile(situation, defined, level)
    influence = situation.scorer.influence()
    if influence is None:
        raise NoIntervalError("this metric has no influence values; try --interval percentile")
    slopes = influence[:, situation.output]
    norm = (slopes**2).sum() ** 1.5
    if norm == 0:
        raise NoIntervalError("bca: the influence values are all 0; try --interval percentile")
    acceleration = (slopes**3).sum() / (6 * norm)
    point = situation.resamples.point[situation.output]
    below = ((defined < point).mean() + (defined <= point).mean()) / 2
    if not 0 < below < 1:
        raise NoIntervalError("bca: every resample lies on one side of the value")
    correction = NormalDist().inv_cdf(below)
    adjusted = []
    for tail in _tails(level):
        normal = correction + NormalDist().inv_cdf(tail)
        adjusted.append(NormalDist().cdf(correction + normal / (1 - acceleration * normal)))
    low, high = np.quantile(defined, adjusted)
    return low, high


def _wilson(situation: Situation, defined: Floats, level: float) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927)."""
    if situation.proportion is None or situation.clustered:
        raise NoIntervalError("wilson is for unclustered proportions: every example 0 or 1")
    return wilson(*situation.proportion, level)


def wilson(successes: int, units: int, level: float) -> tuple[float, float]:
    """Bounds in 0..1."""
    z = NormalDist().inv_cdf(_tails(level)[1])
    share = successes / units
    centre = share + z * z / (2 * units)
    half = z * math.sqrt(share * (1 - share) / units + z * z / (4 * units * units))
    return (centre - half) / (1 + z * z / units), (centre + half) / (1 + z * z / units)


def _cut(value: float, scale: Scale) -> float:
    low, high = scale
    if low is not None:
        value = max(value, low)
    if high is not None:
        value = min(value, high)
    return float(value)


_INTERVALS: dict[str, Callable[[Situation, Floats, float], tuple[float, float]]] = {
    "bootstrap-t": _bootstrap_t,
    "cluster-t": _cluster_t,
    "percentile": _percentile,
    "centred": _centred,
    "basic": _basic,
    "bca": _bca,
    "wilson": _wilson,
}
