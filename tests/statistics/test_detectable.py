"""The detectable difference is found as often as its power says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evalkit.stats.detectable import detectable, units_wanted
from evalkit.stats.randomisation import randomisation
from evalkit.stats.units import Units
from tests.means import Mean, mean_table

SETS, UNITS, SWAPS = 600, 60, 499
STANDARD_ERRORS = 3.5


def test_by_hand() -> None:
    """z of 0.975 is 1.959964, of 0.8 0.841621; of 0.95 1.644854."""
    assert detectable(2.0, level=0.95) == pytest.approx(2 * 2.801585, abs=1e-5)
    assert detectable(1.0, level=0.90) ** 2 == pytest.approx(6.18, abs=0.01)
    assert math.isnan(detectable(math.nan, level=0.95))


@pytest.mark.parametrize(("margin", "units"), [(0.05, 99), (0.02, 619), (0.01, 2474)])
def test_units_of_non_inferiority(margin: float, units: int) -> None:
    """(1.644854 + 0.841621)² × 0.2² / margin², one-sided at 5 %, from 100 units."""
    assert units_wanted(100, 0.2 / 10, margin, level=0.90) == units


def test_units_bring_the_detectable_difference_down() -> None:
    wanted = units_wanted(400, 0.5, 0.7, level=0.95)
    for units, shown in ((wanted, True), (wanted - 1, False)):
        error = 0.5 * math.sqrt(400 / units)
        assert (detectable(error, level=0.95) <= 0.7) is shown
    assert units_wanted(400, 0.5, -0.7, level=0.95) == wanted
    assert units_wanted(400, 0.0, 0.7, level=0.95) == 1


@pytest.mark.parametrize(("error", "difference"), [(1, 0), (1, math.nan), (math.nan, 1)])
def test_no_number_of_units(error: float, difference: float) -> None:
    with pytest.raises(ValueError, match="no number of units"):
        units_wanted(100, error, difference, level=0.95)


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_power(power: float) -> None:
    """Differences of units have standard deviation 1.5; the true one is the detectable one."""
    effect = detectable(1.5 / math.sqrt(UNITS), level=0.95, power=power)
    found = 0
    for number in range(SETS):
        generator = np.random.default_rng([201, number])
        shared = generator.normal(size=UNITS)
        differences = generator.normal(effect, 1.5, UNITS)
        baseline, system = mean_table(shared), mean_table(shared + differences)
        units = Units(baseline.ids)
        p = randomisation(Mean(), baseline, system, units, swaps=SWAPS, seed=number).p[0]
        found += p <= 0.05
    error = math.sqrt(power * (1 - power) / SETS)
    assert abs(found / SETS - power) < 0.02 + STANDARD_ERRORS * error
