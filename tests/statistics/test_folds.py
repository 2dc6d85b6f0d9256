"""Cross-validation: hand-made values, laws, and coverage with models that are really trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from evalkit.errors import MetricError
from evalkit.metric import Metric
from evalkit.stats.folds import Folds, fold_cautions, fold_difference, fold_interval
from evalkit.stats.intervals import NoIntervalError
from evalkit.stats.units import Units
from evalkit.table import Floats, Header, Table
from tests.means import Mean, mean_table
from tests.statistics import folds_simulation
from tests.statistics.folds_simulation import (
    CASES,
    DIFFERENCES,
    Case,
    Linear,
    draw,
    simulate,
)
from tests.statistics.simulation import MicroF1

REDUCED_SETS, REDUCED_TRUTH_SETS = 200, 2000
STANDARD_ERRORS = 3.5  # Monte-Carlo allowance of the reduced runs
LOW = 0.925
NAIVE = 0.9  # at most: t over folds and the pooled examples, where a model sways


def count(end: int) -> Floats:
    return np.arange(end, dtype=np.float64)


def folds(values: Floats, labels: str | Sequence[str], clusters: list[str] | None = None) -> Folds:
    """values [examples]; labels: one character per example."""
    table = mean_table(values)
    return Folds.of(Mean(), [table], [list(labels)], Units.of(table.ids, clusters))


def test_by_hand() -> None:
    """Fold means 0, 0.5, 0.5, 1: s² = 1/6, (1/4 + 1/3) / 6 = 7/72.

    Student's 0.975 quantile of 3 degrees of freedom is 3.182446: half 0.992302.
    """
    one = folds(np.array([0.0, 0, 0, 1, 1, 0, 1, 1]), "aabbccdd")
    found = fold_interval(one)
    assert one.value[0] == 0.5
    assert found["standard_error"] == pytest.approx(math.sqrt(7 / 72), rel=1e-12)
    assert found["high"] == pytest.approx(0.5 + 0.992302, abs=1e-6)
    assert found["low"] == pytest.approx(0.5 - 0.992302, abs=1e-6)
    assert found["fold_deviation"] == pytest.approx(math.sqrt(1 / 6))
    assert found["fold_values"][1] == {"repeat": 1, "fold": "b", "n": 2, "value": 0.5}
    assert (found["folds"], found["repeats"], found["degrees_of_freedom"]) == (4, 1, 3)
    assert found["method"] == "nadeau-bengio"
    assert "trained on 75% of as many examples" in found["estimand"]
    cut = fold_interval(one, scale=(0, 1))
    assert (cut["low"], cut["high"]) == (0, 1)


def test_the_value_is_pooled_and_not_the_mean_of_the_folds() -> None:
    """Counts (tp, fp, fn): fold values 2/3 and 0, together 4 / 7 of 10 examples."""
    rows = np.zeros((10, 3))
    rows[:4] = [[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]]
    rows[5, 1] = 1
    ids = tuple(f"{i}".encode() for i in range(10))
    table = Table(Header("f1", {}, "", ("f1",), "", ""), ids, np.arange(10), rows)
    found = Folds.of(MicroF1(), [table], ["aaaaabbbbb"], Units(ids))
    assert found.fold_values[:, 0] == pytest.approx([2 / 3, 0])
    assert found.value[0] == pytest.approx(4 / 7)
    record = fold_interval(found)
    assert (record["low"] + record["high"]) / 2 == pytest.approx(4 / 7)


def test_names_and_order_of_the_folds_do_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=20)
    one, other = (
        fold_interval(folds(values, "abcde" * 4)),
        fold_interval(folds(values, "ebcda" * 4)),
    )
    assert one["low"] == pytest.approx(other["low"], rel=1e-12)


def test_unequal_folds() -> None:
    """Each counts the same; the overlap is the mean of 3/5, 3/5 and 2/6."""
    values = count(8)
    found = fold_interval(folds(values, "aaabbbcc"))
    overlap = (3 / 5 + 3 / 5 + 2 / 6) / 3
    variance = np.var([1, 4, 6.5], ddof=1) * (1 / 3 + overlap)
    assert found["standard_error"] ** 2 == pytest.approx(variance, rel=1e-12)


def test_repeats_are_more_folds() -> None:
    """Bouckaert and Frank 2004: (1 / J + test / training) s² over all J folds."""
    generator = np.random.default_rng(1)
    values = generator.normal(size=(2, 12))
    labels = [list("abcd" * 3), list("aaabbbcccddd")]
    tables = [mean_table(one) for one in values]
    found = fold_interval(Folds.of(Mean(), tables, labels, Units(tables[0].ids)))
    means = [values[0][i::4].mean() for i in range(4)]
    means += list(values[1].reshape(4, 3).mean(axis=1))
    variance = np.var(means, ddof=1) * (1 / 8 + 1 / 3)
    half = stats.t.ppf(0.975, 7) * math.sqrt(variance)
    assert found["high"] == pytest.approx(values.mean() + half, rel=1e-9)
    assert (found["folds"], found["repeats"]) == (8, 2)


def test_a_difference_pairs_the_folds() -> None:
    generator = np.random.default_rng(2)
    theirs = generator.normal(size=20)
    ours = theirs + generator.normal(0.3, 0.2, 20)
    found = fold_difference(folds(theirs, "abcde" * 4), folds(ours, "abcde" * 4))
    differences = (ours - theirs).reshape(4, 5).mean(axis=0)
    error = math.sqrt(differences.var(ddof=1) * (1 / 5 + 1 / 4))
    assert found["value"] == pytest.approx(differences.mean())
    assert found["interval"]["standard_error"] == pytest.approx(error)
    assert found["p"] == pytest.approx(2 * stats.t.sf(differences.mean() / error, 4), rel=1e-6)
    assert found["interval"]["estimand"].startswith("the difference of the expected value")
    back = fold_difference(folds(ours, "abcde" * 4), folds(theirs, "abcde" * 4))
    assert back["interval"]["low"] == pytest.approx(-found["interval"]["high"])


class Undefined(Mean):
    """Undefined where the mean is below 0."""

    def from_sums(self, sums: Floats, scoring: Mapping[str, object]) -> Floats:
        values = super().from_sums(sums, scoring)
        return np.where(values < 0, np.nan, values)


@pytest.mark.parametrize(
    ("labels", "values", "metric", "reason"),
    [
        ("aabb", count(4), Mean(), "4 examples; an interval needs at least 8"),
        ("aaaaaaaab", count(9), Mean(), "a fold of one example"),
        ("aaaaaaabb", count(9), Mean(), "folds of 2 to 7 examples"),
        ("aaaabbbb", np.ones(8), Mean(), "everything agrees"),
        ("aaaabbbb", count(8) - 2, Undefined(), 'the value of fold "a" is undefined'),
    ],
)
def test_no_interval(labels: str, values: Floats, metric: Metric, reason: str) -> None:
    table = mean_table(values)
    one = Folds.of(metric, [table], [labels], Units(table.ids))
    with pytest.raises(NoIntervalError, match=reason):
        fold_interval(one)


def test_a_cluster_lies_in_one_fold() -> None:
    values, clusters = count(16), list("stuvwxyz" * 2)
    assert fold_interval(folds(values, "aaaabbbb" * 2, clusters))["folds"] == 2
    with pytest.raises(NoIntervalError, match='cluster "s" is in folds "a" and "b"'):
        fold_interval(folds(values, "a" * 8 + "b" * 8, clusters))


def test_what_does_not_pair() -> None:
    values = count(8)
    one = folds(values, "aaaabbbb")
    with pytest.raises(MetricError, match='id "00003" is in fold "a" and in fold "b"; only'):
        fold_difference(one, folds(values, "aaabbbba"))
    with pytest.raises(MetricError, match="on the same ids"):
        fold_difference(one, folds(count(9), "aaaabbbbb"))
    table = mean_table(values)
    twice = Folds.of(Mean(), [table, table], ["aaaabbbb", "abababab"], Units(table.ids))
    with pytest.raises(MetricError, match="1 and 2 repeats"):
        fold_difference(one, twice)
    with pytest.raises(MetricError, match="1 fold; cross-validation has at least 2"):
        folds(values, "aaaaaaaa")
    short = Table(table.header, table.ids[:-1], table.owner[:-1], table.rows[:-1])
    with pytest.raises(MetricError, match="repeats 1 and 2 hold different ids"):
        Folds.of(Mean(), [table, short], ["aaaabbbb", "aaaabbb"], Units(table.ids))
    strange = replace(table, header=replace(table.header, references="other"))
    with pytest.raises(MetricError, match="differ in their references"):
        Folds.of(Mean(), [table, strange], ["aaaabbbb"] * 2, Units(table.ids))


def test_cautions() -> None:
    values = count(10)
    assert [code for code, _ in fold_cautions(folds(values, "aaaaabbbbb"))] == ["few-folds"]
    assert not list(fold_cautions(folds(values, "aabbccddee")))


def test_exact_accuracy_is_that_of_many_examples() -> None:
    generator = np.random.default_rng(3)
    model = Linear(generator.normal(size=folds_simulation.FEATURES), 0.3)
    features, labels = draw(generator, 400_000)
    hits = model.predict(features) == (labels == 1)
    error = math.sqrt(0.25 / (len(labels) / 2))
    for value, exact in zip((1, 0), model.hits(), strict=True):
        assert abs(hits[labels == value].mean() - exact) < STANDARD_ERRORS * error


def named(case: Case) -> str:
    times = f", {case.repeats} times" if case.repeats > 1 else ""
    return f"{case.name}, {case.size} examples in {case.folds} folds{times}"


def allowance(share: float) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1 - share) / REDUCED_SETS)


@pytest.mark.parametrize("case", [CASES[5], CASES[7], DIFFERENCES[2]], ids=named)
def test_covers(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Says its size in the log, so that nobody takes it for the full run."""
    found = simulate(case, REDUCED_SETS, REDUCED_TRUTH_SETS)
    with capsys.disabled():
        print(
            f"\nreduced: {REDUCED_SETS} of {folds_simulation.SETS:,} sets: {named(case)}: "
            f"nadeau-bengio covers {found.coverage():.1%}, "
            f"t over folds {found.coverage('t over folds'):.1%}, "
            f"the pooled examples {found.coverage('pooled examples'):.1%}",
            end=" ",
        )
    assert found.missing <= 0.02 * REDUCED_SETS
    assert found.coverage() >= LOW - allowance(LOW)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES, *DIFFERENCES], ids=named)
def test_covers_in_full(case: Case) -> None:
    assert simulate(case).coverage() >= LOW


@pytest.mark.slow
@pytest.mark.parametrize("case", [CASES[8], DIFFERENCES[3]], ids=named)
def test_naive_intervals_fail_in_full(case: Case) -> None:
    """Why they are not the default: they do not know what the training sets share."""
    found = simulate(case)
    assert max(found.coverage(name) for name in ("t over folds", "pooled examples")) <= NAIVE
