"""Adjusted p-values against statsmodels, scipy and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalkit.errors import UsageError
from evalkit.stats.multiplicity import adjust

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ("holm", [0.04, 0.09, 0.09, 0.025, 0.2]),
        ("bh", [0.025, 0.05, 0.05, 0.025, 0.2]),
        ("none", [0.01, 0.04, 0.03, 0.005, 0.2]),
    ],
)
def test_as_statsmodels(correction: str, expected: list[float]) -> None:
    """statsmodels 0.15.0, stats.multitest.multipletests, methods holm and fdr_bh.

    Holm by hand: 0.005 × 5, 0.01 × 4, 0.03 × 3, then 0.04 × 2 = 0.08 below the one before, 0.2.
    """
    assert adjust([0.01, 0.04, 0.03, 0.005, 0.2], correction) == pytest.approx(expected)


@given(p=P_VALUES)
def test_bh_is_scipys(p: list[float]) -> None:
    assert adjust(p, "bh") == pytest.approx(stats.false_discovery_control(p, method="bh"))


@given(p=P_VALUES, level=st.floats(0.001, 0.999))
def test_holm_rejects_step_by_step(p: list[float], level: float) -> None:
    """Holm 1979: the smallest p against level / m, the next against level / (m - 1), …"""
    rejected = np.zeros(len(p), bool)
    for step, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] * (len(p) - step) > level:
            break
        rejected[place] = True
    assert (adjust(p, "holm") <= level).tolist() == rejected.tolist()


@given(p=P_VALUES)
def test_between_p_and_bonferroni(p: list[float]) -> None:
    holm, bh = adjust(p, "holm"), adjust(p, "bh")
    least = np.array(p) * (1 - 1e-12)
    assert (least <= bh).all()
    assert (bh <= holm * (1 + 1e-12)).all()
    assert (holm <= np.minimum(1, np.array(p) * len(p) * (1 + 1e-12))).all()


@pytest.mark.parametrize("correction", ["holm", "bh", "none"])
def test_undefined_p_values_are_no_members(correction: str) -> None:
    found = adjust([0.01, np.nan, 0.04], correction)
    assert np.isnan(found[1])
    assert found[[0, 2]].tolist() == adjust([0.01, 0.04], correction).tolist()
    assert np.isnan(adjust([np.nan], correction)).all()
    assert adjust([], correction).tolist() == []


def test_the_input_stays() -> None:
    p = np.array([0.01, 0.02])
    adjust(p, "holm")
    assert p.tolist() == [0.01, 0.02]


def test_an_unknown_correction_has_a_hint() -> None:
    with pytest.raises(UsageError, match='did you mean "holm"'):
        adjust([0.01], "hom")
