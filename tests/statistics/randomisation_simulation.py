"""How often do test and interval call equal systems different? Pairs with no difference.

`python -m tests.statistics.randomisation_simulation` prints a row per case.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evalkit.metric import SumMetric
from evalkit.stats.paired import DifferenceScorer, paired_difference
from evalkit.stats.randomisation import randomisation, shifted_bootstrap
from evalkit.stats.resampling import resample
from evalkit.stats.units import Units
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Floats, Header, Ints, Table
from tests.statistics.simulation import BLEU, MicroF1

SEED = 12345  # of the swaps: evalkit's default
SETS = 10_000
SWAPS = 1000
ALPHA = 0.05
METHODS = ("auto", "percentile")
Drawn = tuple[Floats, Floats]


@dataclass(frozen=True)
class Null:
    """`draw(generator, units)` -> rows [n, k] of two systems, exchangeable given the example.

    seed: of the sets.
    """

    name: str
    metric: SumMetric
    seed: int
    draw: Callable[[np.random.Generator, int], Drawn]


def _detections(generator: np.random.Generator, units: int) -> Drawn:
    """What is there, how hard it is and what misleads belong to the example."""
    things = generator.negative_binomial(1.2, 1.2 / 5.2, units)
    chance = generator.beta(6, 2, units)
    misleading = generator.gamma(0.8, 1.25, units)

    def one() -> Floats:
        found = generator.binomial(things, chance)
        wrong = generator.poisson(misleading)
        return np.column_stack([found, wrong, things - found]).astype(np.float64)

    return one(), one()


def _bleu_statistics(generator: np.random.Generator, units: int) -> Drawn:
    """The reference and the quality that can be had belong to the segment."""
    reference = 4 + generator.negative_binomial(3, 3 / 21, units)
    quality = generator.beta(6, 3, units)

    def one() -> Floats:
        length = generator.poisson(0.95 * reference)
        total = np.maximum(length[:, None] - np.arange(4), 0)
        correct = np.empty_like(total)
        correct[:, 0] = generator.binomial(total[:, 0], quality)
        for order in range(1, 4):
            possible = np.minimum(correct[:, order - 1], total[:, order])
            correct[:, order] = generator.binomial(possible, 0.25 + 0.55 * quality)
        return np.column_stack([length, reference, correct, total]).astype(np.float64)

    return one(), one()


MICRO_F1_PAIR = Null("micro-F1", MicroF1(), 101, _detections)
BLEU_PAIR = Null("BLEU from 10 counts", BLEU, 102, _bleu_statistics)
CASES = ((MICRO_F1_PAIR, 50), (MICRO_F1_PAIR, 200), (BLEU_PAIR, 50), (BLEU_PAIR, 200))


def pair_of_tables(null: Null, units: int, number: int) -> tuple[Table, Table]:
    """Set `number`, which does not depend on how many there are."""
    generator = np.random.default_rng([null.seed, units, number])
    metric = null.metric
    outputs = tuple(output.name for output in metric.outputs)
    set_name = f"{null.name}, {units}, {number}"
    header = Header(metric.name, metric.parameters, "", outputs, "", set_name)
    ids = tuple(f"{i:05d}".encode() for i in range(units))
    owner: Ints = np.arange(units)
    first, second = null.draw(generator, units)
    return Table(header, ids, owner, first), Table(header, ids, owner, second)


def randomised(null: Null, units: int, sets: int = SETS, swaps: int = SWAPS) -> Floats:
    """p [sets]."""
    found = np.empty(sets)
    for number in range(sets):
        baseline, system = pair_of_tables(null, units, number)
        of = Units(baseline.ids)
        found[number] = randomisation(null.metric, baseline, system, of, swaps=swaps, seed=SEED).p[
            0
        ]
    return found


def bootstrapped(null: Null, units: int, sets: int, resamples: int = SWAPS) -> Floats:
    """p [sets] of the shifted bootstrap."""
    found = np.empty(sets)
    for number in range(sets):
        tables = pair_of_tables(null, units, number)
        scorer = DifferenceScorer(*(null.metric.scorer(table) for table in tables))
        draws = PoissonDraws(unit_keys(tables[0].ids, SEED, tables[0].header.references))
        drawn = resample([scorer], [False], draws, resamples)[0]
        found[number] = shifted_bootstrap(drawn.values, drawn.point)[0]
    return found


def covered(null: Null, units: int, sets: int, method: str = "auto") -> tuple[float, float]:
    """How often the paired interval holds the true difference, 0, and its Monte-Carlo error."""
    held = 0
    for number in range(sets):
        tables = pair_of_tables(null, units, number)
        bounds = paired_difference(null.metric, *tables, method=method, resamples=SWAPS, seed=SEED)[
            "interval"
        ]
        held += bounds["low"] <= 0 <= bounds["high"]
    share = held / sets
    return share, math.sqrt(share * (1 - share) / sets)


def rejected(p: Floats) -> tuple[float, float]:
    """The share at 5 %, and its Monte-Carlo standard error."""
    share = float((p <= ALPHA).mean())
    return share, math.sqrt(share * (1 - share) / len(p))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--swaps", type=int, default=SWAPS)
    options = parser.parse_args()
    started = time.process_time()
    print(
        "| value | units | randomisation rejects | shifted bootstrap rejects "
        "| auto covers | percentile covers |\n|---|---|---|---|---|---|"
    )
    for null, units in CASES:
        tests = (randomised, bootstrapped)
        shares = (rejected(one(null, units, options.sets, options.swaps)) for one in tests)
        found = [*shares, *(covered(null, units, options.sets, one) for one in METHODS)]
        cells = (f"{share:.2%} ± {100 * error:.2f}" for share, error in found)
        print(f"| {null.name} | {units} | {' | '.join(cells)} |", flush=True)
    seconds = time.process_time() - started
    print(f"\n{options.sets:,} sets, {options.swaps:,} swaps, {seconds:,.0f} s of CPU")


if __name__ == "__main__":
    main()
