"""What is resampled: examples, or clusters of examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.table import Ints


@dataclass(frozen=True)
class Units:
    """`names` in order of bytes; `unit_of` [n] example -> unit, None where each is its own."""

    names: tuple[bytes, ...]
    unit_of: Ints | None = None

    @classmethod
    def of(cls, ids: Sequence[bytes], clusters: Sequence[str] | None) -> Units:
        """ids sorted; clusters: one name per example, or None."""
        if clusters is None:
            return cls(tuple(ids))
        encoded = [cluster.encode() for cluster in clusters]
        names = tuple(sorted(set(encoded)))
        number = {name: i for i, name in enumerate(names)}
        return cls(names, np.array([number[one] for one in encoded], dtype=np.int64))

    @property
    def clustered(self) -> bool:
        return self.unit_of is not None

    def take(self, chosen: NDArray[np.bool_]) -> tuple[Units, NDArray[np.intp]]:
        """The units of the chosen examples [n], and their numbers here."""
        if self.unit_of is None:
            numbers = np.flatnonzero(chosen)
            return Units(tuple(self.names[i] for i in numbers)), numbers
        numbers, inverse = np.unique(self.unit_of[chosen], return_inverse=True)
        names = tuple(self.names[i] for i in numbers)
        return Units(names, inverse.astype(np.int64)), numbers
