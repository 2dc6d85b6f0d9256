"""Class variables of the contract (`reads`, `outputs`) that depend on a metric's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PerInstance:
    """`general` on the class, `own(metric)` on a metric."""

    def __init__(self, general: Any, own: Callable[[Any], Any]) -> None:
        self._general, self._own = general, own

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self._general if instance is None else self._own(instance)
