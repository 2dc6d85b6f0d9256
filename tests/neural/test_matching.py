"""Matching on vectors small enough to match by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `neural` is not installed")

from evalkit.neural import matching  # noqa: E402
from evalkit.neural.encoder import EncodedText  # noqa: E402


def text(ids: list[int], *degrees: float) -> EncodedText:
    angles = torch.tensor(degrees, dtype=torch.float32) * math.pi / 180
    return EncodedText(ids, False, torch.stack((angles.cos(), angles.sin()), dim=1))


def test_by_hand() -> None:
    """Cosines: 1 1/2 (of 0°) and 0 1/2 (of 90°); so P = (1 + 1/2) / 2, R = (1 + 1/2) / 2."""
    pair = (text([5, 6], 0, 90), text([5, 7], 0, 300))
    weights = matching.even_weights(10, (None,))
    cosine = math.cos(math.pi / 3)
    precision, recall = (1 + 0) / 2, (1 + cosine) / 2
    f1 = 2 * precision * recall / (precision + recall)
    assert matching.match([pair], weights)[0] == pytest.approx([precision, recall, f1], abs=1e-6)


def test_unweighted_tokens_are_targets_only() -> None:
    """Token 1 weighs nothing, yet the prediction's second token matches it."""
    pair = (text([1, 6], 180, 90), text([1, 7], 90, 0))
    found = matching.match([pair], matching.even_weights(10, (1,)))[0]
    assert found == pytest.approx([1, 0, 0], abs=1e-6)


def test_idf_by_hand() -> None:
    """3 documents: in all of them log(4/4), in one log(4/2), in none log(4/1)."""
    weights = matching.idf_weights(4, {0: 3, 1: 1}, documents=3)
    assert weights.tolist() == pytest.approx([0, math.log(2), math.log(4), math.log(4)])
    pair = (text([0, 1, 2], 0, 90, 90), text([1, 2], 0, 90))
    precision = (0 * 1 + math.log(2) * 1 + math.log(4) * 1) / (math.log(2) + math.log(4))
    found = matching.match([pair], weights)[0]
    assert found[:2] == pytest.approx([precision, 1], abs=1e-6)


def test_no_weight_is_no_number() -> None:
    pair = (text([1, 1], 0, 90), text([2], 0))
    found = matching.match([pair], matching.even_weights(4, (1,)))[0]
    assert np.isnan(found[0])
    assert found[1:].tolist() == [1, 0]


def test_padding_is_never_matched() -> None:
    """Alone, or beside a pair whose padding has cosine 0 with a text of cosine -1."""
    far = (text([5], 0), text([5], 180))
    long = (text([5] * 9, *range(9)), text([5] * 9, *range(9)))
    weights = matching.even_weights(10, ())
    alone = matching.match([far], weights)
    assert alone[0] == pytest.approx([-1, -1, -1])
    assert np.array_equal(matching.match([long, far], weights)[1:], alone)


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)

    def some() -> EncodedText:
        count = int(generator.integers(1, 30))
        return text(generator.integers(0, 50, count).tolist(), *generator.uniform(0, 90, count))

    pairs = [(some(), some()) for _ in range(60)]
    weights = generator.uniform(0, 1, 50)
    whole = matching.match(pairs, weights)
    monkeypatch.setattr(matching, "BATCH_TOKENS", 40)
    assert np.abs(matching.match(pairs, weights) - whole).max() < 1e-6
    assert matching.match([], weights).shape == (0, 3)
