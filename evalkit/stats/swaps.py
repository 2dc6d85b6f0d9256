"""Which units two systems exchange in each swap.

Keyed coins are a function of (seed, set, unit, swap) and of nothing else, as the weights of
resamples are; their keys are salted apart, so that swaps and resamples are independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evalkit.stats.weights import GOLDEN, Keys, Weights, mix, unit_keys

LANES = 64  # one 64-bit word serves 64 swaps of a unit


class Swaps(Protocol):
    """Coins of some units: 1 where a unit keeps its system, 0 where the systems exchange it."""

    @property
    def units(self) -> int: ...

    def block(self, first: int, count: int) -> Weights:
        """Coins [count, units] of swaps first .. first + count - 1; both multiples of 64."""
        ...


def swap_keys(units: Sequence[bytes], seed: int, set_name: str) -> Keys:
    """[n] 64-bit keys; set_name: the hash of the references."""
    return unit_keys(units, seed, f"swaps\0{set_name}")


@dataclass(frozen=True)
class Coins:
    """Fair coins of the units with these keys [n]."""

    keys: Keys

    @property
    def units(self) -> int:
        return len(self.keys)

    def block(self, first: int, count: int) -> Weights:
        numbers = np.arange(first // LANES, (first + count) // LANES, dtype=np.uint64)
        words = mix(self.keys[:, None] + mix((numbers + np.uint64(1)) * np.uint64(GOLDEN)))
        octets = words.astype("<u8", copy=False).view(np.uint8)
        return np.unpackbits(octets, axis=1, bitorder="little").T


@dataclass(frozen=True)
class EverySwap:
    """All assignments of the units: swap b exchanges unit u where bit u of b is 0.

    The first half holds one of each pair of opposites, which have the same |difference|.
    """

    units: int

    @property
    def half(self) -> int:
        return 1 << max(self.units - 1, 0)

    def block(self, first: int, count: int) -> Weights:
        numbers = np.arange(first, first + count, dtype=np.int64)[:, None]
        return (numbers >> np.arange(self.units) & 1).astype(np.uint8)
