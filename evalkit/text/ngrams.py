"""N-grams of many texts counted at once, exactly: numbers stand for words, and no hash collides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import MetricError
from evalkit.records.example import Example
from evalkit.table import Array, Ints
from evalkit.text import tokenizers

BATCH, LARGE_BATCH = 2**8, 2**16  # texts tokenised in one call; Java starts once per call
MOST = 2**31 - 1  # words; what int32 can number


@dataclass(frozen=True)
class Encoded:
    """Texts as numbers of words: words [v] sorted, tokens [t] into them, lengths [texts]; int32."""

    words: list[str]
    tokens: Array
    lengths: Array


@dataclass(frozen=True)
class Order:
    """The distinct n-grams of one order, in the order of their words, and who holds them.

    An n-gram is `prefix` [g], its first n - 1 words as a number in the order below (0 for single
    words), and `last` [g], the number of its last word. Entries: `owner` [e] holds `gram` [e]
    `count` [e] times, sorted by n-gram, then owner.
    """

    prefix: Ints
    last: Ints
    gram: Ints
    owner: Ints
    count: Ints


class Encoder:
    """Turns texts into numbers; every text that it is asked to keep is tokenised once."""

    def __init__(self, tokenizer: str) -> None:
        self._tokenizer = tokenizer
        self._batch = LARGE_BATCH if tokenizer == "ptb-java" else BATCH
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._kept: dict[str, bytes] = {}

    def keep(self, texts: Sequence[str]) -> None:
        """Tokenise these now, and forget what was kept before."""
        self._kept = {}
        self._kept = self._tokens(texts)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Equal texts give equal results, whatever was encoded before."""
        found = list(map(self._kept.get, texts))
        fresh = self._tokens([text for text, one in zip(texts, found, strict=True) if one is None])
        parts = [
            fresh[text] if one is None else one for text, one in zip(texts, found, strict=True)
        ]
        numbers = np.frombuffer(b"".join(parts), np.int32)
        if len(numbers) > MOST:
            raise MetricError(f"{len(numbers):,} words in one set; {MOST:,} are the most")
        lengths = np.fromiter(map(len, parts), np.int32, len(parts)) // numbers.itemsize
        present = np.zeros(len(self._numbers), np.bool_)
        present[numbers] = True
        words = [word for word, here in zip(self._numbers, present.tolist(), strict=True) if here]
        order = sorted(range(len(words)), key=words.__getitem__)
        rank = np.empty(len(present), np.int32)
        rank[np.flatnonzero(present)[order]] = np.arange(len(words))
        return Encoded([words[i] for i in order], rank[numbers], lengths)

    def _tokens(self, texts: Sequence[str]) -> dict[str, bytes]:
        """Every text -> the numbers of its words, in order of their first appearance, int32."""
        found: dict[str, bytes] = {}
        distinct = list(dict.fromkeys(texts))
        for start in range(0, len(distinct), self._batch):
            batch = distinct[start : start + self._batch]
            lists = self._split(batch)
            numbers = map(self._numbers.__getitem__, chain.from_iterable(lists))
            packed = np.fromiter(numbers, np.int32).tobytes()
            end = 0
            for text, tokens in zip(batch, lists, strict=True):
                begin, end = end, end + 4 * len(tokens)
                found[text] = packed[begin:end]
        return found

    def _split(self, texts: Sequence[str]) -> list[list[str]]:
        """A token such as "1 1/2" holds a no-break space and is two words, as pycocoevalcap's."""
        lists = tokenizers.tokenize(self._tokenizer, texts)
        return lists if self._tokenizer == "none" else [" ".join(one).split() for one in lists]


def orders(encoded: Encoded, owner: Ints, highest: int) -> Iterator[Order]:
    """Orders 1 to `highest`; owner [texts], not falling: who holds what a text holds."""
    words = max(len(encoded.words), 1)
    at: Array = np.arange(len(encoded.tokens), dtype=np.int32)
    ends: Array = np.repeat(np.cumsum(encoded.lengths, dtype=np.int32), encoded.lengths)
    owners: Array = np.repeat(owner.astype(np.int32), encoded.lengths)
    gram: Ints = encoded.tokens.astype(np.int64)  # the n-gram that starts at a place
    yield _counted(np.arange(len(encoded.words)), gram, owners, words)
    for n in range(2, highest + 1):
        inside = at + np.int32(n) <= ends
        at, ends, owners = at[inside], ends[inside], owners[inside]
        code = gram[inside] * words + encoded.tokens[n - 1 :][at]
        distinct, gram = np.unique(code, return_inverse=True)
        yield _counted(distinct, gram, owners, words)


def _counted(distinct: Ints, gram: Ints, owner: Array, words: int) -> Order:
    """distinct [g]: prefix * words + last; at every place: gram, which starts there, and owner.

    Both are sorted as one number, which is several times faster than finding an order.
    """
    owners = int(owner[-1]) + 1 if len(owner) else 1
    key = gram * owners
    key += owner
    key.sort()
    starts = np.flatnonzero(_changes(key))
    count = np.diff(starts, append=len(key))
    return Order(*np.divmod(distinct, words), *np.divmod(key[starts], owners), count)


def _changes(values: Array) -> NDArray[np.bool_]:
    """Where a value is not the one before it; true at the first."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


@dataclass(frozen=True)
class Captions:
    """The texts of some examples, each prediction before its references.

    example [texts]: whose text it is; prediction [texts]: which text is its prediction, itself
    included.
    """

    encoded: Encoded
    example: Ints
    prediction: Ints

    @classmethod
    def of(cls, examples: Sequence[Example], encoder: Encoder) -> Captions:
        texts = [text for one in examples for text in (one.prediction, *one.references)]
        sizes = np.array([1 + len(one.references) for one in examples])
        example = np.repeat(np.arange(len(examples)), sizes)
        return cls(encoder.encode(texts), example, (np.cumsum(sizes) - sizes)[example])

    def orders(self, highest: int) -> Iterator[Order]:
        """Every text holds its own n-grams."""
        return orders(self.encoded, np.arange(len(self.example)), highest)

    def shared(self, order: Order) -> tuple[Ints, Ints]:
        """(entry [m], clipped [m]): n-grams of references that the prediction holds, too.

        clipped: how often both hold it; entries of one example and n-gram follow each other.
        """
        start = _changes(order.gram) | _changes(self.example[order.owner])
        first = np.flatnonzero(start)[np.cumsum(start) - 1]
        predicted = self.prediction[order.owner] == order.owner
        entry = np.flatnonzero(predicted[first] & ~predicted)
        return entry, np.minimum(order.count[first[entry]], order.count[entry])

    def best_shared(self, order: Order) -> Ints:
        """[examples]: n-grams shared with any reference, each as often as the best one holds it."""
        entry, clipped = self.shared(order)
        gram, example = order.gram[entry], self.example[order.owner[entry]]
        starts = np.flatnonzero(_changes(gram) | _changes(example))
        most = np.maximum.reduceat(clipped, starts) if len(starts) else clipped
        examples = int(self.example[-1]) + 1
        return np.bincount(example[starts], most, examples).astype(np.int64)
