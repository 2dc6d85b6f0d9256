"""Each interval against a formula or another program; the edges where there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.stats

import evalkit
from evalkit.metric import Output, SumMetric
from evalkit.stats.intervals import NoIntervalError, Situation, interval, wilson
from evalkit.stats.resampling import Resamples, resample
from evalkit.stats.units import Units
from evalkit.stats.weights import PoissonDraws, unit_keys
from evalkit.table import Floats, Header, Table
from tests.means import Mean, mean_table


def situation(values: Floats, clusters: list[str] | None = None, count: int = 2000) -> Situation:
    table = mean_table(values)
    units = Units.of(table.ids, clusters)
    scorer = Mean().scorer(table, units.unit_of)
    found = resample([scorer], [True], PoissonDraws(unit_keys(units.names, 1, "set")), count)[0]
    proportion = Mean().scorer(table).binary(0)
    return Situation(scorer, found, 0, len(units.names), units.clustered, proportion)


def bounds(made: Situation, method: str, declared: str = "mean", level: float = 0.95) -> Any:
    found = interval(made, method, declared=declared, level=level, scale=(None, None))
    return found["low"], found["high"]


VALUES = np.random.default_rng(7).lognormal(size=60)


def test_cluster_t_of_single_units_is_students_interval() -> None:
    """scipy.stats: mean ± t(n - 1) · s / √n."""
    expected = scipy.stats.t.interval(
        0.95, len(VALUES) - 1, loc=VALUES.mean(), scale=scipy.stats.sem(VALUES)
    )
    assert bounds(situation(VALUES), "cluster-t") == pytest.approx(expected, rel=1e-12)


def test_cluster_t_of_equal_clusters_is_students_interval_of_their_means() -> None:
    means = VALUES.reshape(12, 5).mean(axis=1)
    clusters = [f"c{i // 5:02d}" for i in range(60)]
    expected = scipy.stats.t.interval(0.95, 11, loc=means.mean(), scale=scipy.stats.sem(means))
    assert bounds(situation(VALUES, clusters), "cluster-t") == pytest.approx(expected, rel=1e-12)


def test_clusters_are_matched_by_name_whatever_their_order() -> None:
    """Names out of order: the cluster of an example must not depend on where its name sorts."""
    names = [f"c{i // 5:02d}" for i in range(60)]
    turned = {name: f"z{99 - int(name[1:]):02d}" for name in names}
    straight = bounds(situation(VALUES, names), "cluster-t")
    assert bounds(situation(VALUES, [turned[one] for one in names]), "cluster-t") == pytest.approx(
        straight, rel=1e-12
    )


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_is_statsmodels_and_scipys(level: float) -> None:
    for successes, units in ((0, 10), (3, 10), (95, 100), (100, 100)):
        theirs = scipy.stats.binomtest(successes, units).proportion_ci(level, method="wilson")
        found = wilson(successes, units, level)
        assert found == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_golden() -> None:
    """Bounds from statsmodels, golden/statistics.json, misc.proportion_ci."""
    golden = {
        (0, 20): (0.0, 0.1611251580528194),
        (19, 20): (0.7638688065532577, 0.9911185511992044),
        (45, 50): (0.7863976856252034, 0.9565242350681095),
        (250, 300): (0.7870033503873166, 0.8712346687963193),
    }
    for (successes, units), expected in golden.items():
        assert wilson(successes, units, 0.95) == pytest.approx(expected, abs=1e-12)


def test_bootstrap_t_by_its_definition() -> None:
    made = situation(VALUES)
    found = made.resamples
    pivots = (found.values[:, 0] - found.point[0]) / found.errors[:, 0]
    error = math.sqrt(((VALUES - VALUES.mean()) ** 2).sum()) / len(VALUES)
    assert found.point_error[0] == pytest.approx(error, rel=1e-12)
    expected = [VALUES.mean() - np.quantile(pivots, share) * error for share in (0.975, 0.025)]
    assert bounds(made, "bootstrap-t") == pytest.approx(expected, rel=1e-12)
    # A long right tail: the upper bound must lie farther out than the lower one.
    assert expected[1] - VALUES.mean() > VALUES.mean() - expected[0]


def test_bootstrap_t_leaves_degenerate_resamples_out_and_counts_them() -> None:
    made = situation(VALUES)
    values, errors = made.resamples.values.copy(), made.resamples.errors.copy()
    errors[:40] = 1e-9
    values[:40] = 1e9
    spoiled = Resamples(made.resamples.point, made.resamples.point_error, values, errors)
    again = Situation(made.scorer, spoiled, 0, made.units, clustered=False)
    kept = Resamples(made.resamples.point, made.resamples.point_error, values[40:], errors[40:])
    expected = Situation(made.scorer, kept, 0, made.units, clustered=False)
    assert bounds(again, "bootstrap-t") == bounds(expected, "bootstrap-t")
    record = interval(again, "auto", declared="mean", level=0.95, scale=(None, None))
    assert (record["method"], record["degenerate"]) == ("bootstrap-t", 40)
    errors[:110] = 1e-9
    record = interval(again, "auto", declared="mean", level=0.95, scale=(None, None))
    assert record["method"] == "cluster-t"


def test_percentile_basic_and_centred_by_their_definitions() -> None:
    made = situation(VALUES)
    values, point = made.resamples.values[:, 0], VALUES.mean()
    low, high = np.quantile(values, [0.025, 0.975])
    bias = values.mean() - point
    assert bounds(made, "percentile") == pytest.approx((low, high))
    assert bounds(made, "basic") == pytest.approx((2 * point - high, 2 * point - low))
    assert bounds(made, "centred") == pytest.approx((low - bias, high - bias))


def test_bca_is_scipys_up_to_the_draws() -> None:
    """scipy.stats.bootstrap draws multinomially: with 40,000 draws the bounds agree to 1.5 %."""
    theirs = scipy.stats.bootstrap(
        (VALUES,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    found = bounds(situation(VALUES, count=40_000), "bca")
    assert found == pytest.approx((theirs.low, theirs.high), rel=0.015)
    plain = bounds(situation(VALUES, count=40_000), "percentile")
    assert found[1] > plain[1] * 1.02, "the acceleration must move the bounds outwards here"


@pytest.mark.parametrize(
    ("count", "clusters", "says"),
    [(7, None, "7 examples; an interval needs at least 8"), (40, 4, "4 clusters")],
)
def test_too_few_units(count: int, clusters: int | None, says: str) -> None:
    names = None if clusters is None else [str(i % clusters) for i in range(count)]
    with pytest.raises(NoIntervalError, match=says):
        bounds(situation(VALUES[:count], names), "auto")


def test_what_auto_is() -> None:
    assert method_of(situation(VALUES)) == "bootstrap-t"
    assert method_of(situation(VALUES[:9])) == "bootstrap-t"
    assert method_of(situation(VALUES[:36], [str(i // 4) for i in range(36)])) == "cluster-t"
    half = (np.arange(60) % 2).astype(float)
    assert method_of(situation(half)) == "wilson"
    assert method_of(situation(half, [str(i // 3) for i in range(60)])) == "bootstrap-t"
    assert method_of(situation(VALUES), "centred") == "centred"


def method_of(made: Situation, declared: str = "mean") -> str:
    found = interval(made, "auto", declared=declared, level=0.95, scale=(None, None))
    return str(found["method"])


@dataclass(frozen=True)
class Percent(Mean):
    """A mean of 0 and 1 on another scale: Wilson's bounds are not its bounds."""

    outputs: ClassVar = (Output("percent", (0, 100)),)

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        return 100 * super().from_sums(sums, scoring)


