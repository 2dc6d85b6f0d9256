"""Levenshtein distance, bit-parallel: one addition handles a whole column of the table."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from evalkit.text.subsequences import Places


def edit_distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """The fewest substitutions, insertions and deletions that turn one into the other; exact.

    Myers 1999, "A fast bit-vector algorithm for approximate string matching", in the form of
    Hyyrö 2003 for whole sequences.
    """
    one, other = _without_common_ends(one, other)
    if len(one) < len(other):
        one, other = other, one
    places = Places(one)
    full = places.full
    up, down = full, 0  # where the column rises by 1 from one row to the next, and where it falls
    for element in other:
        matches = places.bits.get(element, 0)
        level = ((((matches & up) + up) ^ up) | matches | down) & full
        right_up = down | (full ^ (level | up))
        right_down = level & up
        right_up = (right_up << 1 | 1) & full
        up = (right_down << 1 & full) | (full ^ (level | right_up))
        down = level & right_up
    return len(other) + up.bit_count() - down.bit_count()


def _without_common_ends(
    one: Sequence[Hashable], other: Sequence[Hashable]
) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    """Equal elements at both ends cost nothing in some best alignment."""
    shorter = min(len(one), len(other))
    start = 0
    while start < shorter and one[start] == other[start]:
        start += 1
    end = 0
    while end < shorter - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return one[start : len(one) - end], other[start : len(other) - end]
