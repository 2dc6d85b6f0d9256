"""coco_bleu against pycocoevalcap 1.2's Bleu, on the captions of its own wheel and on odd ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.metric import SumMetric
from evalkit.records.example import Example
from tests import captions
from tests.captions import as_library, odd_system, system, val2014

peers = pytest.importorskip(
    "pycocoevalcap.bleu.bleu", reason="pycocoevalcap is not installed: extra `caption`"
)
NAMES = ("bleu1", "bleu2", "bleu3", "bleu4")


def theirs(examples: Sequence[Example]) -> tuple[Any, Any]:
    """Corpus values [4] and those of the examples [examples, 4]."""
    values, each = peers.Bleu().compute_score(*as_library(examples), verbose=0)
    return np.array(values), np.array(each).T


def ours(examples: Sequence[Example]) -> tuple[Any, Any]:
    metric = catalogue.metric("coco_bleu:tokenize=none")
    assert isinstance(metric, SumMetric)
    fitted = metric.fit([one.references for one in examples])
    rows = np.array(list(metric.rows(examples, fitted)), np.float64)
    values = metric.from_sums(rows.sum(axis=0, keepdims=True), {})[0]
    return values[::-1], metric.from_sums(rows, {})[:, ::-1]


def assert_equal(examples: Sequence[Example]) -> None:
    (values, each), (expected, each_expected) = ours(examples), theirs(examples)
    assert np.abs(values - expected).max() < 1e-12
    assert np.abs(each - each_expected).max() < 1e-9


@pytest.mark.parametrize("references", [5, None], ids=["five", "varying"])
def test_five_thousand_images(references: int | None) -> None:
    images = dict(list(val2014().items())[:5000])
    assert_equal(system(images, seed=1, references=references))


@pytest.mark.slow
def test_all_images() -> None:
    examples = system(val2014(), seed=2)
    assert len(examples) == 40504
    assert_equal(examples)


@pytest.mark.parametrize("seed", range(40))
def test_odd_captions(seed: int) -> None:
    assert_equal(odd_system(1 + 2 * seed, seed))


@pytest.mark.parametrize(
    "example",
    [
        Example("1", "", ("a b",)),
        Example("1", "", ("",)),
        Example("1", "a", ("",)),
        Example("1", "a a a a a a", ("a a", "a b a c a")),
        Example("1", "a b c", ("a b", "a b c d")),
        Example("1", "x y z", ("a b c",)),
    ],
)
def test_one_example(example: Example) -> None:
    """The smoothing alone, ties of the closest length, counts clipped to the best reference."""
    assert_equal([example])


def test_published_fakecap(data: Path) -> None:
    """coco-caption's notebook: .579 .404 .279 .191, ratio 1.00385591071."""
    pytest.importorskip("evalkit.text.ptb", reason="no tokeniser in Python yet")
    examples = captions.fakecap(data)
    result = evalkit.score(
        [one.prediction for one in examples],
        [one.references for one in examples],
        ["coco_bleu"],
        interval="none",
    )
    values = [result.value("coco_bleu", name) for name in NAMES]
    assert [round(value, 3) for value in values] == [0.579, 0.404, 0.279, 0.191]
    length, reference = result.tables["coco_bleu"].rows.astype(float).sum(axis=0)[:2]
    assert length / reference == pytest.approx(1.00385591071, abs=1e-11)


def test_two_systems_share_the_tokens_of_their_references() -> None:
    metric = catalogue.metric("coco_bleu:tokenize=none")
    examples = odd_system(20, seed=3)
    fitted = metric.fit([one.references for one in examples])
    first, second = (np.array(list(metric.rows(examples, fitted))) for _ in range(2))
    assert np.array_equal(first, second)


def test_slope_where_the_penalty_begins() -> None:
    """Shorter than the references: the length counts; longer: it does not."""
    metric = catalogue.metric("coco_bleu:tokenize=none")
    assert isinstance(metric, SumMetric)
    counts = [10.0, 9, 8, 7, 8, 6, 4, 3]
    sums = np.array([[10, 12, *counts], [10, 9, *counts]], np.float64)
    slopes = metric.gradient(sums, {})
    step = 1e-5
    for column in range(10):
        change = step * (np.arange(10) == column)
        rise = metric.from_sums(sums + change, {}) - metric.from_sums(sums - change, {})
        assert np.allclose(slopes[:, :, column], rise / (2 * step), rtol=1e-6, atol=1e-9)
    assert (slopes[1, :, :2] == 0).all()
    assert (slopes[0, :, 0] > 0).all()
