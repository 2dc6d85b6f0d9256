"""The intervals of average precision cover; measured figures are in docs/intervals.md."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from evalkit.stats.intervals import POPULATION, SAME_SIZE, interval
from evalkit.stats.paired import paired_difference
from tests.statistics.detection_population import IMAGES, OUTPUTS, Population
from tests.statistics.detection_simulation import (
    LEVEL,
    SEED,
    SETS,
    SIZES,
    Covered,
    draw_situations,
    simulate,
)

REDUCED_IMAGES, REDUCED_SETS, REDUCED_RESAMPLES, REDUCED_EXPECTATION = 6000, 40, 512, 512
STANDARD_ERRORS = 3.5  # Monte-Carlo allowance of the reduced run
CENTRED = {1000: (0.88, 0.97), 4000: (0.92, 0.97)}  # of the expected value at this size
PAIRED = (0.91, 0.99)
RAW = 0.6  # at most: how often the raw percentile holds the population's AP
DIFFERENCE = 2  # its place beside the two systems

pytest.importorskip("numba", reason="the extra `fast` is not installed; numpy takes too long")


@cache
def population(images: int) -> Population:
    return Population.of(images)


@cache
def reduced() -> Covered:
    size = SIZES[0]
    return simulate(
        population(REDUCED_IMAGES), size, REDUCED_SETS, REDUCED_RESAMPLES, REDUCED_EXPECTATION
    )


@cache
def full(size: int) -> Covered:
    return simulate(population(IMAGES), size)


def allowance(share: float) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1 - share) / REDUCED_SETS)


def test_reduced(capsys: pytest.CaptureFixture[str]) -> None:
    """Says its size in the log, so that nobody takes it for the full run."""
    found = reduced()
    centred = found.coverage("auto", SAME_SIZE)[:DIFFERENCE]
    paired = found.coverage("auto", POPULATION)[DIFFERENCE]
    raw = found.coverage("percentile", POPULATION)[:DIFFERENCE, 0]
    with capsys.disabled():
        print(
            f"\nreduced: {REDUCED_SETS} of {SETS} sets of {found.size:,} images, "
            f"{REDUCED_RESAMPLES} resamples, {REDUCED_IMAGES:,} of {IMAGES:,} images in the "
            f"population: centred covers {centred.mean():.1%} of the expected values, raw "
            f"percentile {raw.mean():.1%} of the population's AP, paired {paired.mean():.1%}",
            end=" ",
        )
    low, high = CENTRED[found.size]
    assert (centred >= low - allowance(low)).all()
    assert (centred <= high + allowance(high)).all()
    assert (paired >= PAIRED[0] - allowance(PAIRED[0])).all()
    assert (raw <= RAW).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_centred_covers_the_expected_value_in_full(size: int) -> None:
    covered = full(size).coverage("auto", SAME_SIZE)[:DIFFERENCE]
    low, high = CENTRED[size]
    assert (covered >= low).all()
    assert (covered <= high).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_paired_differences_cover_in_full(size: int) -> None:
    covered = full(size).coverage("auto", POPULATION)[DIFFERENCE]
    assert (covered >= PAIRED[0]).all()
    assert (covered <= PAIRED[1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_raw_percentile_fails_in_full(size: int) -> None:
    """Why it is not the default: the bias of average precision counts twice."""
    assert (full(size).coverage("percentile", POPULATION)[:DIFFERENCE, 0] <= RAW).all()


def test_a_drawn_set_scores_as_the_population_under_its_counts() -> None:
    one = population(REDUCED_IMAGES)
    images, tables = one.drawn(1000, 0)
    assert len(np.unique(images)) < len(images)
    counts = np.bincount(images, minlength=one.images)[None].astype(np.uint8)
    ones = np.ones((1, len(images)), np.uint8)
    for row, table in enumerate(tables):
        found = one.metric.scorer(table).measure(ones, errors=False)[0][0, one.outputs]
        assert found == pytest.approx(one.under(counts)[0, row], rel=0, abs=1e-12)


def test_differences_are_those_of_paired_difference() -> None:
    one = population(REDUCED_IMAGES)
    _, (better, worse) = one.drawn(1000, 1)
    situations = draw_situations(one, 1000, 1, REDUCED_RESAMPLES)[DIFFERENCE]
    for situation, output in zip(situations[:2], one.outputs, strict=False):
        paired = paired_difference(
            one.metric,
            worse,
            better,
            output=output,
            resamples=REDUCED_RESAMPLES,
            level=LEVEL,
            seed=SEED,
        )
        own = interval(situation, "auto", declared="percentile", level=LEVEL, scale=(None, None))
        assert paired["interval"] == own
        assert paired["value"] == situation.resamples.point[output]


def test_the_systems_differ_and_bias_is_upward() -> None:
    """What makes the centred interval necessary is in the data, or the simulation shows nothing."""
    found = reduced()
    assert (found.truth[0] > found.truth[1]).all()
    bias = (found.biases / found.errors).mean(axis=0)
    assert bias[0, OUTPUTS.index("AP")] > 0.5
    assert (found.expected[:2, 0] > found.truth[:2, 0]).all()
