"""Table: what a metric made of the examples, once; rows of numbers in order of id."""

from __future__ import annotations

import io
import itertools
import operator
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from evalkit.errors import MetricError, ResultError

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SCHEMA = 1
MOST_UNPACKED = 1 << 28  # bytes that any stored file may unpack to
MOST_TIMES = 200  # its own size, beyond that; text and rows of numbers shrink to a tenth or so
_EXACT = (np.uint8, np.uint16, np.uint32, np.int32, np.int64, np.float32)


@dataclass(frozen=True)
class Header:
    """Tables concatenate, pair and compare only if their headers are equal.

    `fit` and `references` are sha256 of the fitted state and of the canonical references.
    """

    metric: str
    parameters: Mapping[str, Any]
    signature: str
    outputs: tuple[str, ...]
    fit: str
    references: str
    scoring: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def difference(self, other: Header) -> str | None:
        """The first field in which two headers differ, or None."""
        return next((key for key, ours in asdict(self).items() if ours != asdict(other)[key]), None)


@dataclass(frozen=True)
class Table:
    """`ids` [n] UTF-8, sorted; `owner` [r] row -> example; `rows` [r, k] in a small exact dtype."""

    header: Header
    ids: tuple[bytes, ...]
    owner: Ints
    rows: Array

    @classmethod
    def of(cls, header: Header, ids: Sequence[bytes], blocks: Sequence[Array]) -> Table:
        """From one finite [r_i, k] array per id, in any order; MetricError otherwise."""
        order = sorted(range(len(ids)), key=ids.__getitem__)
        _check_blocks(header, ids, blocks, order)
        owner = np.repeat(np.arange(len(ids)), [len(blocks[i]) for i in order])
        rows = np.concatenate([blocks[i] for i in order]) if order else np.zeros((0, 0))
        return cls(header, tuple(ids[i] for i in order), owner, _smallest(rows))

    def take(self, chosen: NDArray[np.bool_]) -> Table:
        """The chosen examples [n] under the same fit: a slice."""
        numbers = np.cumsum(chosen) - 1
        kept = chosen[self.owner]
        ids = tuple(one for one, keep in zip(self.ids, chosen, strict=True) if keep)
        return Table(self.header, ids, numbers[self.owner[kept]], self.rows[kept])

    def _check_shape(self) -> None:
        """ValueError where owners and rows do not belong to the ids."""
        steps = np.diff(self.owner, prepend=0)
        last = self.owner[-1] if len(self.owner) else -1
        if (
            self.rows.ndim != 2
            or self.rows.dtype.newbyteorder("=") not in (*_EXACT, np.float64)
            or (len(self.rows) and self.rows.shape[1] == 0)
            or self.owner.ndim != 1
            or self.owner.dtype.kind not in "iu"
            or len(self.owner) != len(self.rows)
            or (len(self.owner) and self.owner[0] != 0)
            or last != len(self.ids) - 1
            or not np.isin(steps, (0, 1)).all()
            or not np.isfinite(self.rows).all()
        ):
            raise ValueError("owners and rows do not belong to the ids")

    def save(self, stream: BinaryIO) -> None:
        """As one .npz; equal tables give equal bytes."""
        header = msgspec.json.encode(asdict(self.header), order="sorted")
        blob = b"".join(self.ids)
        np.savez_compressed(
            stream,
            header=np.frombuffer(header, np.uint8),
            ids=np.frombuffer(blob, np.uint8),
            offsets=np.cumsum([0, *map(len, self.ids)]),
            owner=self.owner,
            rows=self.rows,
        )

    @classmethod
    def load(cls, source: Path | BinaryIO) -> Table:
        """ResultError where the file is not a table of this schema."""
        where = str(source) if isinstance(source, Path) else None
        try:
            content = source.read_bytes() if isinstance(source, Path) else source.read()
            _require_fit(content)
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                header = msgspec.json.decode(stored["header"].tobytes())
                if header["schema"] != SCHEMA:
                    raise ResultError(
                        f"a table of schema {header['schema']}, but this evalkit reads {SCHEMA}; "
                        "score again or use the evalkit that wrote it",
                        where,
                    )
                ids = _ids(stored["ids"], stored["offsets"])
                typed = msgspec.convert(header, Header)
                table = cls(typed, ids, stored["owner"], stored["rows"])
            table._check_shape()
            return table
        except ResultError:
            raise
        except Exception as error:  # numpy, zipfile and zlib have many ways to say it
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ResultError(f"not a table, or damaged ({reason}); score again", where) from None


