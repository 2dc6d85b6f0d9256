"""What a prediction and a reference may be where the task is to say a number."""

from __future__ import annotations

import math
from typing import Any

from evalkit.errors import DataError
from evalkit.records.fields import shown


def prediction(value: Any, where: str) -> float:
    return _number(value, where, "prediction")


def references(value: Any, where: str) -> tuple[float, ...]:
    """A number, or a list of numbers by several annotators; at least one."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise DataError("the list of references is empty; every example needs one", where)
    return tuple(_number(one, where, "reference") for one in values)


def _number(value: Any, where: str, role: str) -> float:
    """Finite; text is read as a number, because TSV and CSV hold nothing else."""
    try:
        odd = isinstance(value, bool) or "_" in str(value)  # Python reads 1_0 as 10
        number = math.nan if odd else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"the {role} must be a finite number, not {shown(value)}", where)
    return number
