"""The nominal 95 % intervals cover; measured figures are in docs/intervals.md."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.statistics import simulation
from tests.statistics.simulation import (
    BETA,
    BLEU_LIKE,
    CLUSTERS_OF_10,
    LOGNORMAL,
    MICRO_F1,
    PENALTIES,
    SHARE_90,
    SHARE_95,
    Distribution,
    Simulated,
    simulate,
    wilson_coverage,
)

REDUCED_SETS, REDUCED_RESAMPLES = 400, 1000
STANDARD_ERRORS = 3.5  # Monte-Carlo allowance of the reduced runs
LOW, HIGH, LOW_WHERE_SKEWED = 0.925, 0.975, 0.9

WELL_COVERED = [
    (BETA, 50),
    (BETA, 100),
    (BLEU_LIKE, 50),
    (BLEU_LIKE, 100),
    (MICRO_F1, 50),
    (MICRO_F1, 100),
    (CLUSTERS_OF_10, 20),
]
SKEWED = [(LOGNORMAL, 50), (LOGNORMAL, 100), (PENALTIES, 50), (PENALTIES, 100)]
PROPORTIONS = [(SHARE_90, 50), (SHARE_90, 100), (SHARE_95, 50), (SHARE_95, 100)]


def named(value: object) -> str:
    return value.name if isinstance(value, Distribution) else str(value)


def reduced(
    distribution: Distribution, units: int, capsys: pytest.CaptureFixture[str]
) -> Simulated:
    """Says its size in the log, so that nobody takes it for the full run."""
    found = simulate(distribution, units, REDUCED_SETS, REDUCED_RESAMPLES)
    with capsys.disabled():
        print(
            f"\nreduced: {REDUCED_SETS} of {simulation.SETS:,} sets, {REDUCED_RESAMPLES} of "
            f"{simulation.RESAMPLES:,} resamples: {distribution.name}, {units} units: "
            f"auto covers {found.coverage('auto'):.1%}, "
            f"percentile {found.coverage('percentile'):.1%}",
            end=" ",
        )
    return found


def allowance(share: float, sets: int = REDUCED_SETS) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1 - share) / sets)


@pytest.mark.parametrize(("distribution", "units"), WELL_COVERED, ids=named)
def test_auto_covers(
    distribution: Distribution, units: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = reduced(distribution, units, capsys)
    assert found.missing("auto") == 0
    assert LOW - allowance(LOW) <= found.coverage("auto") <= HIGH + allowance(HIGH)


@pytest.mark.parametrize(("distribution", "units"), SKEWED, ids=named)
def test_auto_covers_skewed_means(
    distribution: Distribution, units: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = reduced(distribution, units, capsys)
    gain, error = found.gain()
    assert found.missing("auto") == 0
    assert found.coverage("auto") >= LOW_WHERE_SKEWED - allowance(LOW_WHERE_SKEWED)
    assert gain >= -STANDARD_ERRORS * error


@pytest.mark.slow
@pytest.mark.parametrize(("distribution", "units"), WELL_COVERED, ids=named)
def test_auto_covers_in_full(distribution: Distribution, units: int) -> None:
    found = simulate(distribution, units)
    assert found.missing("auto") == 0
    assert LOW <= found.coverage("auto") <= HIGH


@pytest.mark.slow
@pytest.mark.parametrize(("distribution", "units"), SKEWED, ids=named)
def test_auto_covers_skewed_means_in_full(distribution: Distribution, units: int) -> None:
    found = simulate(distribution, units)
    assert found.missing("auto") == 0
    assert found.coverage("auto") >= LOW_WHERE_SKEWED
    assert found.coverage("auto") >= found.coverage("percentile")


@pytest.mark.slow
def test_truth_of_bleu() -> None:
    assert simulation.bleu_truth() == pytest.approx(BLEU_LIKE.truth, rel=1e-12)


@pytest.mark.parametrize(
    "distribution", [BETA, LOGNORMAL, PENALTIES, MICRO_F1, SHARE_90], ids=named
)
def test_truths_are_those_of_large_samples(distribution: Distribution) -> None:
    """The generators are what their truths say; a large sample, within 3.5 standard errors."""
    large = 1_000_000
    rows = distribution.draw(np.random.default_rng(distribution.seed), large)[0]
    sums = rows.sum(axis=0, keepdims=True)
    slopes = distribution.metric.gradient(sums, {})[0, 0]
    error = math.sqrt(np.square(rows @ slopes).sum())
    value = distribution.metric.from_sums(sums, {})[0, 0]
    assert abs(value - distribution.truth) < STANDARD_ERRORS * error


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("units", [25, 50, 100, 300])
def test_wilson_covers_exactly(share: float, units: int) -> None:
    assert 0.91 < wilson_coverage(share, units) < 0.975


def test_exact_coverage_by_hand() -> None:
    """One toss: z² = 3.8415, so tails give 0 .. z²/(1 + z²) = 0.7935 and heads 0.2065 .. 1."""
    assert wilson_coverage(0.5, 1) == pytest.approx(1)
    assert wilson_coverage(0.9, 1) == pytest.approx(0.9)
    assert wilson_coverage(0.1, 1) == pytest.approx(0.9)


@pytest.mark.parametrize(("distribution", "units"), PROPORTIONS, ids=named)
def test_simulated_wilson_agrees_with_exact(
    distribution: Distribution, units: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = reduced(distribution, units, capsys)
    exact = wilson_coverage(distribution.truth, units)
    assert set(found.chosen) == {"wilson"}
    assert abs(found.coverage("auto") - exact) <= allowance(exact)


@pytest.mark.parametrize(
    ("distribution", "units", "method"),
    [
        (CLUSTERS_OF_10, 10, "bootstrap-t"),
        (simulation.CLUSTERS_OF_20, 5, "cluster-t"),
        (simulation.SHARE_IN_CLUSTERS, 20, "bootstrap-t"),
        (BETA, 9, "bootstrap-t"),
        (BETA, 10, "bootstrap-t"),
    ],
    ids=named,
)
def test_what_auto_takes(distribution: Distribution, units: int, method: str) -> None:
    assert simulate(distribution, units, 3, REDUCED_RESAMPLES).chosen == (method,) * 3
