"""The lines of a source as strict UTF-8, each with its number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from evalkit.errors import DataError
from evalkit.records.source import Source
from evalkit.records.unpacking import DamagedError

_OTHERS = {
    b"PAR1": "a Parquet file; name it .parquet, or say --format parquet",
    b"BZh": "a bzip2 file; unpack it first (gzip and zstd are read as they are)",
    b"\xfd7zXZ": "an xz file; unpack it first (gzip and zstd are read as they are)",
    b"PK\x03\x04": "a zip archive; unpack it first (gzip and zstd are read as they are)",
    b"\xff\xfe": "UTF-16; convert the file first, e.g. iconv -f utf-16 -t utf-8",
    b"\xfe\xff": "UTF-16; convert the file first, e.g. iconv -f utf-16 -t utf-8",
}


def read_lines(source: Source) -> Iterator[tuple[int, str]]:
    """(line number from 1, text without its line end); only \\n and \\r\\n end a line."""
    number = 0
    with source.open() as stream:
        try:
            for raw in stream:
                number += 1
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                yield number, _decode(raw, source, number).removesuffix("\n").removesuffix("\r")
        except DamagedError as error:
            raise DataError(
                f"the compressed file is damaged after line {number} ({error}); "
                "copy or make it again",
                source.name,
            ) from None
    if number == 0:
        raise empty(source)


def empty(source: Source) -> DataError:
    if source.name == "<stdin>":
        return DataError("nothing on standard input, which can be read only once", source.name)
    return DataError("the file is empty", source.name)


def _decode(raw: bytes, source: Source, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        for magic, what in _OTHERS.items():
            if number == 1 and raw.startswith(magic):
                raise DataError(f"not text but {what}", source.name) from None
        raise DataError(
            f"not valid UTF-8 (byte 0x{raw[error.start]:02x} at byte {error.start + 1} of the "
            "line); convert the file first, e.g. iconv -f latin1 -t utf-8",
            f"{source}:{number}",
        ) from None


def file_digest(source: str) -> str | None:
    """sha256 of a file's bytes as they lie there; None for a pipe or a URL."""
    path = Path(source)
    if source == "-" or not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
