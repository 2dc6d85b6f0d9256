"""In how many documents each n-gram occurs: counted, or read from a file that others can make."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from evalkit.errors import MetricError
from evalkit.table import Array, Ints
from evalkit.text.ngrams import MOST, Encoded, Encoder, Order, orders

HIGHEST = 4  # words in an n-gram
BLOCK = 2**14  # texts whose n-grams are counted together


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    documents: int
    df: dict[str, int]


@dataclass(frozen=True)
class DocumentFrequencies:
    """Frequencies of n-grams of 1 to 4 words in a number of documents.

    words [v] sorted. codes: per order the sorted numbers [g] of its n-grams: the position of
    the first words among the codes of the order below, times v, plus the position of the last
    word; for single words their positions. frequencies: per order [g].
    """

    documents: int
    words: Sequence[str]
    codes: Sequence[Ints]
    frequencies: Sequence[Array]

    @classmethod
    def count(cls, encoded: Encoded, document: Ints, documents: int) -> DocumentFrequencies:
        """document [texts], not falling: to which one a text belongs."""
        blocks = [list(_tallies(part, owner)) for part, owner in _blocks(encoded, document)]
        codes, frequencies = [], []
        below: list[Ints] = [np.zeros(1, np.int64)] * len(blocks)
        for n in range(HIGHEST):
            found = [block[n] for block in blocks]
            pieces = [
                known[one.prefix] * len(encoded.words) + one.last
                for known, one in zip(below, found, strict=True)
            ]
            distinct, number = np.unique(_joined(pieces), return_inverse=True)
            ends = np.cumsum([len(one) for one in pieces])
            below = np.split(number, ends[:-1])
            held = _joined([one.documents for one in found])
            codes.append(distinct)
            frequencies.append(np.bincount(number, held).astype(np.int32))
        return cls(documents, encoded.words, codes, frequencies)

    @classmethod
    def load(cls, path: Path) -> DocumentFrequencies:
        """From `{"documents": N, "df": {"a man": 17, …}}`, also .gz; MetricError otherwise.

        The n-grams are tokens of the tokeniser that is used with it, joined by one space each.
        """
        try:
            content = path.read_bytes()
            raw = gzip.decompress(content) if path.suffix == ".gz" else content
            stored = msgspec.json.decode(raw, type=_Stored)
        except OSError as error:
            reason = error.strerror or str(error)
            raise MetricError(f"document frequencies: {reason}", str(path)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, EOFError, zlib.error) as error:
            raise MetricError(
                f'document frequencies are {{"documents": N, "df": {{"a man": 17}}}}: {error}',
                str(path),
            ) from None
        _check(stored, path)
        return cls._listed(stored)

    @classmethod
    def _listed(cls, stored: _Stored) -> DocumentFrequencies:
        """First words that are not listed themselves are there with frequency 0."""
        grams = list(stored.df)
        encoder = Encoder("none")
        encoded = encoder.encode(grams)
        given = np.fromiter(stored.df.values(), np.int64, len(grams))
        codes, frequencies = [], []
        for n, order in enumerate(orders(encoded, np.arange(len(grams)), HIGHEST), start=1):
            total = np.zeros(len(order.last), np.int32)
            whole = encoded.lengths[order.owner] == n
            total[order.gram[whole]] = given[order.owner[whole]]
            codes.append(_codes(order, len(encoded.words)))
            frequencies.append(total)
        return cls(stored.documents, encoded.words, codes, frequencies)

    def save(self, path: Path) -> None:
        """As a file that `load` reads; equal frequencies give equal bytes."""
        listed: dict[str, int] = {}
        below = [""]
        for codes, frequencies in zip(self.codes, self.frequencies, strict=True):
            prefix, last = np.divmod(codes, max(len(self.words), 1))
            pairs = zip(prefix.tolist(), last.tolist(), strict=True)
            below = [f"{below[first]} {self.words[word]}".lstrip() for first, word in pairs]
            found = zip(below, frequencies.tolist(), strict=True)
            listed.update((gram, number) for gram, number in found if number > 0)
        content = msgspec.json.encode({"documents": self.documents, "df": listed})
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)

    @property
    def state(self) -> dict[str, Any]:
        """JSON values and arrays."""
        return {
            "documents": self.documents,
            "words": self.words,
            "codes": list(self.codes),
            "frequencies": list(self.frequencies),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> DocumentFrequencies:
        return cls(**state)

    def lookup(self, found: Iterable[Order], words: Sequence[str]) -> Iterator[tuple[Order, Ints]]:
        """Every order of some texts with the frequencies [g] of its n-grams; 0: not known."""
        known = np.array([self._position.get(word, -1) for word in words], np.int64)
        below: Ints = np.zeros(1, np.int64)
        for order, codes, frequencies in zip(found, self.codes, self.frequencies, strict=True):
            first, last = below[order.prefix], known[order.last]
            below = _positions(codes, first * max(len(self.words), 1) + last)
            below[(first < 0) | (last < 0)] = -1
            frequency = np.zeros(len(below), np.int64)
            frequency[below >= 0] = frequencies[below[below >= 0]]
            yield order, frequency

    @cached_property
    def _position(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}


def count_references(references: Iterable[Sequence[str]], encoder: Encoder) -> DocumentFrequencies:
    """All references of one example are one document; the encoder keeps their tokens."""
    documents = list(references)
    texts = [text for document in documents for text in document]
    sizes = [len(document) for document in documents]
    encoder.keep(texts)
    document = np.repeat(np.arange(len(documents)), sizes)
    return DocumentFrequencies.count(encoder.encode(texts), document, len(documents))


def write(path: Path, references: Iterable[Sequence[str]], tokenize: str = "ptb") -> None:
    """Count the references of a set, say of training data, for the parameter `df` of cider."""
    count_references(references, Encoder(tokenize)).save(path)


class _Tally(NamedTuple):
    """The n-grams of one order in some documents, and how many of these hold each."""

    prefix: Array
    last: Array
    documents: Array


def _blocks(encoded: Encoded, document: Ints) -> Iterator[tuple[Encoded, Ints]]:
    """Texts of whole documents, few enough for the processor's caches."""
    starts = np.concatenate([[0], np.cumsum(encoded.lengths, dtype=np.int64)])
    first = 0
    while first < len(document):
        end = int(
            np.searchsorted(document, document[min(first + BLOCK, len(document)) - 1], "right")
        )
        tokens = encoded.tokens[starts[first] : starts[end]]
        owner = document[first:end] - document[first]
        yield Encoded(encoded.words, tokens, encoded.lengths[first:end]), owner
        first = end


def _tallies(encoded: Encoded, document: Ints) -> Iterator[_Tally]:
    for one in orders(encoded, document, HIGHEST):
        held = np.bincount(one.gram, minlength=len(one.last))
        yield _Tally(*(part.astype(np.int32) for part in (one.prefix, one.last, held)))


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _codes(order: Order, words: int) -> Ints:
    return order.prefix * words + order.last


def _positions(codes: Ints, wanted: Ints) -> Ints:
    """Where in sorted codes each wanted one lies; -1: nowhere."""
    if not len(codes):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[at] == wanted, at, -1)


def _check(stored: _Stored, path: Path) -> None:
    if not 1 <= stored.documents <= MOST:
        raise MetricError(f"the number of documents must be 1 to {MOST:,}", str(path))
    for gram, frequency in stored.df.items():
        words = gram.split()
        if not 1 <= len(words) <= HIGHEST or " ".join(words) != gram:
            raise MetricError(
                f'"{gram}" is not 1 to {HIGHEST} words with one space each', str(path)
            )
        if not 1 <= frequency <= stored.documents:
            raise MetricError(
                f'"{gram}" occurs in {frequency} of {stored.documents} documents', str(path)
            )