def test_wilson_only_where_the_value_is_the_proportion() -> None:
    header = Header("percent", {}, "", ("percent",), "", "set")
    rows = [np.array([[i % 2, 1]]) for i in range(40)]
    table = Table.of(header, [f"{i:02d}".encode() for i in range(40)], rows)
    assert Percent().scorer(table).binary(0) is None
    assert Mean().scorer(table).binary(0) == (20, 40)


def test_an_empty_resample_is_undefined_and_counted() -> None:
    """With 8 units one resample in 3,000 counts nobody; bleu would call that 0."""
    result = evalkit.score(
        ["a b c d e"] * 4 + ["a b c x y"] * 4, ["a b c d e"] * 8, "bleu", resamples=20_000
    )
    draws = PoissonDraws(
        unit_keys(
            [str(i).encode() for i in range(1, 9)], 12345, result.document["inputs"]["references"]
        )
    )
    empty = int((draws.block(0, 20_032)[:20_000].sum(axis=1) == 0).sum())
    assert empty > 0
    assert result.scores[0]["interval"]["undefined"] == empty


@dataclass(frozen=True)
class Big(SumMetric):
    """Whole numbers beyond what float32 adds exactly."""

    outputs: ClassVar = (Output("big", (None, None)),)
    reads: ClassVar = "text"
    reference: ClassVar = "made up for a test"
    largest: int = 0

    def rows(self, examples, fitted):  # type: ignore[no-untyped-def]
        return iter(())

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        return sums[:, :1]


@pytest.mark.parametrize("largest", [3_600, 3_700, 33_000, 2**24 + 1, 2**26 + 1])
def test_sums_of_whole_numbers_are_exact(largest: int) -> None:
    """Against Python's integers, on both sides of every switch of precision."""
    header = Header("big", {}, "", ("big",), "", "set")
    rows = [np.array([[largest - i % 3, 1]]) for i in range(700)]
    table = Table.of(header, [f"{i:03d}".encode() for i in range(700)], rows)
    scorer = Big().scorer(table)
    for weights in (
        np.full((3, 700), 9, np.uint8),
        np.full((3, 700), 255, np.uint8),
        np.full((3, 700), 70_001, np.uint32),
    ):
        weight = int(weights[0, 0])
        expected = sum((largest - i % 3) * weight for i in range(700))
        values, _ = scorer.measure(weights, errors=False)
        assert [int(value) for value in values[:, 0]] == [expected] * 3
