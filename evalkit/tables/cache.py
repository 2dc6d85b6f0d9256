"""Tables built before, by everything that they depend on; bounded, private, never trusted."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import evalkit
from evalkit import catalogue
from evalkit.errors import EvalkitError
from evalkit.metric import Metric
from evalkit.table import Header, Table

LIMIT = 2**30  # bytes


def default_folder() -> Path:
    """EVALKIT_CACHE, else the platform's cache folder."""
    if chosen := os.environ.get("EVALKIT_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "evalkit"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "evalkit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalkit"


class Cache:
    """Tables in a folder of mode 0700; the oldest go when it grows beyond `limit` bytes.

    An entry is its key, the sha256 of its content, and the content. A folder that cannot be
    written, or a damaged entry, costs time and nothing else.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder / "evalkit-tables"
        self._limit = limit

    def get(self, key: str) -> Table | None:
        path = self._path(key)
        try:
            stored = path.read_bytes()
            head, content = stored[: len(_head(key, b""))], stored[len(_head(key, b"")) :]
            if head != _head(key, content):
                return None
            table = Table.load(io.BytesIO(content))
        except (OSError, EvalkitError):
            return None
        with suppress(OSError):
            os.utime(path)
        return table

    def put(self, key: str, table: Table) -> None:
        content = io.BytesIO()
        table.save(content)
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as part:
                try:
                    part.write(_head(key, content.getvalue()) + content.getvalue())
                    part.close()
                    Path(part.name).replace(self._path(key))
                finally:
                    Path(part.name).unlink(missing_ok=True)
            self._trim()

    def clear(self) -> int:
        """How many bytes were freed; nothing but evalkit's own entries is deleted."""
        freed = 0
        for path in self._entries():
            freed += path.stat().st_size
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()
        return freed

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.table"

    def _entries(self) -> list[Path]:
        return [*self.folder.glob("*.table"), *self.folder.glob("tmp*.part")]

    def _trim(self) -> None:
        found = [(path.stat(), path) for path in self._entries()]
        total = sum(stat.st_size for stat, _ in found)
        for stat, path in sorted(found, key=lambda one: one[0].st_mtime):
            if total <= self._limit:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _head(key: str, content: bytes) -> bytes:
    return f"{key}\n{hashlib.sha256(content).hexdigest()}\n".encode()


def key(metric: Metric, header: Header, predictions: str) -> str | None:
    """predictions: the sha256 of the canonical predictions; None: the source is not known."""
    source = catalogue.source_of(type(metric))
    if source is None:
        return None
    parts = (
        evalkit.__version__.encode(),
        source,
        catalogue.imported_source(source),
        repr(sorted(header.parameters.items())).encode(),
        header.signature.encode(),
        header.fit.encode(),
        header.references.encode(),
        predictions.encode(),
    )
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
