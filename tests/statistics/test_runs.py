"""Several training runs of one system: hand-made values, laws, and coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from evalkit.errors import MetricError
from evalkit.metric import SumMetric
from evalkit.stats.intervals import NoIntervalError
from evalkit.stats.paired import paired_difference
from evalkit.stats.runs import Runs, run_cautions, run_difference, run_interval
from evalkit.stats.units import Units
from evalkit.table import Floats, Table
from tests.means import Mean, mean_table
from tests.statistics import runs_simulation
from tests.statistics.runs_simulation import (
    DIFFERENCES,
    VALUES,
    Case,
    Detections,
    MeanWithoutSlopes,
    Simulated,
    simulate,
)

REDUCED_SETS = 200
STANDARD_ERRORS = 3.5  # Monte-Carlo allowance of the reduced runs
LOW, HIGH = 0.94, 0.985  # of 3 runs and more
LOW_OF_TWO, LOW_OF_UNEQUAL = 0.9, 0.925  # 2 runs; 10 runs of one system and 3 of the other
REDUCED = [
    *(case for case in VALUES if case.runs[0] in (3, 5) and case.seed != 43),
    *(case for case in DIFFERENCES if case.runs in ((3, 3), (5, 1), (5, 5))),
]


def runs(
    values: Floats, metric: SumMetric | None = None, clusters: list[str] | None = None
) -> Runs:
    """values [runs, examples]."""
    tables = [mean_table(run) for run in values]
    return Runs.of(metric or Mean(), tables, Units.of(tables[0].ids, clusters))


def normal(seed: int, shape: tuple[int, int] = (4, 30), run: float = 0.3) -> Floats:
    generator = np.random.default_rng(seed)
    units = generator.normal(0, 1, shape[1])
    return np.asarray(
        units + generator.normal(0, run, (shape[0], 1)) + generator.normal(0, 0.7, shape)
    )


def test_by_hand() -> None:
    """Units 0 … 7 (variance 6), runs -1 and +1 (variance 2), nothing else.

    6 / 8 + 2 / 2 = 1.75; Student's 0.975 quantiles of 7 and of 1 degrees of freedom are 2.364624
    and 12.706205: sqrt(2.364624² 0.75 + 12.706205²) = 12.870168.
    """
    found = run_interval(runs(np.arange(8.0) + np.array([[-1.0], [1.0]])))
    assert found["standard_error"] == pytest.approx(math.sqrt(1.75), rel=1e-12)
    assert found["high"] == pytest.approx(3.5 + 12.870168, abs=1e-5)
    assert found["low"] == pytest.approx(3.5 - 12.870168, abs=1e-5)
    assert found["degrees_of_freedom"] == {"units": 7, "runs": pytest.approx(1)}
    assert found["seed_share"] == pytest.approx(1 / 1.75)
    assert found["run_deviation"] == pytest.approx(math.sqrt(2))
    assert (found["runs"], found["method"], found["level"]) == (2, "two-way-t", 0.95)
    assert "over training runs" in found["estimand"]


def test_the_error_is_that_of_the_analysis_of_variance() -> None:
    values = normal(1, run=1)
    r, u = values.shape
    by_unit = values.mean(axis=0) - values.mean()
    by_run = values.mean(axis=1, keepdims=True) - values.mean()
    rest = values - values.mean() - by_unit - by_run
    of_units = r * (by_unit**2).sum() / (u - 1)
    of_runs = u * (by_run**2).sum() / (r - 1)
    of_rest = (rest**2).sum() / ((u - 1) * (r - 1))
    found = run_interval(runs(values))
    expected = (of_units + of_runs - of_rest) / (u * r)
    assert found["standard_error"] ** 2 == pytest.approx(expected, rel=1e-12)
    assert found["seed_share"] == pytest.approx(of_runs / (u * r) / expected, rel=1e-12)


def test_identical_runs_are_one_run() -> None:
    values = normal(2)[:1]
    same = runs(np.repeat(values, 3, axis=0))
    found = run_interval(same)
    expected = stats.t.interval(0.95, 29, values.mean(), stats.sem(values[0]))
    assert (found["low"], found["high"]) == pytest.approx(expected, rel=1e-9)
    assert found["seed_share"] == pytest.approx(0, abs=1e-12)
    assert [code for code, _ in run_cautions(same)] == ["identical-runs"]


def test_a_spread_of_runs_below_their_noise_counts_as_none() -> None:
    """All runs have the same value, but not the same units: the noise is in the units' part."""
    values = normal(3)
    values -= values.mean(axis=1, keepdims=True)
    found = run_interval(runs(values))
    half = stats.t.ppf(0.975, 29) * stats.sem(values.mean(axis=0))
    assert found["high"] == pytest.approx(half, rel=1e-9)
    assert found["degrees_of_freedom"]["runs"] is None


