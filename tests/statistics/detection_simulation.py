"""How often do the intervals of average precision cover? Sets drawn from a known population.

`python -m tests.statistics.detection_simulation` prints the tables of docs/intervals.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.intervals import POPULATION, SAME_SIZE, Situation, interval
from evalkit.stats.resampling import Resamples, resample
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Floats
from tests.statistics.detection_population import IMAGES, OUTPUTS, Population

LEVEL = 0.95
SEED = 12345  # of the resamples: evalkit's default
SIZES = (1000, 4000)
SETS = 400
RESAMPLES = 1000
EXPECTATION_SETS = 4096  # drawn for the expected value over sets of a size
METHODS = ("auto", "percentile", "basic")


@dataclass(frozen=True)
class Covered:
    """Of one size of sets; [three] is better, worse, difference.

    truth, expected, expected_error [three, outputs]; points, biases, errors [sets, three, outputs]:
    value, mean of its resamples less the value, their standard deviation; bounds: method ->
    [sets, three, outputs, 2].
    """

    size: int
    truth: Floats
    expected: Floats
    expected_error: Floats
    points: Floats
    biases: Floats
    errors: Floats
    bounds: Mapping[str, Floats]

    def targets(self, estimand: str) -> Floats:
        return {POPULATION: self.truth, SAME_SIZE: self.expected}[estimand]

    def coverage(self, method: str, estimand: str) -> Floats:
        """[three, outputs] shares."""
        target, bounds = self.targets(estimand), self.bounds[method]
        held = (bounds[..., 0] <= target) & (target <= bounds[..., 1])
        return np.asarray(held.mean(axis=0))

    def error(self, method: str, estimand: str) -> Floats:
        """Monte-Carlo standard error of the coverage."""
        share = self.coverage(method, estimand)
        return np.asarray(np.sqrt(share * (1 - share) / len(self.points)))


def simulate(
    population: Population,
    size: int,
    sets: int = SETS,
    resamples: int = RESAMPLES,
    expectation_sets: int = EXPECTATION_SETS,
) -> Covered:
    """Set i does not depend on how many there are: few sets are the first of many."""
    shape = (sets, 3, len(OUTPUTS))
    points, biases, errors = (np.empty(shape) for _ in range(3))
    bounds: dict[str, Floats] = {method: np.empty((*shape, 2)) for method in METHODS}
    for number in range(sets):
        for row, situations in enumerate(draw_situations(population, size, number, resamples)):
            for column, situation in enumerate(situations):
                found, place = situation.resamples, (number, row, column)
                values = found.values[:, situation.output]
                points[place] = found.point[situation.output]
                biases[place] = np.nanmean(values) - points[place]
                errors[place] = np.nanstd(values)
                for method in METHODS:
                    bounds[method][place] = _bounds(situation, method, paired=row == 2)
    expected, expected_error = population.expected(size, expectation_sets)
    return Covered(
        size, population.truth(), expected, expected_error, points, biases, errors, bounds
    )


def draw_situations(
    population: Population, size: int, number: int, resamples: int
) -> list[list[Situation]]:
    """[three][outputs] of one set, resampled as `evalkit score` and `paired_difference` do it."""
    _, tables = population.drawn(size, number)
    metric = population.metric
    keys = unit_keys(tables[0].ids, SEED, tables[0].header.references)
    scorers = [metric.scorer(table) for table in tables]
    both = resample(scorers, [False, False], PoissonDraws(keys), resamples)
    difference = Resamples(
        both[0].point - both[1].point,
        both[0].point_error - both[1].point_error,
        both[0].values - both[1].values,
        both[0].errors - both[1].errors,
    )
    return [
        [Situation(scorers[0], found, output, size, False) for output in population.outputs]
        for found in (*both, difference)
    ]


def _bounds(situation: Situation, method: str, *, paired: bool) -> tuple[float, float]:
    scale = (None, None) if paired else (0, 1)
    declared = "percentile" if paired else "centred"
    record = interval(situation, method, declared=declared, level=LEVEL, scale=scale)
    return record["low"], record["high"]


SINGLE_HEADER = """\
| images | value | population | expected at this size | bias / s.e. | centred covers the expected \
| percentile covers the expected | percentile covers the population | basic covers the population |
|---:|---|---:|---:|---:|---:|---:|---:|---:|"""
PAIRED_HEADER = """\
| images | difference of | population | expected at this size | bias / s.e. \
| percentile covers the population | percentile covers the expected |
|---:|---|---:|---:|---:|---:|---:|"""
SINGLE = (
    ("auto", SAME_SIZE),
    ("percentile", SAME_SIZE),
    ("percentile", POPULATION),
    ("basic", POPULATION),
)
PAIRED = (("auto", POPULATION), ("auto", SAME_SIZE))


def table_rows(found: Covered, row: int, shown: Sequence[tuple[str, str]]) -> list[str]:
    """Coverage in per cent."""
    bias = (found.biases / found.errors).mean(axis=0)
    lines = []
    for column, name in enumerate(OUTPUTS):
        cells = [
            f"{found.size:,}",
            name,
            f"{found.truth[row, column]:.4f}",
            f"{found.expected[row, column]:.4f}",
            f"{bias[row, column]:+.2f}",
            *(
                f"{100 * found.coverage(*one)[row, column]:.1f} ± "
                f"{100 * found.error(*one)[row, column]:.1f}"
                for one in shown
            ),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    options = parser.parse_args()
    started = time.process_time()
    population = Population.of(options.images)
    covered = [simulate(population, n, options.sets, options.resamples) for n in options.sizes]
    for row, header, shown in ((0, SINGLE_HEADER, SINGLE), (2, PAIRED_HEADER, PAIRED)):
        lines = [line for one in covered for line in table_rows(one, row, shown)]
        print(header, *lines, "", sep="\n")
    seconds = time.process_time() - started
    print(f"{options.sets:,} sets, {options.resamples:,} resamples, {seconds:,.0f} s of CPU")


if __name__ == "__main__":
    main()
