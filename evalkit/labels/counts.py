"""Pairs of a predicted and an actual label, as rows of codes that become sparse counts."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evalkit.labels.reading import MISSING, fit_labels, predicted_label, unseen_remark
from evalkit.metric import Fitted, SumMetric, SumScorer
from evalkit.panels import SparseRows
from evalkit.records.example import Example
from evalkit.table import Floats, Ints, Table

OTHER = "(other)"  # the column of predicted labels that no reference has


@dataclass(frozen=True)
class Pairs:
    """Pairs [r] of codes; of n labels, predicted n is an unseen label and n + 1 a missing one.

    share: what the pair counts; 1 where the annotators agree, else the share of them.
    """

    unit: Ints
    predicted: Ints
    actual: Ints
    share: Floats


@dataclass(frozen=True)
class PairMetric(SumMetric):
    """A metric that counts pairs; one row (predicted, actual, share) per label of an example."""

    reads: ClassVar = "labels"

    def fit(self, references: Iterable[Sequence[str]]) -> Fitted:
        """state: `labels`, in order. scoring: how many `labels`; whether `unanimous`."""
        return fit_labels(references)

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[list[list[float]]]:
        """[[code of the predicted label, code of an actual one, share of the annotators], …]."""
        codes = {label: code for code, label in enumerate(fitted.state["labels"])}
        for example in examples:
            label = predicted_label(example.prediction)
            predicted = codes.get(label, len(codes) + (label == MISSING))
            annotators = len(example.references)
            yield [
                [predicted, codes[actual], count / annotators]
                for actual, count in Counter(example.references).items()
            ]

    def unit_rows(self, table: Table, owner: Ints, units: int) -> SparseRows:
        """Column counts of every unit; owner: row -> unit."""
        labels = table.header.scoring["labels"]
        rows = table.rows.reshape(-1, 3)
        codes = rows[:, :2].astype(np.int64)
        pairs = Pairs(owner, codes[:, 0], codes[:, 1], rows[:, 2].astype(np.float64))
        return self.counts(pairs, labels, units)

    @abstractmethod
    def counts(self, pairs: Pairs, labels: int, units: int) -> SparseRows:
        """What `from_sums` sums."""

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        yield from unseen_remark(table, table.rows[:, 0] == table.header.scoring["labels"])

    def proportion(self, scorer: SumScorer, output: int) -> tuple[int, int] | None:
        """(successes, examples) of a share of some of the examples, where annotators agree."""
        if not scorer.scoring["unanimous"]:
            return None
        sums = scorer.sums(np.ones((1, scorer.units), np.uint8))
        found = self.successes(sums, scorer.scoring["labels"], output)
        return found if found is None or found[1] > 0 else None

    @abstractmethod
    def successes(self, sums: Floats, labels: int, output: int) -> tuple[int, int] | None:
        """(successes, examples) of an output under sums [1, k]; None: it is no plain share."""


def ratio(above: Floats | float, below: Floats, otherwise: float = np.nan) -> Floats:
    """above / below; otherwise where below is 0."""
    shape = np.broadcast_shapes(np.shape(above), below.shape)
    found: Floats = np.divide(above, below, out=np.full(shape, otherwise), where=below > 0)
    return found
