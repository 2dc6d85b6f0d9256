"""How often a test set was looked at: `looks.jsonl` beside the results of the set.

One line per look and rule, only ever added to; what carries a sequential gate from run to run.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from evalkit.errors import ResultError
from evalkit.stats.sequential import EProcess, alpha_of_look, betting_order
from evalkit.table import Floats

FILE = "looks.jsonl"
SCHEMA = 1
BEGINS = (b'{"alarm":', b'{"schema":1,"set":')  # of a line, by sorted keys or by ours
KEY_BYTES = 8
WANTED = "set baseline predictions system rule number alpha wealth alarm".split()


@dataclass(frozen=True)
class Look:
    """One rule held against one system on one set.

    set, baseline, predictions: the hashes in result.json ("" for no baseline); rule: all that
    makes it another rule, margin and slice included; number: of the look, from 1; alpha: what it
    might spend; wealth, alarm: of its e-process. state, units: where bets are carried on to new
    examples, the e-process afterwards and the names' keys of the examples bet on at this look.
    """

    set: str
    baseline: str
    predictions: str
    system: str
    rule: str
    number: int = 1
    alpha: float = 0.05
    wealth: float = 1.0
    alarm: bool = False
    when: str = ""
    state: dict[str, Any] | None = None
    units: str = ""

    @property
    def what(self) -> tuple[str, str, str, str]:
        """Two looks with the same one are the same look."""
        return self.set, self.baseline, self.predictions, self.rule


@dataclass(frozen=True)
class Bets:
    """differences [n]: system - baseline by unit, higher is better; names [n]: the units'."""

    differences: Floats
    names: Sequence[bytes]
    seed: int


class Looks:
    """The looks of a file, which stays locked while this is open; see `opened`."""

    def __init__(self, path: Path, stream: IO[bytes], known: list[Look], end: int) -> None:
        self._path, self._stream, self._known, self._end = path, stream, known, end

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Look]:
        return iter(self._known)

    def number(self, set: str, baseline: str, predictions: str) -> int:
        """The how-manieth look this is; the same predictions again are no new look."""
        return look_number(self._known, set, baseline, predictions)

    def find(self, set: str, baseline: str, predictions: str, rule: str) -> Look | None:
        """The line of this very look, where it was taken before."""
        what = (set, baseline, predictions, rule)
        return next((one for one in self._known if one.what == what), None)

    def carried_on(self, rule: str) -> tuple[EProcess | None, frozenset[bytes]]:
        """The rule's e-process so far, None where it starts (again, after an alarm), and the keys
        of all examples that it ever bet on."""
        mine = [one for one in self._known if one.rule == rule and one.state is not None]
        seen = frozenset(key for one in mine for key in unpacked(one.units))
        if not mine or mine[-1].alarm:
            return None, seen
        return EProcess.from_state(mine[-1].state or {}), seen

    def append(self, look: Look) -> Look:
        """As written, with its time; the earlier line where this look was taken before."""
        if (found := self.find(*look.what)) is not None:
            return found
        when = look.when or datetime.now(UTC).isoformat(timespec="seconds")
        written = replace(look, when=when)
        line = msgspec.json.encode({"schema": SCHEMA, **asdict(written)}, order="sorted") + b"\n"
        self._write(line)
        self._known.append(written)
        return written

    def _write(self, line: bytes) -> None:
        """All of it, on the disk, or nothing."""
        try:
            os.ftruncate(self._stream.fileno(), self._end)
            os.lseek(self._stream.fileno(), self._end, os.SEEK_SET)
            left = line
            while left:
                left = left[os.write(self._stream.fileno(), left) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._stream.fileno(), self._end)
            message = f"the look cannot be kept: {error.strerror}"
            raise ResultError(message, str(self._path)) from None
        self._end += len(line)


