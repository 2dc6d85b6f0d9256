"""Open a file, a pipe or a URL and give its lines as strict UTF-8, each with its number."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from evalkit.errors import DataError, MissingDependencyError

COMPRESSIONS = (".gz", ".zst")


def plain_suffix(source: str) -> str:
    """`preds.jsonl.gz` -> `.jsonl`."""
    path = Path(source)
    if path.suffix.lower() in COMPRESSIONS:
        path = path.with_suffix("")
    return path.suffix.lower()


@contextmanager
def open_bytes(source: str) -> Iterator[IO[bytes]]:
    """`-` is standard input, `scheme://…` goes through fsspec; `.gz` and `.zst` are unpacked."""
    with _open_raw(source) as raw:
        suffix = Path(source).suffix.lower()
        if suffix == ".gz":
            yield io.BufferedReader(gzip.GzipFile(fileobj=raw))
        elif suffix == ".zst":
            try:
                import zstandard
            except ImportError:
                raise MissingDependencyError(
                    "reading .zst needs zstandard>=0.22 (extra `io`): pip install zstandard, "
                    "or unpack the file first",
                    source,
                ) from None
            yield _unpack_zstd(zstandard.ZstdDecompressor(), raw.read(), source)
        else:
            yield raw


def _unpack_zstd(decompressor: Any, packed: bytes, source: str) -> IO[bytes]:
    """Frame by frame, because zstandard's stream reader ends a cut-off frame in silence."""
    parts = []
    while packed:
        frame = decompressor.decompressobj()
        try:
            parts.append(frame.decompress(packed))
        except Exception as error:
            raise DataError(f"the compressed file is damaged ({error})", source) from None
        if not frame.eof:
            raise DataError("the compressed file is cut off; copy or make it again", source)
        packed = frame.unused_data
    return io.BytesIO(b"".join(parts))


@contextmanager
def _open_raw(source: str) -> Iterator[IO[bytes]]:
    if source == "-":
        yield sys.stdin.buffer
        return
    if "://" in source:
        with _open_url(source) as stream:
            yield stream
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 (closed below, after the errors are named)
    except FileNotFoundError:
        raise DataError("no such file; check the path", source) from None
    except IsADirectoryError:
        raise DataError("is a folder; name the files in it", source) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", source) from None
    with stream:
        yield stream


def _open_url(source: str) -> IO[bytes]:
    import fsspec

    try:
        stream: IO[bytes] = fsspec.open(source, "rb").open()
    except ImportError as error:
        raise MissingDependencyError(" ".join(str(error).split()), source) from None
    except Exception as error:  # every file system has errors of its own
        raise DataError(f"cannot be read: {type(error).__name__}: {error}", source) from None
    return stream


def read_lines(source: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, text without its line end); only \\n and \\r\\n end a line."""
    number = 0
    with open_bytes(source) as stream:
        try:
            for raw in stream:
                number += 1
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                yield number, _decode(raw, source, number).removesuffix("\n").removesuffix("\r")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"the compressed file is damaged after line {number} ({error}); "
                "copy or make it again",
                source,
            ) from None
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", source) from None
    if number == 0:
        raise DataError("the file is empty", source)


def _decode(raw: bytes, source: str, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
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
