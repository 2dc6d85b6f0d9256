"""Randomisation against literal exchanges of outputs, by hand, and on pairs with no difference."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from scipy import stats

from evalkit import catalogue
from evalkit.errors import MetricError
from evalkit.metric import Fitted, Metric, Output
from evalkit.records.example import Example, System
from evalkit.stats.randomisation import (
    PooledPair,
    SumPair,
    beyond,
    pair,
    pooled,
    randomisation,
    shifted_bootstrap,
)
from evalkit.stats.swaps import Coins, EverySwap, swap_keys
from evalkit.stats.units import Units
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Array, Floats, Header, Ints, Table
from evalkit.tables.build import Builder
from tests.corpora import boxes_system, labels_system, text_system
from tests.means import Mean, mean_table
from tests.statistics import randomisation_simulation as simulation
from tests.statistics.randomisation_simulation import BLEU_PAIR, CASES, Null, rejected
from tests.statistics.simulation import MicroF1

REDUCED_SETS = 1000
STANDARD_ERRORS = 3.5  # Monte-Carlo allowance
LOW, HIGH = 0.035, 0.065
MEAN = Mean()


@dataclass(frozen=True)
class Median(Metric):
    """The lower median: of a whole set, no sum. Rows are (value)."""

    outputs: ClassVar = (Output("median", (None, None)),)
    reads: ClassVar = "text"
    reference: ClassVar = "made up for a test"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterable[tuple[int]]:
        return [(len(one.prediction),) for one in examples]

    def score(self, prepared: Table, weights: Array) -> Floats:
        order = np.argsort(prepared.rows[:, 0], kind="stable")
        below = np.cumsum(weights[:, order], axis=1, dtype=np.int64)
        middle = (2 * below >= below[:, -1:]).argmax(axis=1)
        return prepared.rows[order[middle], :1].astype(np.float64)


def coin(unit: bytes, number: int, seed: int, references: str) -> int:
    """The definition, in whole numbers of Python: a bit of SplitMix64 of key and counter."""
    salt = hashlib.blake2b(f"{seed}\0swaps\0{references}".encode(), digest_size=16).digest()
    key = int.from_bytes(hashlib.blake2b(unit, digest_size=8, key=salt).digest(), "little")
    word = mixed(key + mixed((number // 64 + 1) * 0x9E3779B97F4A7C15))
    return word >> number % 64 & 1


def mixed(word: int) -> int:
    word %= 2**64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 31


def names(count: int) -> tuple[bytes, ...]:
    return tuple(f"segment-{i}".encode() for i in range(count))


def coins(count: int, seed: int = 12345, references: str = "references") -> Coins:
    return Coins(swap_keys(names(count), seed, references))


def test_coins_are_as_defined() -> None:
    found = coins(5, seed=7, references="abc").block(128, 128)
    assert found.dtype == np.uint8
    assert found.tolist() == [
        [coin(unit, number, 7, "abc") for unit in names(5)] for number in range(128, 256)
    ]


def test_coins_are_fair_and_independent() -> None:
    """By unit, by swap, and pairwise along either; chance of a false alarm 0.001 each."""
    tossed = coins(512).block(0, 8192)
    for drawn in (tossed[:, :256], coins(8192).block(0, 256).T):
        sums = drawn.sum(axis=0, dtype=np.int64)
        length = len(drawn)
        dispersion = ((2 * sums - length) ** 2).sum() / length
        assert 0.0005 < stats.chi2.cdf(dispersion, len(sums)) < 0.9995
        scaled = np.corrcoef(drawn, rowvar=False)[np.triu_indices(256, 1)] * math.sqrt(length)
        assert np.abs(scaled).max() < stats.norm.isf(0.001 / 2 / len(scaled))
        assert 0.0005 < stats.chi2.cdf((scaled**2).sum(), len(scaled)) < 0.9995


@pytest.mark.parametrize(
    "other",
    [
        coins(500, seed=12346).block(0, 1024),
        coins(500, references="others").block(0, 1024),
        PoissonDraws(unit_keys(names(500), 12345, "references")).block(0, 1024),
    ],
    ids=["seed", "references", "resamples"],
)
def test_coins_are_unrelated_to(other: Array) -> None:
    ours = coins(500).block(0, 1024)
    correlation = np.corrcoef(ours.ravel(), other.ravel())[0, 1]
    assert abs(correlation) * math.sqrt(ours.size) < STANDARD_ERRORS


def test_blocks_and_company_do_not_matter_to_coins() -> None:
    whole = coins(70).block(0, 512)
    parts = [coins(70).block(first, 64) for first in range(0, 512, 64)]
    assert np.array_equal(np.concatenate(parts), whole)
    chosen = np.random.default_rng(1).permutation(70)[:40]
    some = swap_keys([names(70)[i] for i in chosen], 12345, "references")
    assert np.array_equal(Coins(some).block(0, 512), whole[:, chosen])


@pytest.mark.parametrize("units", [1, 2, 5, 16])
def test_every_swap_holds_one_of_each_pair_of_opposites(units: int) -> None:
    every = EverySwap(units)
    tossed = every.block(0, max(64, every.half))[: every.half]
    both = np.concatenate([tossed, 1 - tossed])
    assert len(np.unique(both, axis=0)) == 2**units


def two_systems(kind: str, count: int, seed: int) -> tuple[System, System]:
    """The same references, other predictions; ids that bytes and numbers sort differently."""
    generator = np.random.default_rng(seed)
    match kind:
        case "text":
            found = text_system(count, seed, references=2).examples
            first = [replace(one, references=one.references[:1]) for one in found]
            second = [one.references[1] for one in found]
        case "labels":
            first = list(labels_system(count, seed).examples)
            second = [one.prediction for one in labels_system(count, seed + 1).examples]
        case _:
            first = list(boxes_system(count, seed).examples)
            second = [_other_boxes(one.prediction, generator) for one in first]
    ids = [str(i + 3) for i in range(count - 3)] + ["x1", "x", "7-a"]
    pairs = sorted(zip(ids, first, second, strict=True), key=lambda one: one[0].encode())
    ours = [replace(one, id=id) for id, one, _ in pairs]
    theirs = [replace(one, id=id, prediction=other) for id, one, other in pairs]
    return System("first", ours, kind=kind), System("second", theirs, kind=kind)


def _other_boxes(boxes: Sequence[Any], generator: np.random.Generator) -> tuple[Any, ...]:
    """Other scores, which tie between images but not inside one; some boxes are gone."""
    scores = generator.permutation(20)[: len(boxes)] / 20
    changed = [
        msgspec.structs.replace(box, score=float(score))
        for box, score in zip(boxes, scores, strict=True)
    ]
    return tuple(box for box in changed if generator.random() < 0.8)


def build(metric: Metric, system: System) -> Table:
    fitted = metric.fit([example.references for example in system.examples])
    return Builder().table(metric, system, fitted, system.references_digest)


def exchanged(ours: System, theirs: System, kept: Array) -> System:
    """Ours, with the predictions of theirs where kept [n] is 0."""
    both = zip(ours.examples, theirs.examples, kept, strict=True)
    return replace(ours, examples=[one if keep else other for one, other, keep in both])


@pytest.mark.parametrize("clustered", [False, True], ids=["examples", "clusters"])
@pytest.mark.parametrize(
    "metric",
    [
        *("bleu", "chrf", "ter", "rouge_l"),
        *("accuracy", "f1", "confusion", "calibration_error"),
        *("coco_ap", "voc_ap", "detection_f1", "detection_confusion"),
        Median(),
    ],
    ids=str,
)
def test_swaps_are_literal_exchanges_of_outputs(metric: str | Metric, clustered: bool) -> None:
    """Both routes, the one by sums and the one by pooled tables, against tables built anew."""
    metric = catalogue.metric(metric) if isinstance(metric, str) else metric
    first, second = two_systems(metric.reads, 14, seed=3)
    tables = build(metric, first), build(metric, second)
    clusters = [f"c{i % 4}" for i in range(14)] if clustered else None
    units = Units.of(tables[0].ids, clusters)
    tossed = coins(len(units.names)).block(0, 64)[:20]
    tossed[0], tossed[1] = 1, 0
    of_examples = tossed if units.unit_of is None else tossed[:, units.unit_of]
    literal = [
        [
            metric.scorer(build(metric, exchanged(ours, theirs, kept))).measure(
                np.ones((1, 14), np.uint8), errors=False
            )[0][0]
            for kept in of_examples
        ]
        for ours, theirs in ((second, first), (first, second))
    ]
    routes = [pair(metric, *tables, units), PooledPair(pooled(metric, *tables, units))]
    for route in routes:
        found = route.measure(tossed)
        for values, expected in zip(found, literal, strict=True):
            assert np.allclose(values, expected, rtol=1e-10, atol=1e-12, equal_nan=True)
    assert not np.allclose(literal[0], literal[1], equal_nan=True)


def test_p_by_hand() -> None:
    """scipy.stats.permutation_test, 'samples', of these eight differences: 22 of 256."""
    differences = np.array([0.3, -0.1, 0.5, 0.2, 0.4, -0.2, 0.6, 0.1])
    baseline, system = mean_table(np.zeros(8)), mean_table(differences)
    found = randomisation(MEAN, baseline, system, Units(baseline.ids))
    assert found.difference == pytest.approx([differences.mean()])
    assert found.p.tolist() == [22 / 256]
    assert (found.swaps, found.exact) == (256, True)


@pytest.mark.parametrize("shift", [0, 0.15, 1000 / 3])
def test_ties_count_whatever_their_rounding(shift: float) -> None:
    """0.7 is seen; 0.7 ± 0.1 ± 0.2 ± 0.3 reaches it with 0.6, 0.4, 0.2 and twice with 0 more."""
    differences = np.array([0.1, 0.2, 0.7, -0.3])
    baseline, system = mean_table(np.full(4, shift)), mean_table(differences + shift)
    assert randomisation(MEAN, baseline, system, Units(baseline.ids)).p.tolist() == [5 / 8]


def test_where_all_is_0_p_is_1() -> None:
    zeros = mean_table(np.zeros(20))
    assert randomisation(MEAN, zeros, zeros, Units(zeros.ids), swaps=500).p.tolist() == [1]


def tables(units: int, seed: int, effect: float = 0) -> tuple[Table, Table]:
    generator = np.random.default_rng(seed)
    shared = generator.lognormal(size=units)
    first, second = (shared + generator.normal(size=units) for _ in range(2))
    return mean_table(first), mean_table(second + effect)


def test_drawn_p_agrees_with_exact_p() -> None:
    pairs = pair(MEAN, *tables(16, 5, effect=0.3), Units(names(16)))
    exact, drawn = EverySwap(16), coins(16)
    share = beyond(pairs, exact, exact.half)[1][0] / exact.half
    found = beyond(pairs, drawn, 20_000)[1][0] / 20_000
    assert 0.02 < share < 0.98
    assert abs(found - share) < STANDARD_ERRORS * math.sqrt(share * (1 - share) / 20_000)


def test_sixteen_units_are_exact_and_seventeen_are_drawn() -> None:
    for units, swaps, exact in ((16, 2**16, True), (17, 1000, False)):
        baseline, system = tables(units, 6)
        found = randomisation(MEAN, baseline, system, Units(baseline.ids), swaps=1000)
        assert (found.swaps, found.exact) == (swaps, exact)


def test_p_is_never_0() -> None:
    baseline, system = tables(40, 7, effect=100)
    found = randomisation(MEAN, baseline, system, Units(baseline.ids), swaps=999)
    assert found.p.tolist() == [1 / 1000]


@pytest.mark.parametrize("units", [9, 30])
def test_against_itself_p_is_1(units: int) -> None:
    table = tables(units, 8)[0]
    assert randomisation(MEAN, table, table, Units(table.ids), swaps=500).p.tolist() == [1]


@pytest.mark.parametrize("units", [9, 30])
def test_roles_change_the_sign_only(units: int) -> None:
    baseline, system = tables(units, 9, effect=0.5)
    of = Units(baseline.ids)
    ours = randomisation(MEAN, baseline, system, of, swaps=500)
    theirs = randomisation(MEAN, system, baseline, of, swaps=500)
    assert ours.p.tolist() == theirs.p.tolist()
    assert ours.difference.tolist() == (-theirs.difference).tolist()


@pytest.mark.parametrize("metric", [MEAN, Median()], ids=["sums", "pooled"])
def test_threads_do_not_matter_and_progress_ends(metric: Metric) -> None:
    baseline, system = tables(700, 10, effect=0.1)
    seen: list[int] = []
    found = [
        randomisation(
            metric,
            baseline,
            system,
            Units(baseline.ids),
            swaps=5000,
            threads=threads,
            progress=seen.append,
        )
        for threads in (1, 3)
    ]
    assert found[0].p.tobytes() == found[1].p.tobytes()
    half = len(seen) // 2
    assert seen[:half] == seen[half:] == sorted(seen[:half])
    assert seen[-1] == 5000


def counts_table(rows: Sequence[tuple[int, int, int]]) -> Table:
    header = Header("micro_f1", {}, "", ("f1",), "", "set")
    owner: Ints = np.arange(len(rows))
    return Table(header, names(len(rows)), owner, np.array(rows))


def test_swaps_without_a_value_count() -> None:
    """Nothing is there or found but by the system in unit 0 and the baseline in unit 1.

    Exchanging one of the two leaves a system with nothing: undefined. The other two of four
    assignments have difference 0, as it was seen.
    """
    baseline = counts_table([(0, 0, 0), (1, 0, 1), (0, 0, 0)])
    system = counts_table([(1, 0, 1), (0, 0, 0), (0, 0, 0)])
    assert randomisation(MicroF1(), baseline, system, Units(baseline.ids)).p.tolist() == [1]
    better = counts_table([(1, 0, 0), (0, 0, 0), (0, 0, 0)])
    found = randomisation(MicroF1(), baseline, better, Units(baseline.ids))
    assert found.difference == pytest.approx([1 / 3])
    assert found.p.tolist() == [1]


def test_an_undefined_difference_has_no_p() -> None:
    empty = counts_table([(0, 0, 0)] * 3)
    full = counts_table([(1, 0, 1)] * 3)
    found = randomisation(MicroF1(), empty, full, Units(empty.ids))
    assert np.isnan(found.difference).all()
    assert np.isnan(found.p).all()


def test_tables_of_other_sets_refuse() -> None:
    baseline, system = tables(9, 11)
    other = replace(system, header=replace(system.header, references="others"))
    with pytest.raises(MetricError, match="references"):
        randomisation(MEAN, baseline, other, Units(baseline.ids))
    with pytest.raises(MetricError, match="different ids"):
        randomisation(MEAN, baseline, replace(system, ids=names(9)), Units(baseline.ids))


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_test_keeps_every_level(seed: int) -> None:
    """Of all exchanges of one pair, at most a share of alpha has p of alpha or less; with ties."""
    generator = np.random.default_rng(seed)
    first, second = generator.integers(0, 4, (2, 7)).astype(np.float64)
    every = EverySwap(7)
    p = []
    for kept in every.block(0, 64):
        pairs = (np.where(kept, first, second), np.where(kept, second, first))
        ours, theirs = (mean_table(values) for values in pairs)
        p.append(randomisation(MEAN, ours, theirs, Units(ours.ids)).p[0])
    found = np.array(p)
    assert all((found <= alpha).mean() <= alpha for alpha in np.unique(found))


def test_clusters_are_swapped_whole() -> None:
    """Two clusters of 20: four assignments, and the one seen has the largest difference."""
    baseline, system = tables(40, 12, effect=3)
    units = Units.of(baseline.ids, ["a", "b"] * 20)
    found = randomisation(MEAN, baseline, system, units)
    assert (found.p.tolist(), found.swaps) == ([0.5], 4)
    assert isinstance(pair(MEAN, baseline, system, units), SumPair)


def test_shifted_bootstrap_by_hand() -> None:
    """|d| are 1, 3, 2, 6 and their mean 3; less the mean: -2, 0, -1, 3; 3 of them reach 1: one."""
    values = np.array([[1.0, 1.0], [-3.0, 1.0], [2.0, 1.0], [6.0, np.nan]])
    found = shifted_bootstrap(values, np.array([-1.0, 1.0]))
    assert found.tolist() == [2 / 5, 2 / 5]


def test_shifted_bootstrap_against_itself_and_undefined() -> None:
    found = shifted_bootstrap(np.zeros((99, 2)), np.array([0.0, np.nan]))
    assert found[0] == 1
    assert np.isnan(found[1])


def named(value: object) -> str:
    return value.name if isinstance(value, Null) else str(value)


@pytest.mark.parametrize(("null", "units"), CASES, ids=named)
def test_level(null: Null, units: int, capsys: pytest.CaptureFixture[str]) -> None:
    share, _ = rejected(simulation.randomised(null, units, REDUCED_SETS))
    with capsys.disabled():
        print(
            f"\nreduced: {REDUCED_SETS} of {simulation.SETS:,} sets: {null.name}, {units} units: "
            f"{share:.1%} rejected",
            end=" ",
        )
    alpha = simulation.ALPHA
    error = math.sqrt(alpha * (1 - alpha) / REDUCED_SETS)
    assert abs(share - alpha) <= STANDARD_ERRORS * error


@pytest.mark.slow
@pytest.mark.parametrize(("null", "units"), CASES, ids=named)
def test_level_in_full(null: Null, units: int) -> None:
    share, _ = rejected(simulation.randomised(null, units))
    assert LOW <= share <= HIGH


@pytest.mark.parametrize(("null", "units"), CASES, ids=named)
def test_paired_intervals_cover(null: Null, units: int) -> None:
    """Reduced; the table of docs/intervals.md is of all sets."""
    share, error = simulation.covered(null, units, REDUCED_SETS)
    assert 0.93 - STANDARD_ERRORS * error <= share <= 0.97 + STANDARD_ERRORS * error


@pytest.mark.slow
@pytest.mark.parametrize(("null", "units"), CASES, ids=named)
def test_paired_intervals_cover_in_full(null: Null, units: int) -> None:
    share, _ = simulation.covered(null, units, 4000)
    assert 0.93 <= share <= 0.97


def test_the_shifted_bootstrap_is_one_sided_in_effect() -> None:
    """Twice the level and more, as its docstring says; so it is no default."""
    share, error = rejected(simulation.bootstrapped(BLEU_PAIR, 50, REDUCED_SETS))
    assert share - STANDARD_ERRORS * error > 1.5 * simulation.ALPHA
