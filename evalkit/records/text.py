"""What a prediction and a reference of text may be."""

from __future__ import annotations

from typing import Any

from evalkit.errors import DataError
from evalkit.records.fields import encodable, shown

EMPTY = ""


def prediction(value: Any, where: str) -> str:
    if isinstance(value, str):
        return encodable(value, "prediction", where)
    if value is None:
        raise DataError('the prediction is null; write "" where the system gave nothing', where)
    raise DataError(f"the prediction must be text, not {shown(value)}", where)


def references(value: Any, where: str) -> tuple[str, ...]:
    """A string or a list of strings; at least one."""
    values = value if isinstance(value, list | tuple) else [value]
    for one in values:
        if not isinstance(one, str):
            raise DataError(f"a reference must be text, not {shown(one)}", where)
        encodable(one, "reference", where)
    if not values:
        raise DataError("the list of references is empty; every example needs one", where)
    return tuple(values)
