"""Tables built before, by everything that they depend on; bounded, private, never trusted."""

from __future__ import annotations

import hashlib
import os
import shutil
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

    A folder that cannot be written, or a damaged entry, costs time and nothing else.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder / "tables"
        self._limit = limit

    def get(self, key: str) -> Table | None:
        path = self.folder / f"{key}.npz"
        try:
            table = Table.load(path)
            os.utime(path)
        except (OSError, EvalkitError):
            return None
        return table

    def put(self, key: str, table: Table) -> None:
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as part:
                table.save(part)  # type: ignore[arg-type]
            Path(part.name).replace(self.folder / f"{key}.npz")
            self._trim()

    def _trim(self) -> None:
        found = [(path.stat(), path) for path in self.folder.glob("*.npz")]
        total = sum(stat.st_size for stat, _ in found)
        for stat, path in sorted(found, key=lambda one: one[0].st_mtime):
            if total <= self._limit:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size

    def clear(self) -> int:
        """How many bytes were freed."""
        freed = sum(path.stat().st_size for path in self.folder.glob("*"))
        shutil.rmtree(self.folder, ignore_errors=True)
        return freed


def key(metric: Metric, header: Header, predictions: str) -> str:
    """predictions: the sha256 of the canonical predictions."""
    parts = (
        evalkit.__version__.encode(),
        catalogue.source_of(type(metric)),
        catalogue.engine_source(type(metric)),
        repr(sorted(header.parameters.items())).encode(),
        header.signature.encode(),
        header.fit.encode(),
        header.references.encode(),
        predictions.encode(),
    )
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
