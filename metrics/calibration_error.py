"""Expected calibration error: how far the top probability is from the share that is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import MetricError
from evalkit.labels.counts import ratio
from evalkit.labels.reading import predicted_label, probabilities_of
from evalkit.metric import Fitted, IntervalKind, Output, SumMetric
from evalkit.panels import SparseRows
from evalkit.records.example import Example
from evalkit.table import Floats, Ints, Table

MOST_BINS = 1000


@dataclass(frozen=True)
class CalibrationError(SumMetric):
    """bins: of equal width, over the probability of the predicted label.

    calibration_error: the mean over the examples of |share that is right - mean probability| of
    their bin. confidence: the mean probability of the predicted label. A bin holds its lower edge,
    and probability 1 has a bin of its own, as in torchmetrics (whose float32 moves some edges).

    The error is biased upwards, the more the fewer examples a bin has: chance alone moves a share
    off its probability. So its interval is one of the expected error of sets of this size
    (centred), not of an infinite set, and only sets of about the same size compare.
    """

    bins: int = 15

    outputs: ClassVar = (
        Output("calibration_error", higher_is_better=False),
        Output("confidence"),
    )
    reads: ClassVar = "labels"
    reference: ClassVar = (
        "Guo et al. 2017; torchmetrics 1.9 MulticlassCalibrationError(norm='l1', n_bins)"
    )
    interval: ClassVar[IntervalKind] = "centred"

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= MOST_BINS:
            raise MetricError(f"calibration_error: bins must be from 1 to {MOST_BINS}")

    def rows(
        self, examples: Sequence[Example], fitted: Fitted
    ) -> Iterator[tuple[int, float, float]]:
        """(bin, share of the annotators who say the predicted label, its probability)."""
        edges = np.arange(self.bins + 1) / self.bins
        for example in examples:
            probabilities = probabilities_of(example, self.name)
            label = predicted_label(probabilities)
            confidence = probabilities[label]
            right = example.references.count(label) / len(example.references)
            yield int(np.searchsorted(edges, confidence, side="right")) - 1, right, confidence

    def unit_rows(self, table: Table, owner: Ints, units: int) -> SparseRows:
        """Right less probability in each bin, then (examples, sum of their probabilities)."""
        bin, right, confidence = table.rows.reshape(-1, 3).astype(np.float64).T
        last = np.full(len(owner), self.bins + 1)
        return SparseRows(
            np.concatenate([owner, owner, owner]),
            np.concatenate([bin.astype(np.int64), last, last + 1]),
            np.concatenate([right - confidence, np.ones(len(owner)), confidence]),
            (units, self.bins + 3),
        )

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        above = np.stack([np.abs(sums[:, :-2]).sum(axis=1), sums[:, -1]], axis=1)
        return ratio(above, sums[:, -2:-1])

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """0 in a bin whose gap is 0, where the error has a kink."""
        values = np.nan_to_num(self.from_sums(sums, scoring))
        share = ratio(1.0, sums[:, -2:-1], 0.0)
        slope = np.zeros((len(sums), 2, sums.shape[1]))
        slope[:, 0, :-2] = np.sign(sums[:, :-2]) * share
        slope[:, :, -2] = -values * share
        slope[:, 1, -1] = share[:, 0]
        return slope
