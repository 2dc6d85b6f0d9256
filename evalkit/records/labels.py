"""What a prediction and a reference may be where the task is to name a class."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from evalkit.errors import DataError
from evalkit.records.example import Example
from evalkit.records.fields import encodable, shown

EMPTY = ""
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
LARGEST = 1e300  # of whole numbers that are labels
SUM_TOLERANCE = 0.01  # of probabilities, which files round


def prediction(value: Any, where: str) -> str | dict[str, float]:
    """A label, or the probability of every label (a list: of labels 0, 1, …)."""
    if isinstance(value, Mapping):
        named = {label(key, where, "label"): one for key, one in value.items()}
        if len(named) < len(value):
            raise DataError("two probabilities of one label", where)
        return _probabilities(named, where)
    if isinstance(value, list | tuple):
        return _probabilities({str(i): one for i, one in enumerate(value)}, where)
    if isinstance(value, str) and value[:1] in ("[", "{"):  # a cell of a table
        with suppress(msgspec.DecodeError):
            return prediction(msgspec.json.decode(value), where)
    return label(value, where, "prediction")


def references(value: Any, where: str) -> tuple[str, ...]:
    """A label, or a list of labels by several annotators; at least one."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise DataError("the list of references is empty; every example needs one", where)
    return tuple(label(one, where, "reference") for one in values)


def label(value: Any, where: str, role: str) -> str:
    """Labels are text or whole numbers; 7, 7.0 and "7" are one label; true is "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        if abs(value) >= LARGEST:
            raise DataError(f"a whole number of {LARGEST:g} or more cannot be a {role}", where)
        return str(int(value))
    if isinstance(value, str) and value:
        return encodable(value, role, where)
    if isinstance(value, float):
        raise DataError(
            f"{shown(value)} is not a label; give the probability of every label, "
            'e.g. {"0": 0.3, "1": 0.7}',
            where,
        )
    absent = value is None or (isinstance(value, str) and not value)
    hint = "; leave the record out and say --allow-missing" if absent else ""
    raise DataError(f"the {role} must be a label, not {shown(value)}{hint}", where)


def in_order(label: str) -> tuple[int, int, str]:
    """Sort key: whole numbers by value, then text."""
    if _WHOLE_NUMBER.fullmatch(label):
        return 0, int(label), label
    return 1, 0, label


def remarks(examples: Iterable[Example], source: str | None) -> tuple[tuple[str, str], ...]:
    """(code, message) of predicted labels that no reference has, the most frequent first.

    DataError where not one of two or more is theirs: then the two sides name labels differently.
    """
    predicted, references = zip(
        *((one.prediction, one.references) for one in examples), strict=True
    )
    counts = Counter(
        max(one, key=lambda label: one[label]) if isinstance(one, Mapping) else one
        for one in predicted
    )
    del counts[EMPTY]
    known = {label for labels in references for label in labels}
    unknown = [label for label, _ in counts.most_common() if label not in known]
    if len(unknown) == len(counts) > 1:
        raise DataError(
            f"no predicted label is among the references': predictions say {_some(unknown)}; "
            f"references say {_some(sorted(known))}; check case, spaces, 0/1 against true/false",
            source,
        )
    message = f"predicted, but in no reference: {_some(unknown)}"
    return (("foreign-labels", message),) if unknown else ()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shown, names[:3])) + more


def _probabilities(values: dict[str, Any], where: str) -> dict[str, float]:
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1:
            message = f'the probability of "{name}" must lie between 0 and 1, not {shown(value)}'
            raise DataError(message, where)
    total = math.fsum(values.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise DataError(
            f"the probabilities add up to {total:.4g}, not to 1; give those of all labels", where
        )
    return {name: float(value) for name, value in values.items()}
