"""Other programs, run in a session and a folder of their own, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from evalkit.errors import MetricError, plain
from evalkit.interrupts import interrupts_deferred

TAIL = 400  # characters of a program's last words in a message
PATIENCE = 1.0  # seconds in which a program that closed its output is gone, or is killed
NO_VARIABLES: Mapping[str, str] = {}

Pipe = int | IO[bytes]


def start(
    name: str,
    command: Sequence[str | Path],
    folder: Path,
    *,
    stdin: Pipe = subprocess.DEVNULL,
    stdout: Pipe = subprocess.DEVNULL,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> subprocess.Popen[bytes]:
    """Runs in `folder` and complains to `folder/stderr`; MetricError where it cannot start.

    The session of its own keeps the terminal's Ctrl-C from it: whoever starts it must `end` it.
    The locale is fixed, because the lower case of a word depends on it in Java (Turkish).
    """
    with (folder / "stderr").open("wb") as stderr:
        try:
            return subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env={**os.environ, "LC_ALL": "C.UTF-8", **variables},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise MetricError(f"{name}: cannot run {command[0]}: {error.strerror}") from None


def run(
    name: str,
    command: Sequence[str | Path],
    folder: Path,
    *,
    seconds: float,
    stdout: Pipe = subprocess.DEVNULL,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> None:
    """From start to end; MetricError where it fails or takes longer than `seconds`."""
    process = None
    try:
        with interrupts_deferred():
            process = start(name, command, folder, stdout=stdout, variables=variables)
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        message = f"{name}: {command[0]} was stopped after {seconds:,.0f} seconds"
        raise MetricError(message + last_words(folder)) from None
    finally:
        if process is not None:
            end(process)
    if process.returncode != 0:
        raise MetricError(f"{name}: {command[0]} {fate(process)}{last_words(folder)}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kills a program with all that it started, and waits until it is gone."""
    if process.returncode is not None:
        return
    with suppress(OSError):
        # Not waited for yet, so its number is still its own, even where it has ended.
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def fate(process: subprocess.Popen[bytes]) -> str:
    """How a program ended that should not have."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    status = process.returncode
    if status is None:
        return "closed its output"
    return f"was killed (signal {-status})" if status < 0 else f"ended with exit status {status}"


def last_words(folder: Path) -> str:
    """`: ` and the end of what it wrote to stderr, less Java's stack, on one line; or nothing."""
    content = (folder / "stderr").read_bytes()[-64 * TAIL :].decode("utf-8", "replace")
    lines = [line for line in content.splitlines() if not line.startswith(("\tat ", "\t... "))]
    text = one_line(" ".join(lines))
    return f": {text}" if text else ""


def one_line(text: str) -> str:
    """Its end, fit for a message."""
    line = " ".join(text.split())
    return plain(line if len(line) <= TAIL else f"…{line[-TAIL:]}")
