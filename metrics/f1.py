"""F1: harmonic mean of precision and recall; of each label, averaged, or of all counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evalkit.errors import MetricError
from evalkit.labels.counts import PairMetric, Pairs, ratio
from evalkit.metric import Fitted, Output
from evalkit.panels import SparseRows
from evalkit.table import Floats

MOST_CLASSES = 100  # whose own values are shown


@dataclass(frozen=True)
class F1(PairMetric):
    """per_class: also f1, precision and recall of each label.

    f1: the unweighted mean over the labels of the references (macro); weighted: the mean weighted
    by how often a label occurs; micro: from the counts of all labels, which is the accuracy.

    A label that a slice or a resample neither has nor predicts is left out of the means, as in
    torchmetrics and in scikit-learn's default; one that is only predicted there counts 0. A
    predicted label that no reference of the set has is wrong, but no class of its own in the
    means, where those programs average in a 0. Precision of a label that is never predicted, and
    recall of one without examples, are undefined.
    """

    per_class: bool = False

    outputs: ClassVar = (Output("f1"), Output("micro"), Output("weighted"))
    reference: ClassVar = "van Rijsbergen 1979; torchmetrics 1.9 MulticlassF1Score"

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        fitted = super().fit(references)
        labels = fitted.scoring["labels"]
        if self.per_class and labels > MOST_CLASSES:
            raise MetricError(
                f"f1: per_class shows at most {MOST_CLASSES} labels, and there are {labels:,}; "
                "leave per_class out"
            )
        return fitted

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        labels = fitted.state["labels"] if self.per_class else ()
        each = ("f1", "precision", "recall")
        return (*self.outputs, *(Output(f"{label} {name}") for label in labels for name in each))

    def counts(self, pairs: Pairs, labels: int, units: int) -> SparseRows:
        """(right, predicted, actual) of each label, then predictions of no known label."""
        right = pairs.predicted == pairs.actual
        predicted = np.where(pairs.predicted < labels, 3 * pairs.predicted + 1, 3 * labels)
        column = [3 * pairs.actual[right], predicted, 3 * pairs.actual + 2]
        return SparseRows(
            np.concatenate([pairs.unit[right], pairs.unit, pairs.unit]),
            np.concatenate(column),
            np.concatenate([pairs.share[right], pairs.share, pairs.share]),
            (units, 3 * labels + 1),
        )

    def from_sums(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        right, predicted, actual = _by_label(sums)
        both = predicted + actual
        score = ratio(2 * right, both, 0.0)
        present = (both > 0).sum(axis=1).astype(np.float64)
        means = [
            ratio(score.sum(axis=1), present),
            ratio(2 * right.sum(axis=1), both.sum(axis=1) + sums[:, -1]),
            ratio((actual * score).sum(axis=1), actual.sum(axis=1)),
        ]
        if not self.per_class:
            return np.stack(means, axis=1)
        each = [ratio(2 * right, both), ratio(right, predicted), ratio(right, actual)]
        return np.column_stack([*means, np.stack(each, axis=2).reshape(len(sums), -1)])

    def gradient(self, sums: Floats, scoring: Mapping[str, Any]) -> Floats:
        """Of each label's F1 in its own counts: 2 / both, and -F1 / both twice."""
        right, predicted, actual = _by_label(sums)
        b, labels = right.shape
        both = predicted + actual
        score = ratio(2 * right, both, 0.0)
        own = np.stack([ratio(2.0, both, 0.0), *[-ratio(score, both, 0.0)] * 2], axis=2)
        slope = np.zeros((b, len(self.outputs) + 3 * labels * self.per_class, sums.shape[1]))
        macro, micro, weighted = (slope[:, i, :-1].reshape(b, labels, 3) for i in range(3))
        present = (both > 0).sum(axis=1, keepdims=True).astype(np.float64)
        macro[...] = own * ratio(1.0, present, 0.0)[..., None]
        total = both.sum(axis=1, keepdims=True) + sums[:, -1:]
        accuracy = ratio(2 * right.sum(axis=1, keepdims=True), total, 0.0)
        micro[..., 0] = ratio(2.0, total, 0.0)
        micro[..., 1:] = -ratio(accuracy, total, 0.0)[..., None]
        slope[:, 1, -1:] = -ratio(accuracy, total, 0.0)
        examples = actual.sum(axis=1, keepdims=True)
        share = ratio(actual, examples, 0.0)
        weighted[...] = own * share[..., None]
        average = (share * score).sum(axis=1, keepdims=True)
        weighted[..., 2] += ratio(score - average, examples, 0.0)
        if self.per_class:
            _fill_each(slope[:, 3:, :-1], right, predicted, actual)
        return slope

    def successes(self, sums: Floats, labels: int, output: int) -> tuple[int, int] | None:
        """Micro is the accuracy; precision and recall are shares too."""
        right, predicted, actual = (part[0] for part in _by_label(sums))
        if output == 1:
            return int(right.sum()), int(actual.sum())
        label, which = divmod(output - len(self.outputs), 3)
        if label < 0 or which == 0:
            return None
        return int(right[label]), int((predicted if which == 1 else actual)[label])


def _by_label(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """(right, predicted, actual) [b, labels]."""
    counts = sums[:, :-1].reshape(len(sums), -1, 3)
    return tuple(np.ascontiguousarray(counts[:, :, part]) for part in range(3))  # type: ignore[return-value]


def _fill_each(slope: Floats, right: Floats, predicted: Floats, actual: Floats) -> None:
    """slope [b, 3 labels, 3 labels] of f1, precision and recall in the label's own counts."""
    both = predicted + actual
    for label in range(right.shape[1]):
        r, p, a, total = (part[:, label] for part in (right, predicted, actual, both))
        own = slope[:, 3 * label : 3 * label + 3, 3 * label : 3 * label + 3]
        own[:, 0, 0] = ratio(2.0, total, 0.0)
        own[:, 0, 1] = own[:, 0, 2] = -ratio(2 * r, total**2, 0.0)
        own[:, 1, 0], own[:, 1, 1] = ratio(1.0, p, 0.0), -ratio(r, p**2, 0.0)
        own[:, 2, 0], own[:, 2, 2] = ratio(1.0, a, 0.0), -ratio(r, a**2, 0.0)
