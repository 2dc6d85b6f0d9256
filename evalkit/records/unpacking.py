"""gzip and zstd, told by their first bytes; what is cut off or damaged never ends in silence."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from evalkit.errors import MissingDependencyError

BLOCK = 2**17  # bytes that are read at once
_STEP = 2**14  # bytes that zstd unpacks at once, each of which may become thousands
_LARGEST_WINDOW = 2**31  # bytes, as of `zstd --long=31`
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte from 0x50 to 0x5f; parallel zstd begins with one


class DamagedError(Exception):
    """What is packed cannot be unpacked to its end."""


class Steps(io.RawIOBase):
    """Bytes from a function that gives at most so many; what fails once fails ever after."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], object]) -> None:
        self._read = read
        self._close = close
        self._error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._error is not None:
            raise self._error
        try:
            found = self._read(len(buffer))
        except Exception as error:
            self._error = error
            raise
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


def packing(head: bytes, suffix: str) -> str:
    """gzip, zstd or nothing, by the first bytes; suffix: what the name says of others."""
    if head.startswith(_GZIP):
        return "gzip"
    if head.startswith(_ZSTD) or (head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F):
        return "zstd"
    return {"": "", ".gz": "gzip"}.get(suffix, "zstd")


def unpacked(stream: IO[bytes], packing: str, where: str) -> IO[bytes]:
    """The stream as it was before it was packed; reading raises DamagedError."""
    if not packing:
        return stream
    read = _gunzip(stream) if packing == "gzip" else _joined(_unzstd(stream, where))
    return io.BufferedReader(Steps(read, stream.close), BLOCK)


def _gunzip(stream: IO[bytes]) -> Callable[[int], bytes]:
    file = gzip.GzipFile(fileobj=stream)

    def read(size: int) -> bytes:
        try:
            return file.read1(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DamagedError(str(error)) from None

    return read


def _unzstd(stream: IO[bytes], where: str) -> Iterator[bytes]:
    """Frame by frame, because zstandard's stream reader ends a cut-off frame in silence."""
    try:
        import zstandard
    except ImportError:
        raise MissingDependencyError(
            "reading .zst needs zstandard>=0.22 (extra `io`): pip install zstandard, "
            "or unpack the file first",
            where,
        ) from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    frame = None
    while packed := stream.read(_STEP):
        while packed:
            frame = frame or decompressor.decompressobj()
            try:
                yield frame.decompress(packed)
            except zstandard.ZstdError as error:
                raise DamagedError(str(error)) from None
            packed = b""
            if frame.eof:
                packed, frame = frame.unused_data, None
    if frame is not None:
        raise DamagedError("cut off")


def _joined(pieces: Iterator[bytes]) -> Callable[[int], bytes]:
    """At most so many bytes of pieces of any length; nothing only at the end."""
    piece = memoryview(b"")

    def read(size: int) -> bytes:
        nonlocal piece
        while not piece:
            found = next(pieces, None)
            if found is None:
                return b""
            piece = memoryview(found)
        given, piece = piece[:size], piece[size:]
        return bytes(given)

    return read
