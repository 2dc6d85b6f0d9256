"""What a torchmetrics metric can do, found by trying it on a few made-up examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evalkit.adapters import torch_inputs as inputs
from evalkit.adapters.torch_states import MOST_VALUES, Driven
from evalkit.errors import MetricError
from evalkit.table import Floats

Mode = Literal["sums", "values", "inputs"]
FEWER = 7  # of the made-up examples: curves have as many points as there are examples


@dataclass(frozen=True)
class Abilities:
    """forms: what it reads, the preferred first; suffixes: of its outputs.

    mode: "sums": rows are the states of every example, which add up; "values": the value of a set
    is the mean of the values of its examples; "inputs": every resample is computed anew.
    """

    mode: Mode
    forms: tuple[str, ...]
    suffixes: tuple[str, ...]


def probe(name: str, driven: Driven, reads: str, classes: int | None) -> Abilities:
    """MetricError where the metric reads none of the forms, or cannot be resampled."""
    found: dict[str, list[tuple[str, float]]] = {}
    refusals = []
    for form in inputs.FORMS[reads]:
        try:
            found[form] = driven.computed(_all(form, classes))
        except Exception as error:  # whatever a class raises on what it does not read
            refusals.append(" ".join(str(error).split()) or type(error).__name__)
    if reads == "text":
        found = _one_or_several(driven, found)
    if not found:
        raise MetricError(f"{name} does not read evalkit's {reads}: {refusals[0]}")
    forms = tuple(found)
    suffixes = tuple(suffix for suffix, _ in found[forms[0]])
    if len(suffixes) > MOST_VALUES:
        raise MetricError(f"{name} gives {len(suffixes)} values; at most {MOST_VALUES} are scored")
    modes = {_mode(name, driven, form, classes, found[form], reads) for form in forms}
    if len(modes) > 1:
        return Abilities("inputs", forms, suffixes)
    return Abilities(modes.pop(), forms, suffixes)


def _all(form: str, classes: int | None) -> tuple[Any, Any]:
    return inputs.arguments(form, classes, inputs.trials(form, classes))


def _one_or_several(
    driven: Driven, found: dict[str, list[tuple[str, float]]]
) -> dict[str, list[tuple[str, float]]]:
    """Many take a text for a list of references, or a list for a text, and score its characters.

    The form is right under which references as predictions score best.
    """
    if len(found) < 2:
        return found
    scores = {form: _references_alone(driven, form) for form in found}
    best = min if driven.metric.higher_is_better is False else max
    chosen = best(scores, key=scores.__getitem__)  # a tie: the first, several references
    return {chosen: found[chosen]}


def _references_alone(driven: Driven, form: str) -> float:
    trials = [(references[0], references) for _, references in inputs.trials(form, None)]
    return driven.computed(inputs.arguments(form, None, trials))[0][1]


def _mode(
    name: str,
    driven: Driven,
    form: str,
    classes: int | None,
    whole: list[tuple[str, float]],
    reads: str,
) -> Mode:
    trials = inputs.trials(form, classes)
    single = [inputs.arguments(form, classes, [trial]) for trial in trials]
    if driven.states is not None and _adds_up(driven, single, whole):
        return "sums"
    fewer = driven.computed(inputs.arguments(form, classes, trials[:FEWER]))
    if reads != "text" and len(fewer) == len(whole):
        return "inputs"
    if reads == "text" and _is_a_mean(driven, single, whole):
        return "values"
    raise MetricError(
        f"{name} cannot be resampled: it gives as many values as there are examples, or a value "
        "that is neither made of sums nor the mean of its examples' values"
    )


def _adds_up(
    driven: Driven, single: Sequence[tuple[Any, Any]], whole: list[tuple[str, float]]
) -> bool:
    """Against a metric whose update depends on what else is in the batch."""
    try:
        sums: Floats = np.sum([driven.seen(arguments) for arguments in single], axis=0)
        alone = driven.from_sums(sums[None], len(whole))[0]
    except Exception:  # an update of one example alone may fail
        return False
    return _close(alone, _numbers(whole))


def _is_a_mean(
    driven: Driven, single: Sequence[tuple[Any, Any]], whole: list[tuple[str, float]]
) -> bool:
    values = [_numbers(driven.computed(arguments)) for arguments in single]
    if any(len(one) != len(whole) for one in values):
        return False
    return _close(np.mean(values, axis=0), _numbers(whole))


def _close(one: Floats, other: Floats) -> bool:
    """float32 sums in two orders."""
    return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True))


def _numbers(found: list[tuple[str, float]]) -> Floats:
    return np.array([value for _, value in found])
