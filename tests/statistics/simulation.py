"""How often do the intervals cover? Sets drawn with a known truth, scored through the real code.

`python -m tests.statistics.simulation` prints the table of docs/intervals.md.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evalkit import catalogue
from evalkit.metric import Fitted, MeanMetric, Output, SumMetric
from evalkit.records.example import Example
from evalkit.stats.cautions import cautions
from evalkit.stats.intervals import NoIntervalError, Situation, interval, wants_errors, wilson
from evalkit.stats.resampling import resample
from evalkit.stats.units import Units
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Floats, Header, Ints, Table

LEVEL = 0.95
SEED = 12345  # of the resamples: evalkit's default
SETS = 20_000
RESAMPLES = 2000
METHODS = ("auto", "percentile")
Drawn = tuple[Floats, Ints | None]


@dataclass(frozen=True)
class Mean(MeanMetric):
    """Of values within low .. high."""

    low: float | None = None
    high: float | None = None

    outputs: ClassVar = (Output("mean", (None, None)),)
    reads: ClassVar = "numbers"
    reference: ClassVar = "the arithmetic mean"

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        return (Output("mean", (self.low, self.high)),)

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterable[Floats]:
        raise NotImplementedError("the rows are drawn")


@dataclass(frozen=True)
class MicroF1(SumMetric):
    """From (true positives, false positives, false negatives) per example."""

    outputs: ClassVar = (Output("f1"),)
    reads: ClassVar = "numbers"
    reference: ClassVar = "2 tp / (2 tp + fp + fn)"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterable[Floats]:
        raise NotImplementedError("the rows are drawn")

    def from_sums(self, sums: Floats, scoring: Mapping[str, object]) -> Floats:
        both = 2 * sums[:, :1] + sums[:, 1:2] + sums[:, 2:]
        value = np.full_like(both, np.nan)
        return np.divide(2 * sums[:, :1], both, out=value, where=both > 0)


@dataclass(frozen=True)
class Distribution:
    """`draw(generator, units)` -> rows [n, k], and the cluster of each row where units are those.

    truth: the metric at the expected sums. seed: of the sets.
    """

    name: str
    metric: SumMetric
    truth: float
    seed: int
    draw: Callable[[np.random.Generator, int], Drawn]


def _rows(values: NDArray[np.generic]) -> Floats:
    """Of a mean: (value, 1)."""
    return np.column_stack([values, np.ones(len(values))]).astype(np.float64)


def _beta(generator: np.random.Generator, units: int) -> Drawn:
    return _rows(generator.beta(8, 1.5, units)), None


def _lognormal(generator: np.random.Generator, units: int) -> Drawn:
    return _rows(generator.lognormal(0, 1, units)), None


def _error_penalties(generator: np.random.Generator, units: int) -> Drawn:
    """Half without an error; else geometric many (mean 2.5): 70 % cost 1, 28 % cost 5, 2 % 25."""
    errors = generator.geometric(0.4, units) * (generator.random(units) < 0.5)
    minor = generator.binomial(errors, 0.7)
    critical = generator.binomial(errors - minor, 0.02 / 0.3)
    return _rows(minor + 5 * (errors - minor - critical) + 25 * critical), None


def _bleu_statistics(generator: np.random.Generator, units: int) -> Drawn:
    """Lengths vary, so does the quality of a segment; each n-gram survives into the next order."""
    reference = 4 + generator.negative_binomial(3, 3 / 21, units)
    length = generator.poisson(0.95 * reference)
    quality = generator.beta(6, 3, units)
    total = np.maximum(length[:, None] - np.arange(4), 0)
    correct = np.empty_like(total)
    correct[:, 0] = generator.binomial(total[:, 0], quality)
    for order in range(1, 4):
        possible = np.minimum(correct[:, order - 1], total[:, order])
        correct[:, order] = generator.binomial(possible, 0.25 + 0.55 * quality)
    return np.column_stack([length, reference, correct, total]).astype(np.float64), None


def _detections(generator: np.random.Generator, units: int) -> Drawn:
    """Over-dispersed: mean 4 things per example, 3 of them found, and 1 found that is not there."""
    things = generator.negative_binomial(1.2, 1.2 / 5.2, units)
    found = generator.binomial(things, generator.beta(6, 2, units))
    wrong = generator.poisson(generator.gamma(0.8, 1.25, units))
    return np.column_stack([found, wrong, things - found]).astype(np.float64), None


def _shares(share: float) -> Callable[[np.random.Generator, int], Drawn]:
    def draw(generator: np.random.Generator, units: int) -> Drawn:
        return _rows(generator.random(units) < share), None

    return draw


def _normal_clusters(size: float) -> Callable[[np.random.Generator, int], Drawn]:
    """Intraclass correlation 0.2; sizes are 1 + Poisson with this mean."""

    def draw(generator: np.random.Generator, units: int) -> Drawn:
        cluster = _clusters(generator, units, size)
        effects = generator.normal(0, math.sqrt(0.2), units)
        return _rows(effects[cluster] + generator.normal(0, math.sqrt(0.8), len(cluster))), cluster

    return draw


def _binary_clusters(generator: np.random.Generator, units: int) -> Drawn:
    """Shares of clusters are Beta(3.6, 0.4): mean 0.9, intraclass correlation 1 / (1 + 4) = 0.2."""
    cluster = _clusters(generator, units, 10)
    shares = generator.beta(3.6, 0.4, units)
    return _rows(generator.random(len(cluster)) < shares[cluster]), cluster


def _clusters(generator: np.random.Generator, units: int, size: float) -> Ints:
    return np.repeat(np.arange(units), 1 + generator.poisson(size - 1, units))


def bleu_truth(draws: int = 40_000_000, seed: int = 0) -> float:
    """BLEU at the expected sums, from this many segments; a constant below."""
    generator, step = np.random.default_rng(seed), 1_000_000
    sums = sum(_bleu_statistics(generator, step)[0].sum(axis=0) for _ in range(draws // step))
    return float(BLEU.from_sums(np.atleast_2d(sums), {})[0, 0])


def _sum_metric(name: str) -> SumMetric:
    found = catalogue.metric(name)
    assert isinstance(found, SumMetric)
    return found


BLEU = _sum_metric("bleu")
UNIT_MEAN = Mean(0, 1)

BETA = Distribution("mean of Beta(8, 1.5)", UNIT_MEAN, 8 / 9.5, 1, _beta)
# python -c "from tests.statistics.simulation import bleu_truth; print(bleu_truth())"
BLEU_LIKE = Distribution("BLEU from 10 counts", BLEU, 34.88437037099032, 2, _bleu_statistics)
# tp = 3, fp = 0.8 * 1.25 = 1, fn = 1 are expected: 6 / (6 + 1 + 1)
MICRO_F1 = Distribution("micro-F1", MicroF1(), 0.75, 3, _detections)
CLUSTERS_OF_10 = Distribution("mean in clusters of 10", Mean(), 0, 4, _normal_clusters(10))
LOGNORMAL = Distribution("mean of lognormal(0, 1)", Mean(0), math.exp(0.5), 5, _lognormal)
# 0.5 * 2.5 * (0.7 * 1 + 0.28 * 5 + 0.02 * 25)
PENALTIES = Distribution("mean of MQM-like penalties", Mean(0), 3.25, 6, _error_penalties)
SHARE_90 = Distribution("proportion 0.90", UNIT_MEAN, 0.9, 7, _shares(0.9))
SHARE_95 = Distribution("proportion 0.95", UNIT_MEAN, 0.95, 8, _shares(0.95))
CLUSTERS_OF_6 = Distribution("mean in clusters of 6", Mean(), 0, 9, _normal_clusters(6))
CLUSTERS_OF_20 = Distribution("mean in clusters of 20", Mean(), 0, 10, _normal_clusters(20))
SHARE_IN_CLUSTERS = Distribution(
    "proportion 0.90 in clusters of 10", UNIT_MEAN, 0.9, 11, _binary_clusters
)

CASES = (
    (BETA, 50),
    (BETA, 100),
    (BLEU_LIKE, 50),
    (BLEU_LIKE, 100),
    (MICRO_F1, 50),
    (MICRO_F1, 100),
    (CLUSTERS_OF_10, 20),
    (LOGNORMAL, 50),
    (LOGNORMAL, 100),
    (PENALTIES, 50),
    (PENALTIES, 100),
    (SHARE_90, 50),
    (SHARE_90, 100),
    (SHARE_95, 50),
    (SHARE_95, 100),
    (CLUSTERS_OF_10, 10),
    (CLUSTERS_OF_6, 50),
    (SHARE_IN_CLUSTERS, 20),
    (BETA, 9),
    (CLUSTERS_OF_20, 5),
)


@dataclass(frozen=True)
class Simulated:
    """`bounds`: method -> [sets, 2], NaN where there is no interval.

    chosen: the method that auto took, per set. warned: the codes of auto's cautions, per set.
    """

    truth: float
    bounds: Mapping[str, Floats]
    chosen: tuple[str, ...]
    warned: tuple[frozenset[str], ...]

    def missing(self, method: str) -> float:
        """Share of the sets without an interval."""
        return float(np.isnan(self.bounds[method][:, 0]).mean())

    def misses(self, method: str) -> tuple[float, float]:
        """Shares of the intervals that lie wholly below and wholly above the truth."""
        low, high = self._known(method).T
        return float((high < self.truth).mean()), float((low > self.truth).mean())

    def coverage(self, method: str) -> float:
        """Share of the intervals that hold the truth."""
        low, high = self._known(method).T
        return float(((low <= self.truth) & (self.truth <= high)).mean())

    def error(self, method: str) -> float:
        """Monte-Carlo standard error of the coverage."""
        share = self.coverage(method)
        return math.sqrt(share * (1 - share) / len(self._known(method)))

    def width(self, method: str) -> float:
        """Mean width of the intervals."""
        return float(np.diff(self._known(method)).mean())

    def only(self, kept: NDArray[np.bool_]) -> Simulated:
        """The sets that are kept [sets]."""
        return Simulated(
            self.truth,
            {method: bounds[kept] for method, bounds in self.bounds.items()},
            tuple(itertools.compress(self.chosen, kept)),
            tuple(itertools.compress(self.warned, kept)),
        )

    def gain(self) -> tuple[float, float]:
        """Coverage of auto less that of percentile where both exist, and its standard error."""
        both = ~np.isnan(np.concatenate([self.bounds[method] for method in METHODS], axis=1))
        hits = [
            (bounds[:, 0] <= self.truth) & (self.truth <= bounds[:, 1])
            for bounds in (self.bounds[method][both.all(axis=1)] for method in METHODS)
        ]
        difference = hits[0].astype(float) - hits[1]
        return float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))

    def _known(self, method: str) -> Floats:
        bounds = self.bounds[method]
        return np.asarray(bounds[~np.isnan(bounds[:, 0])])


def simulate(
    distribution: Distribution, units: int, sets: int = SETS, resamples: int = RESAMPLES
) -> Simulated:
    """Set i does not depend on how many there are: few sets are the first of many."""
    bounds = {method: np.full((sets, 2), np.nan) for method in METHODS}
    chosen, warned = [], []
    for number in range(sets):
        situation = draw_situation(distribution, units, number, resamples)
        scale = distribution.metric.output_list(Fitted())[0].scale
        taken, codes = "none", frozenset[str]()
        for method in METHODS:
            try:
                record = interval(
                    situation,
                    method,
                    declared=distribution.metric.interval,
                    level=LEVEL,
                    scale=scale,
                )
            except NoIntervalError:
                continue
            bounds[method][number] = record["low"], record["high"]
            if method == "auto":
                taken = record["method"]
                codes = frozenset(code for code, _ in cautions(situation, taken))
        chosen.append(taken)
        warned.append(codes)
    return Simulated(distribution.truth, bounds, tuple(chosen), tuple(warned))


def draw_situation(
    distribution: Distribution, units: int, number: int, resamples: int
) -> Situation:
    """One set, resampled as `evalkit score` does it."""
    generator = np.random.default_rng([distribution.seed, units, number])
    rows, cluster = distribution.draw(generator, units)
    metric = distribution.metric
    header = Header(
        metric.name,
        metric.parameters,
        "",
        tuple(output.name for output in metric.outputs),
        "",
        f"{distribution.name}, {units}, {number}",
    )
    ids = tuple(f"{i:05d}".encode() for i in range(len(rows)))
    table = Table.of(header, ids, list(rows[:, None]))
    names = None if cluster is None else [f"{one:05d}" for one in cluster]
    resampled = Units.of(table.ids, names)
    draws = PoissonDraws(unit_keys(resampled.names, SEED, header.references))
    scorer = metric.scorer(table, resampled.unit_of)
    wanted = any(wants_errors(method, metric.interval) for method in METHODS)
    found = resample([scorer], [wanted], draws, resamples)[0]
    proportion = metric.scorer(table).binary(0)
    return Situation(scorer, found, 0, len(resampled.names), resampled.clustered, proportion)


def wilson_coverage(share: float, units: int, level: float = LEVEL) -> float:
    """Exact: the binomial probability of the counts whose interval holds the share."""
    counts = np.arange(units + 1)
    logs = special.gammaln(units + 1) - special.gammaln(counts + 1)
    logs += special.xlogy(counts, share) + special.xlog1py(units - counts, -share)
    chances = np.exp(logs - special.gammaln(units - counts + 1))
    held = [low <= share <= high for low, high in (wilson(int(k), units, level) for k in counts)]
    return float(chances[held].sum())


HEADER = """\
| value | units | auto takes | auto covers | percentile covers | width | no interval | warned |
|---|---|---|---|---|---|---|---|"""
WARNED_HEADER = """\
| value | units | warning | sets | covered with it | covered without it |
|---|---|---|---|---|---|"""


def coverage_row(distribution: Distribution, units: int, found: Simulated) -> str:
    """Shares in per cent; in brackets, the intervals below and above the truth.

    width: auto / percentile. no interval: auto, percentile.
    """
    cells = [
        distribution.name,
        f"{units}",
        ", ".join(
            f"{name} {number / len(found.chosen):.1%}"
            for name, number in Counter(found.chosen).most_common()
        ),
        *(_covers(found, method) for method in METHODS),
        f"{found.width('auto') / found.width('percentile'):.2f}",
        ", ".join(_percent(found.missing(method)) for method in METHODS),
        _percent(sum(map(bool, found.warned)) / len(found.warned)),
    ]
    return f"| {' | '.join(cells)} |"


def warned_rows(distribution: Distribution, units: int, found: Simulated) -> Iterator[str]:
    """One row per code: how often it is given, and how often auto covers with and without it."""
    for code in sorted(frozenset().union(*found.warned)):
        given = np.array([code in codes for codes in found.warned])
        covered = [
            _percent(found.only(chosen).coverage("auto")) if chosen.any() else "–"
            for chosen in (given, ~given)
        ]
        cells = [distribution.name, f"{units}", code, _percent(given.mean()), *covered]
        yield f"| {' | '.join(cells)} |"


def _covers(found: Simulated, method: str) -> str:
    below, above = map(_percent, found.misses(method))
    coverage, error = _percent(found.coverage(method)), 100 * found.error(method)
    return f"{coverage} ± {error:.2f} ({below}, {above})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    options = parser.parse_args()
    started = time.process_time()
    warned: list[str] = []
    print(HEADER, flush=True)
    for distribution, units in CASES:
        found = simulate(distribution, units, options.sets, options.resamples)
        print(coverage_row(distribution, units, found), flush=True)
        warned.extend(warned_rows(distribution, units, found))
    print(f"\n{WARNED_HEADER}", *warned, sep="\n")
    seconds = time.process_time() - started
    print(f"\n{options.sets:,} sets, {options.resamples:,} resamples, {seconds:,.0f} s of CPU")


if __name__ == "__main__":
    main()
