"""Several tests at once: p-values that may be read together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evalkit.errors import UsageError, did_you_mean
from evalkit.table import Floats

CORRECTIONS = ("holm", "bh", "none")


def adjust(p_values: Sequence[float] | Floats, correction: str) -> Floats:
    """Adjusted p-values in the order given; NaN stays NaN and is no member of the family.

    holm: the chance of any false alarm is at most the level, whatever the dependence (Holm 1979).
    bh: the expected share of false alarms among the alarms is at most the level, under independence
    or positive dependence (Benjamini and Hochberg 1995). UsageError for any other correction.
    """
    if correction not in CORRECTIONS:
        hint = did_you_mean(correction, CORRECTIONS)
        raise UsageError(f'no correction is called "{correction}"{hint}')
    adjusted = np.array(p_values, np.float64)
    if correction == "none":
        return adjusted
    family = np.flatnonzero(~np.isnan(adjusted))
    order = family[np.argsort(adjusted[family], kind="stable")]
    places = np.arange(len(order))
    if correction == "holm":
        scaled = np.maximum.accumulate(adjusted[order] * (len(order) - places))
    else:
        scaled = adjusted[order] * (len(order) / (places + 1))
        scaled = np.minimum.accumulate(scaled[::-1])[::-1]
    adjusted[order] = np.minimum(scaled, 1)
    return adjusted


def too_few_swaps(swaps: int, tests: int, correction: str, level: float) -> str | None:
    """Why no difference can be shown, whatever the data: p is at least 1 / (swaps + 1)."""
    smallest = 1 if correction == "none" else tests
    if smallest / (swaps + 1) <= 1 - level:
        return None
    wanted = -(-2 * smallest // (1 - level))
    return (
        f"{tests:,} tests of {swaps:,} swaps: no corrected p can be below "
        f"{smallest / (swaps + 1):.2g}, so nothing can be shown; take --swaps {wanted:.0f}"
    )
