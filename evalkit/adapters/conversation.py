"""A program that answers line by line, watched from its start to its end, never left behind."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, TypeVar

from evalkit.errors import MetricError, counted, plain
from evalkit.interrupts import interrupts_deferred

LIMIT = "EVALKIT_COMMAND_TIMEOUT"  # seconds, in the environment
DEFAULT_LIMIT = 3600.0
LONGEST = 2**16  # bytes of an answer
TAIL = 600  # characters of stderr in a message
PATIENCE = 2.0  # seconds between asking a program to end and killing it
GRACE = 1.0  # seconds in which what a program wrote arrives after its end
TICK = 0.05  # seconds
OF_OUR_PYTHON = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")

T = TypeVar("T")


def time_limit(name: str) -> float:
    """Seconds; MetricError where EVALKIT_COMMAND_TIMEOUT is not a number of them."""
    text = os.environ.get(LIMIT, str(DEFAULT_LIMIT))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise MetricError(f'{name}: {LIMIT} is a number of seconds, e.g. 7200, not "{text}"')
    return seconds


def converse(
    name: str,
    words: Sequence[str],
    lines: Sequence[bytes],
    read: Callable[[int, bytes], T],
    *,
    seconds: float,
) -> list[T]:
    """What `read(position, answer)` makes of one answer per line, in order.

    The program runs without a shell, in this folder and environment, less what points at this
    Python, in a session of its own. It is ended with all that it started as soon as there is
    nothing to wait for: MetricError (a ValueError of `read`, too few or too many answers, an exit
    status other than 0, no end after `seconds`), with the end of its stderr, or an interrupt.
    """
    with tempfile.NamedTemporaryFile(prefix="evalkit-", suffix=".stderr", delete=False) as stream:
        log = Path(stream.name)
        keep = False
        program = None
        try:
            with interrupts_deferred():  # or a program could have been started and not be known
                program = _Program(words, lines, stream)
            return program.answers(read, seconds)
        except _FailureError as failure:
            stream.flush()
            keep = bool(log.stat().st_size)
            raise MetricError(f"{name}: {failure}{_last_words(log)}") from None
        finally:
            with interrupts_deferred():
                if program is not None:
                    program.end()
                if not keep:
                    stream.close()
                    log.unlink()


class _FailureError(Exception):
    """What is wrong, without the program's own words."""


class _Program:
    """Threads write its input and read its output, so that neither side waits for the other."""

    def __init__(self, words: Sequence[str], lines: Sequence[bytes], stderr: Any) -> None:
        self._name, self._lines = words[0], lines
        self._read: SimpleQueue[bytes | None] = SimpleQueue()
        environment = {key: os.environ[key] for key in os.environ if key not in OF_OUR_PYTHON}
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise _FailureError(_why_it_does_not_start(words[0], error)) from None

        for work in (self._write, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def end(self) -> None:
        """All of its session, while its number cannot be another's: it is not yet waited for."""
        if self._process.returncode is None:
            if not self._has_ended():
                self._signal("SIGTERM")
                self._until_it_ends(time.monotonic() + PATIENCE)
            self._signal("SIGKILL")
        self._process.wait()

    def answers(self, read: Callable[[int, bytes], T], seconds: float) -> list[T]:
        deadline = time.monotonic() + seconds
        wanted = counted(len(self._lines), "example")
        found: list[T] = []
        while (line := self._next(deadline)) is not None:
            if len(found) == len(self._lines):
                raise _FailureError(f"{self._name} gave more answers than {wanted}")
            try:
                found.append(read(len(found), line))
            except ValueError as error:
                raise _FailureError(f"line {len(found) + 1} of its output: {error}") from None
        so_far = f"{self._name} gave {counted(len(found), 'answer')} for {wanted}"
        if line is None and not self._until_it_ends(deadline):
            raise _FailureError(f"{so_far} and had not ended after {seconds:g} seconds ({LIMIT})")
        if status := self._status():
            raise _FailureError(f"{so_far} and {_fate(status)}")
        if len(found) < len(self._lines):
            raise _FailureError(so_far)
        return found

    def _next(self, deadline: float) -> bytes | None:
        """The next line; None at the end of the output, of the program, or of the time."""
        ended = None
        while True:
            now = time.monotonic()
            try:
                return self._read.get(timeout=max(0.0, min(TICK, deadline - now)))
            except Empty:
                if ended is None and self._has_ended():
                    ended = now  # what it started may hold its output open for ever
                if now > deadline or (ended is not None and now > ended + GRACE):
                    return None

    def _until_it_ends(self, deadline: float) -> bool:
        while not self._has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(TICK / 5)
        return True

    def _has_ended(self) -> bool:
        """Where the system can tell, without waiting for it, which would free its number."""
        if self._process.returncode is not None or not hasattr(os, "waitid"):
            return self._process.poll() is not None
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, how) is not None

    def _status(self) -> int:
        """Of a program that has ended: what it left behind is killed, then it is waited for."""
        if self._process.returncode is None:
            self._signal("SIGKILL")
        return self._process.wait()

    def _signal(self, name: str) -> None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, getattr(signal, name))
            else:
                self._process.kill()

    def _write(self) -> None:
        stdin: IO[bytes] | None = self._process.stdin
        assert stdin is not None
        with suppress(OSError):  # a program may answer without reading to the end
            for line in self._lines:
                stdin.write(line)
        with suppress(OSError):
            stdin.close()

    def _listen(self) -> None:
        stdout: IO[bytes] | None = self._process.stdout
        assert stdout is not None
        with stdout, suppress(OSError):
            while line := stdout.readline(LONGEST):
                self._read.put(line)
        self._read.put(None)


def _fate(status: int) -> str:
    if status > 0:
        return f"ended with exit status {status}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"


def _why_it_does_not_start(word: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"cannot run {word}: it is gone, or the interpreter in its first line is not there"
    reason = getattr(error, "strerror", None) or error
    lacking = getattr(error, "errno", None) == errno.ENOEXEC
    hint = "; its first line must name an interpreter, e.g. #!/bin/sh" if lacking else ""
    return f"cannot run {word}: {reason}{hint}"


def _last_words(log: Path) -> str:
    """The end of stderr on one line, and where all of it is; nothing where there is none."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4 * TAIL))
        text = " ".join(stream.read().decode("utf-8", "replace").split())
    if not text:
        return ""
    shown = text if len(text) <= TAIL else f"…{text[-TAIL:]}"
    return f"; its stderr ends: {plain(shown)} (all of it: {log})"