def test_more_runs_are_narrower_and_the_order_does_not_matter() -> None:
    values = normal(4, (20, 50), 1)
    few, many = run_interval(runs(values[:4])), run_interval(runs(values))
    assert many["high"] - many["low"] < few["high"] - few["low"]
    turned = run_interval(runs(values[::-1]))
    assert turned["low"] == pytest.approx(many["low"], rel=1e-9)


def test_bounds_are_cut_to_the_scale() -> None:
    found = run_interval(runs(np.arange(8.0) / 7 + np.array([[-0.2], [0.2]])), scale=(0, 1))
    assert (found["low"], found["high"]) == (0, 1)


def test_clusters_are_units() -> None:
    """Of equal sizes: the same as their means as examples."""
    values = normal(5, (3, 40))
    clusters = [f"{i % 10}" for i in range(40)]
    means = values.reshape(3, 4, 10).mean(axis=1)
    clustered, plain = run_interval(runs(values, clusters=clusters)), run_interval(runs(means))
    assert clustered["high"] == pytest.approx(plain["high"], rel=1e-9)
    assert clustered["degrees_of_freedom"] == plain["degrees_of_freedom"]


def test_a_difference_with_identical_runs_is_the_paired_difference() -> None:
    ours, theirs = normal(6)[0], normal(6)[1]
    found = run_difference(runs(theirs[None]), runs(np.stack([ours, ours])))
    test = stats.ttest_rel(ours, theirs)
    expected = test.confidence_interval(0.95)
    assert found["value"] == pytest.approx((ours - theirs).mean())
    assert found["interval"]["low"] == pytest.approx(expected.low, rel=1e-9)
    assert found["p"] == pytest.approx(test.pvalue, rel=1e-9)
    paired = paired_difference(Mean(), mean_table(theirs), mean_table(ours), method="cluster-t")
    assert found["interval"]["high"] == pytest.approx(paired["interval"]["high"], rel=1e-9)


def test_a_difference_adds_the_variances_of_independent_runs() -> None:
    """No noise: units cancel, and Welch's test of the runs' values is left."""
    units, effects = np.arange(10.0), (np.array([0.0, 1, 5]), np.array([9.0, 9.5, 10, 12]))
    baseline, system = (runs(units + each[:, None]) for each in effects)
    found = run_difference(baseline, system)
    test = stats.ttest_ind(effects[1], effects[0], equal_var=False)
    interval = test.confidence_interval(0.95)
    assert found["interval"]["low"] == pytest.approx(interval.low, rel=1e-9)
    assert found["p"] == pytest.approx(test.pvalue, rel=1e-9)
    assert found["interval"]["degrees_of_freedom"]["runs"] == pytest.approx(test.df, rel=1e-9)
    assert found["interval"]["seed_share"] == pytest.approx(1)
    assert found["interval"]["runs"] == {"baseline": 3, "system": 4}


def test_differences_turn_their_sign() -> None:
    one, other = runs(normal(7)), runs(normal(8, (3, 30)))
    there, back = run_difference(one, other), run_difference(other, one)
    assert there["value"] == -back["value"]
    assert there["interval"]["low"] == pytest.approx(-back["interval"]["high"], rel=1e-9)
    assert there["p"] == pytest.approx(back["p"], rel=1e-6)


def test_p_is_the_level_at_which_the_interval_ends_at_zero() -> None:
    one, other = runs(normal(9)), runs(normal(9) + normal(10) / 3 + 0.4)
    p_value = run_difference(one, other)["p"]
    assert 0 < p_value < 1
    bounds = run_difference(one, other, level=1 - p_value)["interval"]
    assert bounds["low"] == pytest.approx(0, abs=1e-9)


