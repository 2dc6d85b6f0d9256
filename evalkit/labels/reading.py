"""The labels of a set, their order, and which label a prediction means."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import MetricError, counted
from evalkit.metric import Fitted
from evalkit.records.example import Example
from evalkit.records.labels import in_order
from evalkit.table import Table

MISSING = ""  # what a missing prediction is read as
NAMED = 3  # ids that a remark names

Prediction = str | Mapping[str, float]


def fit_labels(references: Iterable[Sequence[str]]) -> Fitted:
    """The labels of all references, and whether the annotators of every example agree.

    state: `labels`, in order. scoring: `labels`, how many; `unanimous`.
    """
    sets = {frozenset(labels) for labels in references}
    labels = sorted(frozenset[str]().union(*sets), key=in_order)
    unanimous = all(len(one) == 1 for one in sets)
    return Fitted({"labels": labels}, {"labels": len(labels), "unanimous": unanimous})


def predicted_label(prediction: Prediction) -> str:
    """The label itself, or the most probable one; of equals, the first in order."""
    return prediction if isinstance(prediction, str) else top_labels(prediction, 1)[0]


def top_labels(probabilities: Mapping[str, float], count: int) -> list[str]:
    """The `count` most probable labels; of equals, the first in order."""

    def rank(label: str) -> tuple[float, tuple[int, int, str]]:
        return -probabilities[label], in_order(label)

    if count > 1:
        return heapq.nsmallest(count, probabilities, key=rank)
    highest = max(probabilities.values())
    return [min((one for one, p in probabilities.items() if p == highest), key=in_order)]


def probabilities_of(example: Example, metric: str) -> Mapping[str, float]:
    """MetricError, naming the example, where its prediction is a bare label or missing."""
    if isinstance(example.prediction, Mapping):
        return example.prediction
    found = "is missing" if example.prediction == MISSING else "is a bare label"
    raise MetricError(
        f'{metric}: the prediction of id "{example.id}" {found}, but probabilities are needed: '
        'label -> probability, e.g. {"cat": 0.7, "dog": 0.3}'
    )


def unseen_remark(table: Table, unseen: NDArray[np.bool_]) -> Iterator[tuple[str, str]]:
    """unseen [r]: rows whose predicted label no reference has; the ids of a few of them."""
    examples = np.unique(table.owner[unseen])
    if len(examples) == 0:
        return
    ids = ", ".join(f'"{table.ids[i].decode()}"' for i in examples[:NAMED])
    more = ", …" if len(examples) > NAMED else ""
    yield (
        "unseen-labels",
        f"{counted(len(examples), 'prediction')} outside the "
        f"{counted(table.header.scoring['labels'], 'label')} of the references, "
        f"scored as wrong: id {ids}{more}",
    )
