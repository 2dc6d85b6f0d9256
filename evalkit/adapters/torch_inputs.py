"""Examples as what a torchmetrics metric's `update` takes: texts, classes, probabilities, numbers.

An item is one example: (prediction, references), or a row of numbers that ends in the target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import MetricError, counted
from evalkit.records.example import Example
from evalkit.records.labels import in_order

TEXT, TEXTS = "text", "texts"  # one reference, or several, per example
LABELS, PROBABILITIES, NUMBERS = "labels", "probabilities", "numbers"
FORMS = {"text": (TEXTS, TEXT), "labels": (LABELS, PROBABILITIES), "numbers": (NUMBERS,)}
SENTENCES = (
    ("the cat sat on the mat today", "a cat sat on the mat"),
    ("two dogs ran across the field in the rain", "two dogs ran over the wet green field"),
    ("hello there general", "hello there"),
    ("it is raining in the city this evening again", "it rains in the city this evening"),
    ("the train from the north was late", "the train from the north was very late"),
)
TRIALS = 12  # numeric examples

Items = Sequence[Any] | NDArray[np.float32]


def arguments(form: str, classes: int | None, items: Items) -> tuple[Any, Any]:
    """(predictions, references) for one `update` of all the items."""
    if form in (TEXT, TEXTS):
        references = [list(one[1]) if form == TEXTS else one[1][0] for one in items]
        return [one[0] for one in items], references
    import torch

    rows = torch.from_numpy(np.asarray(items, np.float32))
    predictions, targets = rows[:, :-1], rows[:, -1]
    match form:
        case "numbers":
            return predictions[:, 0], targets
        case "labels":
            return predictions[:, 0].long(), targets.long()
    return predictions[:, 1] if classes is None else predictions, targets.long()


def trials(form: str, classes: int | None) -> list[Any]:
    """Made-up examples, the same for every set, on which a metric shows what it can do."""
    if form in (TEXT, TEXTS):
        return [(prediction, (reference,)) for prediction, reference in SENTENCES]
    if form == NUMBERS:
        return [_row(0.5 + i * 7 % 10 / 10, 0.5 + i * 3 % 10 / 10) for i in range(TRIALS)]
    width = classes or 2
    rows = []
    for i in range(TRIALS):
        target = i % width
        predicted = (target + (i % 3 == 0)) % width
        shares = 1.0 + (i * 7 + np.arange(width) * 3) % 5
        shares[predicted] += 7
        rows.append(
            _row(*(shares / shares.sum() if form == PROBABILITIES else [predicted]), target)
        )
    return rows


def class_order(name: str, references: Iterable[Sequence[str]], classes: int) -> list[str] | None:
    """The labels in order of class; None where each is the number of its own class."""
    seen = sorted({one for each in references for one in each}, key=in_order)
    if all(one.isdecimal() and one.isascii() and int(one) < classes for one in seen):
        return None
    if len(seen) != classes:
        shown = ", ".join(seen[:10]) + (", …" if len(seen) > 10 else "")
        raise MetricError(
            f"{name} has {classes} classes, but the references show {counted(len(seen), 'label')} "
            f"({shown}); give it as many classes, or write labels as numbers from 0 to "
            f"{classes - 1}"
        )
    return seen


def items(
    name: str, form: str, classes: int | None, order: list[str] | None, examples: Sequence[Example]
) -> Items:
    """One per example; MetricError where one does not fit, with its id."""
    if form in (TEXT, TEXTS):
        return [(example.prediction, example.references) for example in examples]
    if form == NUMBERS:
        return np.array([[one.prediction, one.references[0]] for one in examples], np.float32)
    numbers = order if order is not None else [str(i) for i in range(classes or 2)]
    number = {label: i for i, label in enumerate(numbers)}
    rows = []
    for example in examples:
        target = _class(name, number, example.references[0], example.id)
        if form == PROBABILITIES:
            predicted = [0.0] * len(number)
            for label, share in example.prediction.items():
                predicted[_class(name, number, label, example.id)] = share
            rows.append([*predicted, target])
        else:
            rows.append([_class(name, number, example.prediction, example.id), target])
    return np.array(rows, np.float32)


def form_of(name: str, accepted: Sequence[str], examples: Sequence[Example]) -> str:
    """Labels or probabilities, as the examples have it; MetricError where the metric wants other.

    accepted: the forms that the metric takes, the preferred first.
    """
    if not {LABELS, PROBABILITIES} & set(accepted) or not examples:
        return accepted[0]
    found = {PROBABILITIES if isinstance(one.prediction, Mapping) else LABELS for one in examples}
    if len(found) > 1:
        raise MetricError(f"{name}: some predictions are labels, others are probabilities")
    form = found.pop()
    if form not in accepted:
        wanted = "the probability of every label" if form == LABELS else "labels"
        raise MetricError(f"{name} reads {wanted}, but the predictions are {form}")
    return form


def _class(name: str, number: Mapping[str, int], label: str, id: str) -> int:
    if not isinstance(label, str) or label not in number:
        known = ", ".join(list(number)[:10]) + (", …" if len(number) > 10 else "")
        raise MetricError(
            f'{name}: id "{id}": the references never show the label "{label}"; known: {known}. '
            "Map it to one of these, or write labels as numbers below num_classes"
        )
    return number[label]


def _row(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)
