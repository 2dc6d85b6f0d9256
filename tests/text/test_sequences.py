"""Edit distance and longest common subsequences against plain dynamic programming."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalkit.text.edits import edit_distance
from evalkit.text.subsequences import Places, common_length, common_places

FEW = st.text("abc", max_size=12)  # many repetitions, many ties
LONG = st.lists(st.integers(0, 20), max_size=150)  # beyond a machine word and a Python digit
PAIRS = st.one_of(st.tuples(FEW, FEW), st.tuples(LONG, LONG))
Pair = tuple[Sequence[Hashable], Sequence[Hashable]]


def plain_distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            diagonal, row[j] = row[j], min(diagonal + (left != right), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def plain_table(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[list[int]]:
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one, start=1):
        for j, right in enumerate(other, start=1):
            longest = max(table[i - 1][j], table[i][j - 1])
            table[i][j] = table[i - 1][j - 1] + 1 if left == right else longest
    return table


def plain_places(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[int]:
    """rouge-score 0.1.2's choice among the longest: from the ends, dropping ours at a tie."""
    table = plain_table(one, other)
    i, j = len(one), len(other)
    chosen = []
    while i > 0 and j > 0:
        if one[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            chosen.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return chosen[::-1]


def places_of(bits: int) -> list[int]:
    return [place for place in range(bits.bit_length()) if bits >> place & 1]


@given(PAIRS)
@example(("", ""))
@example(("abc", ""))
@settings(max_examples=400, deadline=None)
def test_distance(pair: Pair) -> None:
    one, other = pair
    assert edit_distance(one, other) == plain_distance(one, other)


@given(PAIRS)
@example(("", "a"))
@settings(max_examples=400, deadline=None)
def test_common_length_and_places(pair: Pair) -> None:
    one, other = pair
    places = Places(one)
    assert common_length(places, other) == plain_table(one, other)[-1][-1]
    assert places_of(common_places(places, other)) == plain_places(one, other)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("kitten", "sitting", 3), ("flaw", "lawn", 2), ("intention", "execution", 5)],
)
def test_distance_of_the_textbooks(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == distance


def test_the_choice_among_equally_long() -> None:
    """ "a" then "b" and "b" then "a" share one element: ours is dropped first, so "a" remains."""
    assert places_of(common_places(Places("ab"), "ba")) == [0]
    assert places_of(common_places(Places("ba"), "ab")) == [0]


def test_long_sequences() -> None:
    """3,000 elements with 100 known edits at separate places, each of a letter of its own."""
    text = [str(i % 97) for i in range(3000)]
    changed = list(text)
    for number, place in enumerate(random.Random(5).sample(range(0, 3000, 10), 100)):
        changed[place] = f"new {number}"
    assert edit_distance(text, changed) == 100
    assert common_length(Places(text), changed) == 2900
