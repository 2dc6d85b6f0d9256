"""Clusters of a ranking and the chance to be the best, by hand and by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalkit.stats.ranking import Rule, probability_best, significance_clusters

ALL = np.triu(np.ones((4, 4), bool), 1)


def beaten(*pairs: tuple[int, int], systems: int = 4) -> NDArray[np.bool_]:
    found = np.zeros((systems, systems), bool)
    for better, worse in pairs:
        found[better, worse] = True
    return found


@pytest.mark.parametrize("rule", ["every", "any"])
def test_where_all_or_none_differ(rule: Rule) -> None:
    assert significance_clusters(range(4), ALL, rule=rule) == [1, 2, 3, 4]
    assert significance_clusters(range(4), beaten(), rule=rule) == [1, 1, 1, 1]
    assert significance_clusters([0], beaten(systems=1), rule=rule) == [1]
    assert significance_clusters([], beaten(systems=0), rule=rule) == []


def test_numbers_are_those_of_the_systems() -> None:
    """Ranked 2, 0, 1: the first beats both others, which do not differ."""
    assert significance_clusters([2, 0, 1], beaten((2, 0), (2, 1), systems=3)) == [2, 2, 1]


@pytest.mark.parametrize(
    ("p", "any_rule"),
    [
        ([[0, 0.2, 0.03, 0.01], [0, 0, 0.3, 0.04], [0, 0, 0, 0.5], [0] * 4], [1, 1, 2, 2]),
        ([[0, 0.2, 0.2, 0.01], [0, 0, 0.01, 0.2], [0, 0, 0, 0.2], [0] * 4], [1, 1, 2, 2]),
    ],
)
def test_any_is_assign_ranks(p: list[list[float]], any_rule: list[int]) -> None:
    """mt-metrics-eval 68a481aea1a7, stats.AssignRanks, at 0.05; above, p of the row's system.

    By the rule `every` all four are one cluster: the second does not beat the third in the one,
    nor the first the third in the other.
    """
    found = np.triu(np.array(p) <= 0.05, 1)
    assert significance_clusters(range(4), found, rule="any") == any_rule
    assert significance_clusters(range(4), found) == [1, 1, 1, 1]


def test_a_late_system_dissolves_a_line() -> None:
    """The first beats the second and third, but not the fourth: no line holds."""
    assert significance_clusters(range(4), beaten((0, 1), (0, 2), (1, 3), (2, 3))) == [1, 1, 1, 1]
    lines = beaten((0, 2), (0, 3), (1, 2), (1, 3))
    assert significance_clusters(range(4), lines) == [1, 1, 2, 2]


@given(bits=st.lists(st.booleans(), min_size=36, max_size=36), order=st.permutations(range(6)))
def test_what_clusters_promise(bits: list[bool], order: list[int]) -> None:
    """Every: systems of two clusters differ. Any: the better of a cluster beats none of it."""
    found = np.array(bits).reshape(6, 6)
    every = significance_clusters(order, found)
    among = significance_clusters(order, found, rule="any")
    for place, better in enumerate(order):
        for worse in order[place + 1 :]:
            assert every[better] <= every[worse]
            assert every[better] == every[worse] or found[better, worse]
            assert among[better] < among[worse] or not found[better, worse]


def test_best_by_hand() -> None:
    """Resamples: the first alone; all tie; the second of two that are defined; none."""
    nan = np.nan
    values = np.array([[3.0, 1.0, 1.0, nan], [2.0, 1.0, 2.0, nan], [1.0, 1.0, nan, nan]])
    found = probability_best(values, True)
    assert found == pytest.approx([(1 + 1 / 3) / 3, (1 / 3 + 1) / 3, 1 / 9])
    lowest = probability_best(values[:, :2], False)
    assert lowest == pytest.approx([1 / 6, 1 / 6, 4 / 6])


def test_best_of_one_and_of_nothing() -> None:
    assert probability_best(np.ones((1, 5)), True).tolist() == [1]
    assert np.isnan(probability_best(np.full((2, 5), np.nan), True)).all()
    assert np.isnan(probability_best(np.zeros((2, 0)), True)).all()
