"""Accuracy: the share of examples whose label is predicted; with top=k, among the k likeliest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evalkit.errors import MetricError
from evalkit.labels.reading import (
    MISSING,
    fit_labels,
    predicted_label,
    probabilities_of,
    top_labels,
    unseen_remark,
)
from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example
from evalkit.table import Table


@dataclass(frozen=True)
class Accuracy(MeanMetric):
    """top: how many of the most probable labels may hold the right one; above 1 it needs
    probabilities.

    Where annotators differ: the expected accuracy against one of them, drawn at random. Of
    equally probable labels the first in order is predicted: whole numbers by value, then text.
    """

    top: int = 1

    outputs: ClassVar = (Output("accuracy"),)
    reads: ClassVar = "labels"
    reference: ClassVar = "torchmetrics 1.9 MulticlassAccuracy(average='micro', top_k)"

    def __post_init__(self) -> None:
        if self.top < 1:
            raise MetricError("accuracy: top must be at least 1")

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """The labels of all references."""
        return fit_labels(references)

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[float, int, int]]:
        """(share of the annotators who say a predicted label, 1, whether no reference has it)."""
        known = set(fitted.state["labels"])
        for example in examples:
            labels = self._predicted(example)
            right = sum(label in labels for label in example.references) / len(example.references)
            yield right, 1, int(labels[0] not in known and labels[0] != MISSING)

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        yield from unseen_remark(table, np.asarray(table.rows[:, 2] == 1))

    def _predicted(self, example: Example) -> list[str]:
        """The likeliest first."""
        if self.top == 1 or example.prediction == MISSING:
            return [predicted_label(example.prediction)]
        return top_labels(probabilities_of(example, f"accuracy:top={self.top}"), self.top)
