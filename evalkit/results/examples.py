"""The stored examples: unpacked within a limit, and typed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import msgspec

from evalkit.errors import ResultError
from evalkit.results import places
from evalkit.table import Table, fits

CHUNK = 1 << 20


class _Example(TypedDict):
    """A gate's baseline keeps neither texts nor scores."""

    id: str
    cluster: str | None
    fields: dict[str, Any]
    prediction: NotRequired[Any]
    references: NotRequired[list[Any]]
    scores: NotRequired[dict[str, dict[str, float | None]]]


def read_examples(where: str) -> list[Mapping[str, Any]]:
    """The examples of a packed file, in its order; [] where there is none, ResultError."""
    try:
        packed = places.read(where)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror}", where) from None
    try:
        return list(msgspec.json.Decoder(_Example).decode_lines(_unpacked(packed)))
    except ResultError as error:
        raise ResultError(error.message, where) from None
    except RecursionError:
        raise ResultError("damaged: nested too deeply; score again", where) from None
    except MemoryError:
        raise ResultError("unpacks to more than the memory holds", where) from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ResultError(f"damaged: {reason}; score again", where) from None


def _unpacked(packed: bytes) -> bytes:
    chunks, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if not fits(size, len(packed)):
                raise ResultError(f"{len(packed):,} bytes unpack to over {size:,}; score again")
            chunks.append(chunk)
    return b"".join(chunks)


def require_same_ids(
    examples: Sequence[Mapping[str, Any]], tables: Mapping[str, Table], where: str
) -> None:
    """ResultError where a table is of other examples than are stored beside it."""
    if not examples:
        return
    ids = tuple(example["id"].encode() for example in examples)
    for label, table in tables.items():
        if table.ids != ids:
            raise ResultError(
                f"the stored examples are not those of the table of {label}; score again", where
            )
