"""What the interval of calibration_error covers: the expected error of sets of this size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.stats.intervals import Situation, interval
from evalkit.stats.resampling import resample
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Floats, Header, Table

METRIC = catalogue.metric("calibration_error")
BINS = 15
TRUTH_SETS, SETS, REDUCED_SETS = 20_000, 5000, 300
RESAMPLES, REDUCED_RESAMPLES = 2000, 500
STANDARD_ERRORS = 3.5  # Monte-Carlo allowance
LOW, HIGH = 0.925, 0.99
CASES = [(0.0, 50), (0.0, 200), (0.03, 200), (0.1, 50), (0.1, 1000)]


@dataclass(frozen=True)
class Covered:
    """Shares of the intervals that hold the expected error of sets of this size, and that of all.

    expected: the mean error of sets of this size; whole: the error of an infinite set.
    """

    same_size: float
    population: float
    expected: float
    whole: float


def drawn(generator: np.random.Generator, count: int, shift: float) -> Floats:
    """Rows (bin, right, confidence); confident by `shift` too much, less so close to 1."""
    confidence = 0.25 + 0.75 * generator.beta(4, 2, count)
    share = confidence - shift * np.minimum(1, (1 - confidence) / 0.2)
    right = generator.random(count) < share
    return np.column_stack([np.floor(confidence * BINS), right, confidence])


def error(rows: Floats) -> float:
    gaps = np.bincount(rows[:, 0].astype(int), rows[:, 1] - rows[:, 2], BINS + 1)
    return float(np.abs(gaps).sum() / len(rows))


def covered(shift: float, count: int, sets: int, resamples: int) -> Covered:
    generator = np.random.default_rng([1, count])
    expected = float(np.mean([error(drawn(generator, count, shift)) for _ in range(TRUTH_SETS)]))
    whole = error(drawn(np.random.default_rng(2), 2_000_000, shift))
    bounds = np.array([_bounds(shift, count, number, resamples) for number in range(sets)])
    same, population = (
        float(((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean())
        for truth in (expected, whole)
    )
    return Covered(same, population, expected, whole)


def _bounds(shift: float, count: int, number: int, resamples: int) -> tuple[float, float]:
    rows = drawn(np.random.default_rng([3, count, number]), count, shift)
    names = tuple(output.name for output in METRIC.outputs)
    header = Header(METRIC.name, METRIC.parameters, "", names, "", f"{shift} {count} {number}")
    ids = tuple(f"{i:05d}".encode() for i in range(count))
    scorer = METRIC.scorer(Table.of(header, ids, list(rows[:, None])))
    draws = PoissonDraws(unit_keys(ids, 12345, header.references))
    found = resample([scorer], [False], draws, resamples)[0]
    situation = Situation(scorer, found, 0, count, clustered=False)
    record = interval(situation, "auto", declared=METRIC.interval, level=0.95, scale=(0, 1))
    assert record["method"] == "centred"
    return record["low"], record["high"]


def allowance(share: float, sets: int) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1 - share) / sets)


def check(shift: float, count: int, sets: int, resamples: int) -> Covered:
    found = covered(shift, count, sets, resamples)
    print(f"\nshift {shift}, {count} examples, {sets} sets, {resamples} resamples: {found}")
    assert LOW - allowance(LOW, sets) <= found.same_size <= HIGH + allowance(HIGH, sets)
    assert found.expected > found.whole
    return found


@pytest.mark.parametrize(("shift", "count"), CASES[:4])
def test_the_expected_error_of_this_size_is_covered(shift: float, count: int) -> None:
    found = check(shift, count, REDUCED_SETS, REDUCED_RESAMPLES)
    if shift == 0:
        assert found.population < 0.2, "the error of an infinite set is not what it covers"


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "count"), CASES)
def test_the_expected_error_of_this_size_is_covered_in_full(shift: float, count: int) -> None:
    check(shift, count, SETS, RESAMPLES)