def test_one_run_of_a_side_is_taken_as_it_is() -> None:
    """Its runs' variance is not made up: the estimand and a caution say so."""
    one, several = runs(normal(11)[:1]), runs(normal(12))
    found = run_difference(one, several)["interval"]
    assert "this one run of the baseline" in found["estimand"]
    assert found["run_deviation"]["baseline"] is None
    turned = run_difference(several, one)["interval"]
    assert "this one run of the system" in turned["estimand"]
    codes, messages = zip(*run_cautions(several, baseline=one), strict=True)
    assert codes == ("one-run", "few-runs")
    error = found["standard_error"]
    hidden = several.count * several.between(0)[1]
    expected = f"would be {math.sqrt(error**2 + hidden):.3g} instead of {error:.3g}"
    assert messages[0].endswith(expected)
    assert hidden > 0


def test_without_influence_values_resamples_tell_the_same() -> None:
    values = normal(13, (4, 60), 0.4)
    by_sums = run_interval(runs(values, runs_simulation.MEAN))
    drawn = runs(values, MeanWithoutSlopes())
    by_resamples = run_interval(drawn)
    assert drawn.sampled
    assert by_resamples["standard_error"] == pytest.approx(by_sums["standard_error"], rel=0.05)
    assert by_resamples["high"] == pytest.approx(by_sums["high"], abs=0.05)
    other = normal(14, (2, 60))
    sums = run_difference(runs(other, runs_simulation.MEAN), runs(values, runs_simulation.MEAN))
    resampled = run_difference(runs(other, MeanWithoutSlopes()), drawn)
    assert resampled["value"] == pytest.approx(sums["value"])
    half = sums["interval"]["high"] - sums["value"]
    assert resampled["interval"]["high"] == pytest.approx(resampled["value"] + half, rel=0.05)


class Sometimes(MeanWithoutSlopes):
    """Undefined unless the first example counts."""

    def score(self, prepared: Floats, weights: Floats) -> Floats:  # type: ignore[override]
        values = super().score(prepared, weights)
        return np.where(weights[:, :1] > 0, values, np.nan)


def test_undefined_resamples() -> None:
    """Over a third of the resamples leave the first example out: exp(-1)."""
    with pytest.raises(NoIntervalError, match=r"undefined in (3|4)\d% of the resamples"):
        run_interval(runs(normal(15), Sometimes()))


class Undefined(Mean):
    """Undefined where the mean is below 0."""

    def from_sums(self, sums: Floats, scoring: Mapping[str, object]) -> Floats:
        values = super().from_sums(sums, scoring)
        return np.where(values < 0, np.nan, values)


@pytest.mark.parametrize(
    ("values", "metric", "reason"),
    [
        (np.ones((1, 9)), Mean(), "one run"),
        (normal(16, (3, 7)), Mean(), "7 examples; an interval needs at least 8"),
        (np.ones((3, 9)), Mean(), "everything agrees"),
        (
            np.arange(9.0) + np.array([[1.0], [-9.0]]),
            Undefined(),
            "the value of run 2 is undefined",
        ),
    ],
)
def test_no_interval(values: Floats, metric: SumMetric, reason: str) -> None:
    with pytest.raises(NoIntervalError, match=reason):
        run_interval(runs(values, metric))


def test_no_difference() -> None:
    one = runs(normal(17)[:1])
    with pytest.raises(NoIntervalError, match="one run of each system"):
        run_difference(one, one)
    several = runs(normal(17))
    with pytest.raises(NoIntervalError, match="everything agrees"):
        run_difference(runs(np.ones((2, 9))), runs(np.ones((2, 9))))
    clusters = [f"{i % 10}" for i in range(30)]
    other = runs(normal(17), clusters=clusters), runs(normal(17), clusters=clusters[::-1])
    for strange in (other[0], runs(normal(17, (4, 29))), runs(normal(17), MeanWithoutSlopes())):
        with pytest.raises(MetricError, match="not of one metric on the same units"):
            run_difference(several, strange)
    with pytest.raises(MetricError, match="not of one metric on the same units"):
        run_difference(*other)


