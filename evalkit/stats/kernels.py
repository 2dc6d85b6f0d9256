"""Compiled kernels, used where numba is installed and the work is worth loading it.

They produce whole numbers only, so the bytes of a result do not depend on numba.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

WORTHWHILE = 200_000_000  # weights; numpy draws that many while numba is being loaded


def poisson(weights: int | None = None) -> Callable[..., None] | None:
    """fill(keys [n], words [b / 4], table [65536], drawn [n, b]), or None where numpy must do.

    weights: how many will be drawn in all; None: whether the kernel is loaded already.
    """
    if weights is None:
        return _poisson() if _poisson.cache_info().currsize else None
    return _poisson() if weights >= WORTHWHILE else None


@cache
def _poisson() -> Callable[..., None] | None:
    if importlib.util.find_spec("numba") is None:
        return None
    import numba
    import numpy as np

    def fill(keys: Any, words: Any, table: Any, drawn: Any) -> None:
        first, second = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
        low = np.uint64(0xFFFF)
        for u in range(len(keys)):
            for w in range(len(words)):
                word = keys[u] + words[w]
                word = (word ^ (word >> np.uint64(30))) * first
                word = (word ^ (word >> np.uint64(27))) * second
                word ^= word >> np.uint64(31)
                drawn[u, 4 * w] = table[word & low]
                drawn[u, 4 * w + 1] = table[(word >> np.uint64(16)) & low]
                drawn[u, 4 * w + 2] = table[(word >> np.uint64(32)) & low]
                drawn[u, 4 * w + 3] = table[word >> np.uint64(48)]

    try:
        return numba.njit(nogil=True, cache=True)(fill)
    except RuntimeError:  # no folder where numba could keep what it compiles
        return numba.njit(nogil=True)(fill)
