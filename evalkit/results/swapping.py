"""How a finished result takes its place: written aside, then renamed, under its set's lock.

Set folder: `<system>/`, and while a process writes `.<system>.<8 hex>/` with new, old or gone.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from evalkit.errors import ResultError

PATTERN = ".????????"
HEX = re.compile(r"[0-9a-f]{8}")
NAMES = re.compile(r"new|old|gone(-[0-9a-f]{8})?")
TRIES = 20


@dataclass(frozen=True)
class Aside:
    """A folder beside the target; `lock` ends with its process, however that ends."""

    target: Path
    path: Path
    lock: int | None

    def put(self) -> None:
        """The set's lock is held. A kill leaves the old one in place, aside as `old`, or the new.

        What is called `gone` never comes back, so half a deletion is never taken for a result.
        """
        if self.target.exists():
            self.target.rename(self.path / "old")
        (self.path / "new").rename(self.target)
        with suppress(FileNotFoundError):
            (self.path / "old").rename(self.path / "gone")

    def drop(self) -> None:
        """Put back what a failure left aside, then delete the rest."""
        try:
            with suppress(OSError):
                with locked(self.target.parent):
                    recover(self.target)
                shutil.rmtree(self.path, ignore_errors=True)
                self.target.parent.rmdir()  # only where it is empty
        finally:
            if self.lock is not None:
                os.close(self.lock)


def aside_of(target: Path) -> Aside:
    """A new folder beside the target, locked before another process can see it unlocked."""
    path = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
    for _ in range(TRIES):
        with suppress(FileNotFoundError):  # another process removed the set's empty folder
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target.parent):
                path.mkdir()
                return Aside(target, path, _lock(path, wait=False))
    raise ResultError("disappears while it is written to; try again", str(target.parent))


def recover(target: Path) -> None:
    """Put the old result back where a process was killed between two renames; locked."""
    if not target.exists() and (old := stranded(target)) is not None:
        old.rename(target)


def stranded(target: Path) -> Path | None:
    """The old result that a killed process left aside."""
    for aside in sorted(target.parent.glob(f".{glob.escape(target.name)}{PATTERN}")):
        if (aside / "old" / "result.json").is_file():
            return aside / "old"
    return None


def targets(folder: Path) -> Iterator[Path]:
    """The results of a set's folder that killed processes left aside."""
    seen = set()
    for path in sorted(folder.glob(f".*{PATTERN}")):
        target = folder / path.name[1:-9]
        if target not in seen and not target.exists() and stranded(target) is not None:
            seen.add(target)
            yield target


def remove(target: Path) -> None:
    """One result, whole or not at all; OSError where that fails."""
    aside = aside_of(target)
    try:
        with locked(target.parent):
            tidy(target)
            target.rename(aside.path / "gone")
    finally:
        aside.drop()


def tidy(target: Path) -> None:
    """Undo and delete what killed processes left aside; the set's lock is held."""
    recover(target)
    while (old := stranded(target)) is not None:
        old.rename(old.with_name(f"gone-{uuid.uuid4().hex[:8]}"))
    for path in abandoned(target.parent, glob.escape(target.name)):
        shutil.rmtree(path)


def abandoned(folder: Path, name: str = "*") -> Iterator[Path]:
    """The asides in a set's folder whose process has ended; the set's lock is held."""
    for path in sorted(folder.glob(f".{name}{PATTERN}")):
        ours = path.is_dir() and not path.is_symlink() and HEX.fullmatch(path.name[-8:])
        if ours and all(NAMES.fullmatch(one.name) for one in path.iterdir()) and _is_free(path):
            yield path


def _is_free(path: Path) -> bool:
    try:
        handle = _lock(path, wait=False)
    except OSError:
        return False
    if handle is None:  # nothing here tells whether its process lives
        return False
    os.close(handle)
    return True


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """One process at a time changes a set's folder; the lock goes with its process."""
    handle = _lock(folder, wait=True, shared=shared)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(folder: Path, *, wait: bool, shared: bool = False) -> int | None:
    """A handle whose closing ends the lock; None where the system has no locks.

    BlockingIOError where another process has it and wait is False.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    handle = os.open(folder, os.O_RDONLY)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # some network file systems have no locks
        os.close(handle)
        return None
    return handle
