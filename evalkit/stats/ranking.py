"""What a ranking may claim: clusters of systems, and the chance of each to be the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.table import Floats

Rule = Literal["every", "any"]


def significance_clusters(
    order: Sequence[int], beaten: NDArray[np.bool_], *, rule: Rule = "every"
) -> list[int]:
    """The cluster, 1, 2, …, of each system, by its number.

    order: the systems' numbers, the best first. beaten [systems, systems]: whether the system of a
    row is significantly better than that of a column.

    every: a line is drawn where every system above it beats every one below, so systems of two
    clusters always differ; those of one cluster may (the findings of the WMT general task).
    any: a cluster ends before the first system that any of its members beats, so no two of a
    cluster differ; those of two clusters may not (the WMT metrics task, AssignRanks of
    mt-metrics-eval).
    """
    cluster = [0] * len(order)
    start, number = 0, 1
    for place, system in enumerate(order):
        above = order[start:place]
        if rule == "any":
            line = bool(beaten[np.ix_(above, [system])].any()) if above else False
        else:
            line = place > 0 and bool(beaten[np.ix_(order[:place], order[place:])].all())
        if line:
            start, number = place, number + 1
        cluster[system] = number
    return cluster


def probability_best(values: Floats, higher_is_better: bool) -> Floats:
    """[systems] in 0..1, the sum 1: the share of the resamples in which each is the best.

    values [systems, b]: of the same resamples. Ties share; an undefined value is never the best,
    and a resample that defines none is left out. NaN where nothing is left.
    """
    known = ~np.isnan(values)
    signed = np.where(known, values if higher_is_better else -values, -np.inf)
    leads = known & (signed == signed.max(axis=0, initial=-np.inf))
    tied = leads.sum(axis=0)
    counted = tied > 0
    if not counted.any():
        return np.full(len(values), np.nan)
    return np.asarray((leads[:, counted] / tied[counted]).mean(axis=1))
