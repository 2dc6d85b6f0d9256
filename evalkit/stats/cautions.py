"""What a reader of an interval must be told: too few units, skew, few clusters, few events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evalkit.stats.intervals import Situation

ENOUGH_EXAMPLES = 30
ENOUGH_CLUSTERS = 20
ENOUGH_EVENTS = 10
COCHRAN = 25  # n >= 25 g², g the skewness (Cochran 1977, section 2.15)


def cautions(situation: Situation, method: str) -> Iterator[tuple[str, str]]:
    """(code, message) per caution; thresholds and what they catch: docs/intervals.md."""
    units = situation.units
    if situation.clustered and units < ENOUGH_CLUSTERS:
        yield "few-clusters", f"{units} clusters; intervals from fewer than 20 are rough"
    if method == "wilson" and situation.proportion is not None:
        successes, total = situation.proportion
        events = min(successes, total - successes)
        if events < ENOUGH_EVENTS:
            yield (
                "few-events",
                f"only {events} examples are of the rarer kind, right or wrong; fewer than 10 "
                "say little",
            )
        return
    needed = ENOUGH_EXAMPLES if not situation.clustered else 0
    skewness = _skewness(situation)
    if skewness is not None and COCHRAN * skewness**2 > max(units, needed):
        wanted = int(np.ceil(COCHRAN * skewness**2))
        unit = "clusters" if situation.clustered else "examples"
        yield (
            "skew",
            f"a few {unit} weigh heavily (skewness {skewness:.1f}); with {units:,} the interval "
            f"may be too narrow, about {wanted:,} would do",
        )
    elif units < needed:
        yield "few-examples", f"{units} examples; intervals from fewer than 30 are rough"


def _skewness(situation: Situation) -> float | None:
    """Of the units' influence on the value."""
    influence = situation.scorer.influence()
    if influence is None:
        return None
    slopes = influence[:, situation.output]
    slopes = slopes - slopes.mean()
    variance = float(np.mean(slopes**2))
    return float(np.mean(slopes**3)) / variance**1.5 if variance > 0 else 0.0
