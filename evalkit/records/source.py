"""Source: a file, a pipe or a URL that is opened here and nowhere else."""

from __future__ import annotations

import hashlib
import io
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from evalkit.errors import DataError
from evalkit.records import addresses
from evalkit.records.remote import failure, open_url
from evalkit.records.unpacking import BLOCK, DamagedError, Steps, packing, unpacked

PEEK = 2**16  # bytes; more only where the first record is longer
_MAGIC = 8  # bytes


class Source:
    """What an address leads to. str(source): its name in messages, which holds no secret.

    `-` is standard input, `scheme://…` goes through fsspec; gzip and zstd are unpacked, whatever
    the name says.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.name = "<stdin>" if address == addresses.STDIN else addresses.public(address)
        self._digest = hashlib.sha256()
        self._ended = False
        self._stream: IO[bytes] | None = None
        self._head = b""
        self._copy: IO[bytes] | None = None
        self._path = addresses.local_path(address)

    def __str__(self) -> str:
        return self.name

    @property
    def digest(self) -> str | None:
        """sha256 of the bytes as they came; None before they are read to their end."""
        return self._digest.hexdigest() if self._ended else None

    @property
    def nameless(self) -> bool:
        """Standard input and other pipes, whose name tells no format."""
        if self.address == addresses.STDIN:
            return True
        with suppress(OSError):
            return not addresses.plain_suffix(self.address) and stat.S_ISFIFO(self._mode())
        return False

    def peek(self, size: int = PEEK) -> bytes:
        """The first bytes, unpacked; all of them where size is -1. Nothing is read twice."""
        with self._named_errors():
            stream = self._opened()
            try:
                if size < 0:
                    self._head += stream.read()
                elif size > len(self._head):
                    self._head += stream.read(size - len(self._head))
            except Exception:
                if stat.S_ISREG(self._mode()):
                    self._stream = None  # so that who reads it can say after which line
                raise
        return self._head

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """From the first byte, unpacked; what goes wrong while it is read is a DataError."""
        with self._named_errors():
            stream, head = self._opened(), self._head
            self._stream, self._head = None, b""
            with stream:
                yield _rejoined(head, stream) if head else stream

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """For what is read from its end: pipes, URLs and packed files become temporary files."""
        if self._copy is None and self._path is not None and self._lies_open(self._path):
            with self._named_errors(), self._path.open("rb") as stream:
                if not self._ended:
                    self._digest = hashlib.file_digest(stream, hashlib.sha256)
                    self._ended = True
                stream.seek(0)
                yield stream
            return
        if self._copy is None:
            with self.open() as stream:
                self._copy = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
                shutil.copyfileobj(stream, self._copy, BLOCK)
        self._copy.seek(0)
        yield self._copy

    def close(self) -> None:
        for stream in (self._stream, self._copy):
            if stream is not None:
                with suppress(Exception):
                    stream.close()
        self._stream = self._copy = None

    def _mode(self) -> int:
        return 0 if self._path is None else self._path.stat().st_mode

    def _lies_open(self, path: Path) -> bool:
        """A file that is not packed."""
        with self._named_errors():
            if not stat.S_ISREG(self._mode()):
                return False
            with path.open("rb") as stream:
                return not packing(stream.read(_MAGIC), addresses.packed_suffix(self.address))

    def _opened(self) -> IO[bytes]:
        if self._stream is None:
            raw = self._open_raw()
            self._digest, self._ended, self._head = hashlib.sha256(), False, b""
            keep = self.address == addresses.STDIN
            steps = Steps(self._reader(raw), (lambda: None) if keep else raw.close)
            stream = io.BufferedReader(steps, BLOCK)
            suffix = addresses.packed_suffix(self.address)
            if addresses.scheme(self.address) in ("http", "https"):
                suffix = ""  # servers unpack what a browser would
            self._stream = unpacked(stream, packing(stream.peek(_MAGIC), suffix), self.name)
        return self._stream

    def _open_raw(self) -> IO[bytes]:
        if self._path is not None:
            return self._path.open("rb")
        if self.address != addresses.STDIN:
            return open_url(self.address)
        if sys.stdin is None:
            raise DataError("standard input is closed; pipe the records in", self.name)
        return sys.stdin.buffer

    def _reader(self, raw: IO[bytes]) -> Callable[[int], bytes]:
        """At least the first bytes at once, which tell what is packed."""

        def read(size: int) -> bytes:
            try:
                found = raw.read(size)
                while 0 < len(found) < min(size, _MAGIC) and (more := raw.read(size - len(found))):
                    found += more
            except Exception as error:
                if self._path is None and self.address != addresses.STDIN:
                    raise failure(error, self.address) from None
                raise
            self._digest.update(found)
            self._ended = self._ended or not found
            return found

        return read

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise DataError("no such file; check the path", self.name) from None
        except IsADirectoryError:
            raise DataError("is a folder; name the files in it", self.name) from None
        except DamagedError as error:
            message = f"the compressed file is damaged ({error}); copy or make it again"
            raise DataError(message, self.name) from None
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", self.name) from None


def _rejoined(head: bytes, stream: IO[bytes]) -> IO[bytes]:
    left = memoryview(head)

    def read(size: int) -> bytes:
        nonlocal left
        if left:
            given, left = left[:size], left[size:]
            return bytes(given)
        return stream.read(size)

    return io.BufferedReader(Steps(read, lambda: None), BLOCK)
