"""chrF: F-score of character n-grams; with word_order=2 it is chrF++."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import MetricError
from evalkit.metric import Output
from evalkit.table import Floats
from evalkit.text.sacrebleu_counts import SacrebleuMetric

EPSILON = 1e-16  # sacrebleu's stand-in for an order without n-grams


@dataclass(frozen=True)
class Chrf(SacrebleuMetric):
    """char_order, word_order, beta, lowercase, whitespace, eps_smoothing: as in sacrebleu."""

    char_order: int = 6
    word_order: int = 0
    beta: int = 2
    lowercase: bool = False
    whitespace: bool = False
    eps_smoothing: bool = False

    outputs: ClassVar = (Output("chrf", (0, 100)),)
    reference: ClassVar = "Popović 2015 and 2017; sacrebleu 2.6.0"

    def __post_init__(self) -> None:
        if self.char_order < 1 or self.word_order < 0 or self.beta < 1:
            raise MetricError("chrf: char_order and beta must be >= 1 and word_order >= 0")

    def counter(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(
            self.char_order,
            self.word_order,
            self.beta,
            self.lowercase,
            self.whitespace,
            self.eps_smoothing,
        )

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """sacrebleu's CHRF._compute_f_score, for all resamples at once; 0..100.

        sums: (hypothesis, reference, matching) n-grams per order, of each best reference.
        """
        precision, recall, used = self._precision_recall(sums)
        if self.eps_smoothing:
            score = _f_score(precision, recall, self.beta, otherwise=EPSILON)
            total: Floats = score.sum(axis=1, keepdims=True)
            return 100 * total / score.shape[1]
        return 100.0 * _f_score(*self._averages(precision, recall, used), self.beta, otherwise=0.0)

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """Chain rule: F in precision and recall, these in the counts of each order."""
        precision, recall, used = self._precision_recall(sums)
        if self.eps_smoothing:
            share = np.full((len(sums), 1), 1 / precision.shape[1])
            by_precision, by_recall = _f_slopes(precision, recall, self.beta)
        else:
            share = 1 / np.maximum(used.sum(axis=1, keepdims=True), 1)
            means = self._averages(precision, recall, used)
            by_precision, by_recall = _f_slopes(*means, self.beta)
        hypothesis, reference, _ = _counts(sums)
        per_hypothesis = np.divide(
            100 * share * by_precision, hypothesis, out=np.zeros_like(hypothesis), where=used
        )
        per_reference = np.divide(
            100 * share * by_recall, reference, out=np.zeros_like(reference), where=used
        )
        slope = np.zeros((len(sums), *hypothesis.shape[1:], 3))
        slope[:, :, 0] = -per_hypothesis * precision
        slope[:, :, 1] = -per_reference * recall
        slope[:, :, 2] = per_hypothesis + per_reference
        return slope.reshape(len(sums), 1, -1)

    def _precision_recall(self, sums: Floats) -> tuple[Floats, Floats, Any]:
        """[b, orders] each, and which orders have n-grams on both sides."""
        hypothesis, reference, match = _counts(sums)
        empty = np.full_like(match, EPSILON)
        precision = np.divide(match, hypothesis, out=empty.copy(), where=hypothesis > 0)
        recall = np.divide(match, reference, out=empty, where=reference > 0)
        return precision, recall, (hypothesis > 0) & (reference > 0)

    def _averages(self, precision: Floats, recall: Floats, used: Any) -> tuple[Floats, Floats]:
        """Means over the orders used, added order by order as sacrebleu adds them; [b, 1] each."""
        orders = np.maximum(used.sum(axis=1), 1)
        sums = [np.cumsum(np.where(used, part, 0.0), axis=1)[:, -1] for part in (precision, recall)]
        return (sums[0] / orders)[:, None], (sums[1] / orders)[:, None]


def _counts(sums: Floats) -> tuple[Floats, Floats, Floats]:
    orders = sums.reshape(len(sums), -1, 3)
    return tuple(np.ascontiguousarray(orders[:, :, part]) for part in range(3))  # type: ignore[return-value]


def _f_score(precision: Floats, recall: Floats, beta: int, otherwise: float) -> Floats:
    factor = beta**2
    below = factor * precision + recall
    above = (1 + factor) * precision * recall
    return np.divide(above, below, out=np.full_like(below, otherwise), where=below > 0)


def _f_slopes(precision: Floats, recall: Floats, beta: int) -> tuple[Floats, Floats]:
    """d F / d precision and d F / d recall."""
    factor = beta**2
    below = factor * precision + recall
    scale = np.divide(1 + factor, below**2, out=np.zeros_like(below), where=below > 0)
    return scale * recall**2, scale * factor * precision**2
