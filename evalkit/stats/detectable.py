"""How large must a difference be to be seen at this size, and how many units show a smaller one?

From the normal approximation of a two-sided test (Cohen 1988, section 2.5). A one-sided test, as of
non-inferiority, at 0.95 is a two-sided one at 0.90.
"""

from __future__ import annotations

import math
from statistics import NormalDist

POWER = 0.8


def detectable(standard_error: float, *, level: float, power: float = POWER) -> float:
    """The smallest true difference that is found with this power, in the unit of the metric.

    standard_error: of the paired difference. level, power: within 0..1; level: of the interval,
    0.95 for a test at 5 %.
    """
    return _standard_errors(level, power) * standard_error


def units_wanted(
    units: int, standard_error: float, difference: float, *, level: float, power: float = POWER
) -> int:
    """How many units find this true difference, where `units` gave this standard error.

    ValueError where the difference is 0, which no number of units shows, or not finite.
    """
    if difference == 0 or not math.isfinite(difference) or not math.isfinite(standard_error):
        raise ValueError(f"no number of units shows {difference} ± {standard_error}")
    ratio = detectable(standard_error, level=level, power=power) / abs(difference)
    return max(1, math.ceil(units * ratio**2))


def _standard_errors(level: float, power: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)
