"""How often each unit counts in each resample.

Keyed Poisson weights (Poisson bootstrap: Hanley and MacGibbon 2006; Chamandy et al. 2012) are a
function of (seed, set, unit, resample) and of nothing else: the order of the examples, shards and
processes do not matter, and two systems scored weeks apart are paired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.stats import kernels

LANES = 4  # one 64-bit word serves four resamples, 16 bits each
GOLDEN = 0x9E3779B97F4A7C15

Weights = NDArray[np.uint8]
Keys = NDArray[np.uint64]


class Draws(Protocol):
    """Weights of some units."""

    @property
    def units(self) -> int: ...

    @property
    def in_order(self) -> bool:
        """Whether blocks must be asked for in turn."""
        ...

    def block(self, first: int, count: int) -> NDArray[np.unsignedinteger]:
        """Weights [count, units] of resamples first .. first + count - 1; both multiples of 64."""
        ...

    def take(self, chosen: NDArray[np.intp]) -> Draws:
        """The same draws of some of the units."""
        ...


# Of 65,536 equally likely draws, how many give 0, 1, 2, …: Poisson(1) with mean and variance
# exactly 1, within 4e-5 in total variation.
COUNTS = (24109, 24109, 12056, 4018, 1005, 200, 33, 5, 1)
TABLE: Weights = np.repeat(np.arange(len(COUNTS), dtype=np.uint8), COUNTS)


def unit_keys(units: Sequence[bytes], seed: int, set_name: str) -> Keys:
    """[n] 64-bit keys; set_name: the hash of the references."""
    salt = hashlib.blake2b(f"{seed}\0{set_name}".encode(), digest_size=16).digest()
    digests = b"".join(hashlib.blake2b(unit, digest_size=8, key=salt).digest() for unit in units)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class PoissonDraws:
    """Poisson(1) weights of the units with these keys [n]."""

    keys: Keys
    in_order: ClassVar = False

    @property
    def units(self) -> int:
        return len(self.keys)

    def block(self, first: int, count: int) -> Weights:
        numbers = np.arange(first // LANES, (first + count) // LANES, dtype=np.uint64)
        words = mix((numbers + np.uint64(1)) * np.uint64(GOLDEN))
        if (kernel := kernels.poisson()) is not None:
            drawn = np.empty((self.units, count), np.uint8)
            kernel(self.keys, words, TABLE, drawn)
            return drawn.T
        mixed = mix(self.keys[:, None] + words)
        return np.take(TABLE, mixed.astype("<u8", copy=False).view("<u2"), mode="clip").T

    def take(self, chosen: NDArray[np.intp]) -> PoissonDraws:
        return PoissonDraws(self.keys[chosen])


class MultinomialDraws:
    """Units drawn with replacement, in order of id, with sacrebleu's stream of indices.

    For comparison with other tools only: these draws depend on the number of units, so they pair
    nothing. A slice is drawn anew.
    """

    in_order = True

    def __init__(self, units: int, seed: int) -> None:
        self.units = units
        self._seed = seed
        self._generator = np.random.default_rng(seed)
        self._next = 0

    def block(self, first: int, count: int) -> NDArray[np.uint32]:
        if first == 0:
            self._generator, self._next = np.random.default_rng(self._seed), 0
        assert first == self._next, "multinomial blocks are drawn in order"
        self._next += count
        # numpy's choice(n, (B, n)) draws the same stream, row by row.
        drawn = self._generator.integers(0, self.units, size=(count, self.units))
        drawn += np.arange(count)[:, None] * self.units
        counts = np.bincount(drawn.ravel(), minlength=count * self.units)
        return counts.reshape(count, self.units).astype(np.uint32)

    def take(self, chosen: NDArray[np.intp]) -> MultinomialDraws:
        return MultinomialDraws(len(chosen), self._seed)


def mix(words: Keys) -> Keys:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    words = words ^ (words >> np.uint64(30))
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words