def test_runs_must_pair() -> None:
    first, second = mean_table(normal(18)[0]), mean_table(normal(18)[1])
    units = Units(first.ids)
    short = Table(second.header, second.ids[:-1], second.owner[:-1], second.rows[:-1])
    with pytest.raises(MetricError, match="runs 1 and 3 hold different ids"):
        Runs.of(Mean(), [first, second, short], units)
    strange = replace(second, header=replace(second.header, references="other"))
    with pytest.raises(MetricError, match="differ in their references"):
        Runs.of(Mean(), [first, strange], units)


def test_cautions() -> None:
    assert [code for code, _ in run_cautions(runs(normal(19, (5, 30))))] == []
    assert [code for code, _ in run_cautions(runs(normal(19, (2, 30))))] == ["few-runs"]
    skewed = np.random.default_rng(0).lognormal(0, 1.5, (5, 40))
    assert [code for code, _ in run_cautions(runs(skewed))] == ["skew"]


def test_the_mean_scorer_gives_every_unit_its_mean() -> None:
    values = normal(20)
    scorer = runs(values).scorer
    each = scorer.each()
    assert each is not None
    assert each[:, 0] == pytest.approx(values.mean(axis=0))
    weights = np.random.default_rng(0).poisson(1, (3, 30)).astype(np.uint8)
    measured, _ = scorer.measure(weights, errors=False)
    assert measured[:, 0] == pytest.approx(weights @ values.mean(axis=0) / weights.sum(axis=1))


def named(case: Case) -> str:
    return f"{case.name}, {' and '.join(map(str, case.runs))} runs"


def check(case: Case, found: Simulated, low_allowance: float, high_allowance: float) -> None:
    low = {(10, 3): LOW_OF_UNEQUAL, (2,): LOW_OF_TWO, (2, 2): LOW_OF_TWO}.get(case.runs, LOW)
    assert low - low_allowance <= found.coverage() <= HIGH + high_allowance


def allowance(share: float) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1 - share) / REDUCED_SETS)


@pytest.mark.parametrize("case", REDUCED, ids=named)
def test_covers(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Says its size in the log, so that nobody takes it for the full run."""
    found = simulate(case, REDUCED_SETS)
    with capsys.disabled():
        print(
            f"\nreduced: {REDUCED_SETS} of {runs_simulation.SETS:,} sets: {named(case)}: "
            f"two-way-t covers {found.coverage():.1%}, "
            f"the units alone {found.coverage('units only'):.1%}",
            end=" ",
        )
    check(case, found, allowance(LOW), allowance(HIGH))


def cases(of: Sequence[Case], name: str) -> list[Case]:
    return [case for case in of if case.name == name]


@pytest.mark.parametrize("case", cases(VALUES, "mean, runs differ much")[:3], ids=named)
def test_the_units_alone_are_not_enough(case: Case) -> None:
    assert simulate(case, REDUCED_SETS).coverage("units only") < 0.85


@pytest.mark.slow
@pytest.mark.parametrize("case", [*VALUES, *DIFFERENCES], ids=named)
def test_covers_in_full(case: Case) -> None:
    check(case, simulate(case), 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in VALUES if case.runs == (10,)], ids=named)
def test_the_pigeonhole_bootstrap_is_no_better_at_ten_runs(case: Case) -> None:
    """Why there is one method: 1.5 points are what the distances from 95 % may differ by."""
    found = simulate(case)
    ours, theirs = (abs(found.coverage(name) - 0.95) for name in ("two-way-t", "pigeonhole"))
    assert ours <= theirs + 0.015


def test_the_truth_of_micro_f1_is_that_of_many_runs() -> None:
    """4,000 runs of 400 units each, within 3.5 standard errors of the mean of their values."""
    draw = Detections(0.8, 0.3, 0.8)
    case = Case("", runs_simulation.MICRO_F1, 400, (100,), 0, draw)
    generator = np.random.default_rng(1)
    sums = np.concatenate([draw(generator, case).system.sum(axis=1) for _ in range(40)])
    values = runs_simulation.MICRO_F1.from_sums(sums, {})[:, 0]
    by_set = values.reshape(40, 100).mean(axis=1)
    assert abs(by_set.mean() - draw.truth()) < STANDARD_ERRORS * stats.sem(by_set)
