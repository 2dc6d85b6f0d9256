"""Is the difference of two systems more than chance? Paired approximate randomisation.

Under the null hypothesis either output of a unit could have come from either system. So units are
exchanged between the two at random, and the difference is taken again.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from evalkit.errors import MetricError
from evalkit.metric import Metric, Scorer, SumScorer
from evalkit.panels import RESAMPLES, UnitRows, weighted_sums
from evalkit.stats.resampling import BLOCK_BYTES
from evalkit.stats.swaps import Coins, EverySwap, Swaps, swap_keys
from evalkit.stats.units import Units
from evalkit.table import Array, Floats, Ints, Table, concat, require_same

MOST_EXACT = 16  # units; with more, assignments are drawn
ROUNDING = 1e-9  # of the values; differences this close are ties


@dataclass(frozen=True)
class Randomised:
    """`difference` (system - baseline) and its two-sided `p`, both [outputs], NaN: undefined.

    swaps: how many assignments p rests on; exact: whether these are all that there are.
    """

    difference: Floats
    p: Floats
    swaps: int
    exact: bool


class Pair(Protocol):
    """Two systems that can exchange units."""

    def measure(self, coins: Array) -> tuple[Floats, Floats]:
        """coins [b, units], 0: exchanged -> values [b, outputs] of either system."""
        ...


def randomisation(
    metric: Metric,
    baseline: Table,
    system: Table,
    units: Units,
    *,
    swaps: int = 10_000,
    seed: int = 12345,
    threads: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> Randomised:
    """Noreen 1989, section 2; Riezler and Maxwell 2005, figure 1; all swaps up to 16 units.

    p is the share of the assignments, the one seen among them, with a difference at least as large
    either way; a tie counts, and so does a swap that leaves a value undefined. It depends on seed,
    references, units and rows only, not on threads. progress(swaps done so far, of `swaps`).
    MetricError where the tables do not pair.
    """
    both = pair(metric, baseline, system, units)
    count = len(units.names)
    if count > MOST_EXACT:
        coins = Coins(swap_keys(units.names, seed, baseline.header.references))
        difference, reached = beyond(both, coins, swaps, threads=threads, progress=progress)
        p = (reached + 1) / (swaps + 1)
    else:
        every = EverySwap(count)
        difference, reached = beyond(both, every, every.half, threads=threads)
        progress(swaps)
        p, swaps = reached / every.half, 2**count
    p[~np.isfinite(difference)] = np.nan
    return Randomised(difference, p, swaps, count <= MOST_EXACT)


def beyond(
    both: Pair,
    swaps: Swaps,
    count: int,
    *,
    threads: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Floats, Ints]:
    """The difference seen [outputs], and how many of `count` swaps reach it either way [outputs].

    NaN where it is undefined; a swap whose difference is undefined reaches it.
    """
    ours, theirs = (values[0] for values in both.measure(np.ones((1, swaps.units), np.uint8)))
    with np.errstate(invalid="ignore"):
        difference = ours - theirs
        least = np.abs(difference) - ROUNDING * np.maximum(np.abs(ours), np.abs(theirs))
    panels = BLOCK_BYTES // (RESAMPLES * max(swaps.units, 1))
    block = RESAMPLES * min(max(panels, 1), 16)

    def reach(first: int) -> Ints:
        wanted = min(block, count - first)
        coins = swaps.block(first, -(-wanted // RESAMPLES) * RESAMPLES)
        ours, theirs = both.measure(coins)
        with np.errstate(invalid="ignore"):
            short = np.abs(ours - theirs)[:wanted] < least
        return np.asarray((~short).sum(axis=0), np.int64)

    reached = np.zeros(len(difference), np.int64)
    starts = range(0, count, block)
    with ThreadPoolExecutor(threads) as pool:
        found = map(reach, starts) if threads == 1 else pool.map(reach, starts)
        for first, some in zip(starts, found, strict=True):
            reached += some
            progress(min(first + block, count))
    return difference, reached


def pair(metric: Metric, baseline: Table, system: Table, units: Units) -> Pair:
    """MetricError where the tables do not pair."""
    require_same(baseline.header, system.header)
    if baseline.ids != system.ids:
        raise MetricError("the tables hold different ids; score both systems on the same set")
    first = metric.scorer(baseline, units.unit_of)
    second = metric.scorer(system, units.unit_of)
    if isinstance(first, SumScorer) and isinstance(second, SumScorer):
        return SumPair(first, second)
    return PooledPair(pooled(metric, baseline, system, units))


@dataclass(frozen=True)
class SumPair:
    """Two systems whose values depend on sums: what one gains, the other loses."""

    baseline: SumScorer
    system: SumScorer

    def measure(self, coins: Array) -> tuple[Floats, Floats]:
        ours, theirs = self._exchanged(coins)
        return (
            self.system.metric.from_sums(ours, self.system.scoring),
            self.baseline.metric.from_sums(theirs, self.baseline.scoring),
        )

    def _exchanged(self, coins: Array) -> tuple[Floats, Floats]:
        """Sums [b, k] of the system and of the baseline."""
        baseline, system = self._totals
        if self._change is not None:
            columns, rows = self._change
            ours, theirs = (np.repeat(total, len(coins), axis=0) for total in (baseline, system))
            kept = weighted_sums(rows, coins)
            ours[:, columns] += kept
            theirs[:, columns] -= kept
            return ours, theirs
        first, second = (weighted_sums(one.rows, coins) for one in (self.baseline, self.system))
        return (baseline - first) + second, (system - second) + first

    @cached_property
    def _totals(self) -> tuple[Floats, Floats]:
        ones = np.ones((1, self.baseline.units), np.uint8)
        return self.baseline.sums(ones), self.system.sums(ones)

    @cached_property
    def _change(self) -> tuple[Ints, UnitRows] | None:
        """The columns in which the systems differ, and system - baseline there; None: not exact.

        Sums of whole numbers are exact however they are formed, those of others are not: there,
        what a system keeps is taken from its own total, so that nothing left is 0 and not nearly.
        """
        first, second = self.baseline.rows, self.system.rows
        coin = np.ones((1, 1), np.uint8)
        if not isinstance(first, UnitRows) or not isinstance(second, UnitRows):
            return None
        if np.float64 in (first.fit_for(coin), second.fit_for(coin)):
            return None
        change = second.values - first.values
        columns = np.flatnonzero(change.any(axis=0))
        return columns, UnitRows(change[:, columns])


@dataclass(frozen=True)
class PooledPair:
    """Two systems of any metric, whose examples stand in one table: of each unit one copy counts.

    scorer: of the units of the baseline, then those of the system.
    """

    scorer: Scorer

    def measure(self, coins: Array) -> tuple[Floats, Floats]:
        others = 1 - coins
        ours, theirs = (
            self.scorer.measure(np.concatenate(weights, axis=1), errors=False)[0]
            for weights in ((others, coins), (coins, others))
        )
        return ours, theirs


def pooled(metric: Metric, baseline: Table, system: Table, units: Units) -> Scorer:
    """Of both tables as one, whose ids keep the order of the ids of either."""
    examples = len(baseline.ids)
    ids = [_copy(one, digit) for digit in (b"0", b"1") for one in baseline.ids]
    tables = (
        replace(baseline, ids=tuple(ids[:examples])),
        replace(system, ids=tuple(ids[examples:])),
    )
    unit_of = np.arange(examples) if units.unit_of is None else units.unit_of
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return metric.scorer(
        concat(tables), np.concatenate([unit_of, unit_of + len(units.names)])[order]
    )


def _copy(one: bytes, digit: bytes) -> bytes:
    """A number stays a number, in its place among the numbers, by which COCO breaks ties."""
    return one + digit if one.isdigit() else one + b"\0" + digit


def shifted_bootstrap(values: Floats, point: Floats) -> Floats:
    """p [outputs] from the differences of resamples [b, outputs] and the one seen [outputs].

    The share of the resamples whose |difference| exceeds its mean by |point| or more: Riezler and
    Maxwell 2005, figure 2; sacrebleu 2.6 `--paired-bs`, but a tie counts, so that p of a system
    against itself is 1. It is one-sided in effect: of equal systems it calls 11 to 13 in 100
    different at 5 %. An undefined resample counts as reaching the difference.
    """
    sizes = np.abs(values)
    known = ~np.isnan(sizes)
    total = np.where(known, sizes, 0).sum(axis=0)
    mean = total / np.maximum(known.sum(axis=0), 1)
    with np.errstate(invalid="ignore"):
        reached = (~(sizes - mean < np.abs(point))).sum(axis=0)
    p: Floats = (reached + 1) / (len(values) + 1)
    p[np.isnan(point)] = np.nan
    return p
