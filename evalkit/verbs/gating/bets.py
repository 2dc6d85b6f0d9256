"""Alarms of a gate that looks at one set again and again, by betting on bounded differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evalkit.metric import MeanMetric
from evalkit.stats.sequential import EProcess, Side, betting_order, examples_wanted
from evalkit.table import Floats
from evalkit.verbs.gating.evidence import Claim, Evidence, Pair

SAME = 1e-9  # of the mean over units and the value
SEED = 0  # of the betting order; a choice of it would be a choice of the wealth


@dataclass(frozen=True)
class Bets:
    """Differences of a mean of bounded values, unit by unit in the order to bet on, good is up.

    threshold, bound: of the differences, which lie in -bound..bound.
    """

    differences: Floats
    threshold: float
    bound: float

    def against(self, null: Side) -> float:
        """The wealth that this look gives, an e-value of "the mean is null the threshold"."""
        if not -self.bound < self.threshold < self.bound:  # true of every set, or of none
            return 0.0
        process = EProcess(null, self.threshold, -self.bound, self.bound)
        return process.bet(self.differences).wealth

    def wanted(self, alpha: float) -> int | None:
        """Units by which half of such streams alarm; None where the mean is on the good side."""
        ahead = self.threshold - float(self.differences.mean())
        if ahead <= 0:
            return None
        return examples_wanted(ahead, float(self.differences.std()), alpha=alpha)


def bets_of(pair: Pair, evidence: Evidence, claim: Claim, position: int) -> Bets | None:
    """None where the metric is no mean of bounded values that counts every unit alike; then only
    its resamples tell.

    The order depends on the set alone, so that the same predictions always win the same wealth.
    """
    if evidence.range is None or not _count_alike(pair):
        return None
    each = evidence.situation.scorer.each()
    if each is None or not math.isclose(each[:, position].mean(), evidence.value, abs_tol=SAME):
        return None
    references = pair.system.tables[pair.label].header.references
    order = betting_order(pair.units.names, SEED, references)
    bound = float(evidence.range)
    differences = np.clip(claim.sign * each[order, position], -bound, bound)
    return Bets(differences, claim.sign * claim.threshold, bound)


def _count_alike(pair: Pair) -> bool:
    """Each example has one row of count 1, and all clusters have as many examples: then the mean
    over units is the value that the rule is about."""
    if pair.baseline is None or not isinstance(pair.metric, MeanMetric):
        return False
    units = pair.units
    if units.unit_of is not None and len(set(np.bincount(units.unit_of).tolist())) > 1:
        return False
    counts = len(pair.metric.outputs)
    tables = [pair.table(of) for of in (pair.system, pair.baseline)]
    return all(
        len(table.rows) == len(table.ids) and bool((table.rows[:, counts] == 1).all())
        for table in tables
    )
