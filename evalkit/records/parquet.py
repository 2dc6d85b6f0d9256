"""Parquet as records: a row is a record, a column a field; batch by batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

from evalkit.errors import DataError, MissingDependencyError
from evalkit.records.source import Source

Record = dict[str, Any]
MAGIC = b"PAR1"
BATCH = 4096  # rows
_BUFFER = 2**20  # bytes of a column that are read at once


def read_parquet(source: Source, named: Collection[str] = ()) -> Iterator[tuple[int, Record]]:
    """(row from 1, record). named: fields that are read even where they hold bytes, as text.

    Whole decimals become whole numbers and others floats; dates and times become text; in a
    structure a null is a field that is not there.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingDependencyError(
            "reading Parquet needs pyarrow>=20 (extra `io`): pip install pyarrow, "
            "or convert the file to JSON lines",
            source.name,
        ) from None
    with source.seekable() as stream:
        try:
            number = 0
            for names, columns in _batches(stream, source, named):
                for row in zip(*(_values(*one, number, source) for one in columns), strict=True):
                    number += 1
                    yield number, dict(zip(names, row, strict=True))
        except (pa.ArrowException, OSError) as error:
            said = " ".join(str(error).split())
            message = f"not a Parquet file, or a damaged one ({said}); copy or make it again"
            raise DataError(message, source.name) from None


def _batches(
    stream: IO[bytes], source: Source, named: Collection[str]
) -> Iterator[tuple[list[str], list[tuple[str, Any]]]]:
    """Names, and (name, column) of each, for some rows at a time."""
    from pyarrow import parquet

    if not stream.read(1):
        raise DataError("the file is empty", source.name)
    stream.seek(0)
    file = parquet.ParquetFile(
        stream, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
    )
    schema = file.schema_arrow
    if twice := next((one for one in schema.names if schema.names.count(one) > 1), None):
        raise DataError(f'two columns are called "{twice}"; rename one', source.name)
    names = [one.name for one in schema if one.name in named or not _holds_bytes(one.type)]
    if not names:
        raise DataError("no column that could be read; text is wanted, not bytes", source.name)
    for batch in file.iter_batches(batch_size=BATCH, columns=names, use_threads=False):
        yield names, [(name, batch.column(name)) for name in names]


def _holds_bytes(kind: Any) -> bool:
    """As images and sounds do, which are no text to score and too large to carry along."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    if types.is_nested(kind):
        return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return any(
        test(kind)
        for test in (
            types.is_binary,
            types.is_large_binary,
            types.is_fixed_size_binary,
            types.is_binary_view,
        )
    )


def _values(name: str, column: Any, before: int, source: Source) -> Sequence[Any]:
    """The plain Python values of a column; before: rows before its first."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return _times(column)
    if pa.types.is_duration(kind):
        return list(column.cast(pa.int64()).to_pylist())
    if getattr(kind, "extension_name", "") == "arrow.uuid":
        return [None if one is None else str(one) for one in column.to_pylist()]
    try:
        found: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except UnicodeDecodeError:
        raise _not_text(name, column, before, source) from None
    except KeyError as error:
        message = f'column "{name}": a key appears twice in a map ({error})'
        raise DataError(message, source.name) from None
    if not (pa.types.is_nested(kind) or pa.types.is_decimal(kind) or _is_bytes(kind)):
        return found
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return found
    try:
        return [_plain(one) for one in found]
    except UnicodeDecodeError:
        raise _not_text(name, column, before, source) from None


def _times(column: Any) -> list[Any]:
    """As text; a Z at the end where a time zone makes them moments, which Parquet keeps in UTC."""
    import pyarrow as pa

    if getattr(column.type, "tz", None) is None:
        return list(column.cast(pa.string()).to_pylist())
    moments = column.cast(pa.timestamp(column.type.unit)).cast(pa.string()).to_pylist()
    return [None if one is None else f"{one}Z" for one in moments]


def _plain(value: Any) -> Any:
    """As JSON would have it."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Decimal):
        return float(value) if int(value.as_tuple().exponent) < 0 else int(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _not_text(name: str, column: Any, before: int, source: Source) -> DataError:
    """Names the first row that is not UTF-8."""
    for number, one in enumerate(column, start=before + 1):
        try:
            _plain(one.as_py())
        except UnicodeDecodeError:
            return DataError(f'column "{name}" is not valid UTF-8 here', f"{source}:{number}")
    return DataError(f'column "{name}" is not valid UTF-8', source.name)
