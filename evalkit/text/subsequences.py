"""Longest common subsequences by bit-parallel rows: one addition handles a whole sequence."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence


class Places:
    """Where each element of a sequence stands, as bits; bit 0 is the first place.

    length: of the sequence. bits: element -> its places. full: all places.
    """

    __slots__ = ("bits", "full", "length")

    def __init__(self, sequence: Sequence[Hashable]) -> None:
        bits: dict[Hashable, int] = {}
        place = 1
        for element in sequence:
            bits[element] = bits.get(element, 0) | place
            place <<= 1
        self.bits = bits
        self.length = len(sequence)
        self.full = place - 1


def common_length(ours: Places, other: Iterable[Hashable]) -> int:
    """Length of a longest common subsequence.

    Hyyrö 2004, "Bit-parallel LCS-length computation revisited"; O(len(other)) big-integer steps.
    """
    flat, bits = ours.full, ours.bits
    for element in other:
        if element in bits:  # any other changes nothing
            flat = _next_row(flat, bits[element], ours.full)
    return ours.length - flat.bit_count()


def common_places(ours: Places, other: Sequence[Hashable]) -> int:
    """The places, as bits, of one longest common subsequence: the one that rouge-score 0.1.2 reads.

    From the ends of both it takes every match that it meets; otherwise it drops the last element
    of `ours`, and that of `other` only where dropping ours would shorten the subsequence.
    """
    columns = [ours.bits.get(element, 0) for element in other]
    rows = []
    flat = ours.full
    for matches in columns:
        if matches:
            flat = _next_row(flat, matches, ours.full)
        rows.append(flat)
    chosen, below = 0, ours.full
    for matches, flat in zip(reversed(columns), reversed(rows), strict=True):
        stop = (matches | ~flat) & below  # where it takes a match, or must not drop ours
        if not stop:
            break
        place = 1 << (stop.bit_length() - 1)
        if matches & place:
            chosen |= place
            below = place - 1
        else:
            below = (place << 1) - 1
    return chosen


def _next_row(flat: int, matches: int, full: int) -> int:
    """Bit i of a row is 0 where the subsequence grows with our element i."""
    met = flat & matches
    return ((flat + met) | (flat ^ met)) & full