def fits(unpacked: int, packed: int) -> bool:
    """May a file of `packed` bytes become `unpacked` bytes in memory?"""
    return unpacked <= max(MOST_UNPACKED, MOST_TIMES * packed)


def _require_fit(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        size = sum(one.file_size for one in packed.infolist())
    if not fits(size, len(content)):
        raise ValueError(f"{len(content):,} bytes unpack to {size:,}")


def _ids(blob: Array, offsets: Array) -> tuple[bytes, ...]:
    """ValueError where they are not UTF-8 in strictly ascending order."""
    if blob.dtype != np.uint8 or offsets.dtype.kind not in "iu" or blob.ndim != 1:
        raise ValueError("ids and their offsets are not bytes and whole numbers")
    bounds = offsets.astype(np.int64)
    if bounds.ndim != 1 or not len(bounds) or bounds[0] != 0 or bounds[-1] != len(blob):
        raise ValueError("offsets do not belong to the ids")
    content = blob.tobytes()
    content.decode()
    ids = tuple(content[i:j] for i, j in itertools.pairwise(bounds.tolist()))
    starts = bounds[bounds < len(blob)]
    if (blob[starts] & 0xC0 == 0x80).any() or not all(map(operator.lt, ids, ids[1:])):
        raise ValueError("ids are not UTF-8 in ascending order")
    return ids


def concat(tables: Sequence[Table]) -> Table:
    """Shards to one table, whatever their order; MetricError if their headers differ."""
    first = tables[0]
    for table in tables[1:]:
        require_same(first.header, table.header)
    blocks: list[Array] = []
    ids: list[bytes] = []
    for table in tables:
        if not table.ids:
            continue
        ends = np.searchsorted(table.owner, np.arange(1, len(table.ids)))
        blocks.extend(np.split(table.rows, ends))
        ids.extend(table.ids)
    return Table.of(first.header, ids, blocks)


def require_same(ours: Header, theirs: Header) -> None:
    if differs := ours.difference(theirs):
        raise MetricError(
            f"tables of {ours.metric} and {theirs.metric} differ in their {differs}; "
            "score both with the same metric, parameters and references"
        )


def as_block(values: Any, metric: str, where: str) -> Array:
    """One example's rows as [r, k]; MetricError where a value is not finite."""
    block = np.atleast_2d(np.asarray(values))
    if block.dtype.kind not in "buif" or not np.isfinite(block).all():
        raise MetricError(f'{metric}: the rows of id "{where}" are not finite numbers')
    return block


def _check_blocks(
    header: Header, ids: Sequence[bytes], blocks: Sequence[Array], order: Sequence[int]
) -> None:
    if len(ids) != len(blocks):
        raise MetricError(f"{header.metric}: {len(blocks)} rows for {len(ids)} examples")
    for i, j in itertools.pairwise(order):
        if ids[i] == ids[j]:
            raise MetricError(f'{header.metric}: id "{ids[i].decode()}" appears twice')
    if len({block.shape[1] for block in blocks}) > 1:
        raise MetricError(f"{header.metric}: rows of different lengths")


def _smallest(rows: Array) -> Array:
    """In the smallest dtype that holds every value exactly."""
    for dtype in _EXACT:
        with np.errstate(invalid="ignore", over="ignore"):
            small = rows.astype(dtype)
        if np.array_equal(small, rows):
            return small
    return rows.astype(np.float64)
