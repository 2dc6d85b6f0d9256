"""Alarms of a gate that looks at one set again and again, by betting on bounded differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evalkit.stats.sequential import EProcess, Side, betting_order, examples_wanted
from evalkit.table import Floats
from evalkit.verbs.gate_evidence import Claim, Evidence, Pair


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
    """None where the metric is no mean of bounded values; then only its resamples tell.

    With clusters each cluster counts once, at the mean of its examples.
    """
    each = evidence.situation.scorer.each() if evidence.range is not None else None
    if each is None or not np.isfinite(each[:, position]).all():
        return None
    options = pair.system.document["options"]
    references = pair.system.tables[pair.label].header.references
    order = betting_order(pair.units.names, options["seed"], references)
    bound = float(evidence.range or 0)
    differences = np.clip(claim.sign * each[order, position], -bound, bound)
    return Bets(differences, claim.sign * claim.threshold, bound)