@contextmanager
def opened(path: Path) -> Iterator[Looks]:
    """The looks at a set, locked until the end, so that two gates at once count two looks.

    Made where there is none yet. ResultError with file:line where a line is damaged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ResultError("cannot be opened: no regular file; name one", str(path))
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        stream = os.fdopen(handle, "r+b", buffering=0)
    except OSError as error:
        raise ResultError(f"cannot be opened: {error.strerror}", str(path)) from None
    with stream:
        _lock(stream)
        content = stream.read()
        known, end = _parsed(content, path)
        looks = Looks(path, stream, known, end)
        if end and content[end - 1 : end] != b"\n":
            looks._write(b"\n")
        yield looks


def take_look(looks: Looks, asked: Look, start: EProcess, data: Bets) -> Look:
    """Bet on all examples of a set, which others may have been held against before.

    asked: its `alpha` is what all looks at this set may spend together, its number, wealth and
    alarm are filled in. start: a fresh e-process against the rule's hypothesis. Of this very look
    the earlier line comes back. What that guarantees: alpha_of_look.
    """
    number = looks.number(asked.set, asked.baseline, asked.predictions)
    spends = alpha_of_look(number, asked.alpha)
    order = betting_order(data.names, data.seed, asked.set)
    process = start.bet(data.differences[order])
    found = replace(asked, number=number, alpha=spends, wealth=process.wealth)
    return looks.append(replace(found, alarm=process.alarm(spends)))


def read(path: Path) -> list[Look]:
    """All looks in the order they were taken; [] where no file is. ResultError with file:line."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror}", str(path)) from None
    return _parsed(content, path)[0]


def look_number(looks: Sequence[Look], set: str, baseline: str, predictions: str) -> int:
    """From 1: distinct set, baseline and predictions, in the order they came.

    Rules without a baseline look at what rules with one look at, so "" is the same as any. A set
    that changed under its name, or grew, counts on: starting again would spend alpha twice.
    """
    mine = (set, baseline, predictions)
    taken: list[tuple[str, str, str]] = []
    known = ((one.set, one.baseline, one.predictions) for one in looks)
    for what in dict.fromkeys([*known, mine]):
        number = next((at for at, one in enumerate(taken) if _same_look(one, what)), len(taken))
        if number == len(taken):
            taken.append(what)
        elif what[1]:
            taken[number] = what
        if what == mine:
            break
    return number + 1


def _same_look(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    return (one[0], one[2]) == (other[0], other[2]) and (
        one[1] == other[1] or "" in (one[1], other[1])
    )


def packed(keys: Sequence[bytes]) -> str:
    """Keys of 8 bytes each as text."""
    assert all(len(key) == KEY_BYTES for key in keys)
    return base64.b64encode(b"".join(keys)).decode()


def unpacked(text: str) -> list[bytes]:
    content = base64.b64decode(text, validate=True)
    if len(content) % KEY_BYTES:
        raise ValueError("units is cut off")
    return [content[i : i + KEY_BYTES] for i in range(0, len(content), KEY_BYTES)]


def _parsed(content: bytes, path: Path) -> tuple[list[Look], int]:
    """The looks, and where the file's whole lines end.

    A last line without its newline that begins like a look and is no JSON was being written when
    its process was killed: that look was never reported, and the next one takes its place.
    """
    looks: list[Look] = []
    end = 0
    for number, line in enumerate(io.BytesIO(content), start=1):
        try:
            looks.append(_look(line))
        except ValueError as error:
            if not line.endswith(b"\n") and _is_begun(line, alone=number == 1):
                break
            raise ResultError(
                f"damaged: {error}; restore the file, or move it away to count from 1 again",
                f"{path}:{number}",
            ) from None
        end += len(line)
    return looks, end


def _is_begun(line: bytes, *, alone: bool) -> bool:
    """A look that was cut off, and of a file with no other line certainly so."""
    begins = any(line.startswith(one) or (one.startswith(line) and not alone) for one in BEGINS)
    return begins and not _is_json(line)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True


def _look(line: bytes) -> Look:
    """ValueError where the line is none."""
    record = msgspec.json.decode(line)
    if not isinstance(record, dict):
        raise ValueError("no JSON object")
    if record.pop("schema", None) != SCHEMA:
        raise ValueError(f"not of schema {SCHEMA}, which this evalkit reads")
    if lacking := [key for key in WANTED if key not in record]:
        raise ValueError(f"lacks {', '.join(lacking)}")
    look = msgspec.convert(record, Look, strict=True)
    if look.number < 1 or not 0 < look.alpha < 1 or look.wealth < 0:
        raise ValueError("number, alpha or wealth is out of range")
    unpacked(look.units)
    if look.state is not None:
        EProcess.from_state(look.state)
    return look


def _lock(stream: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    with suppress(OSError):  # some network file systems have no locks
        fcntl.flock(stream, fcntl.LOCK_EX)
