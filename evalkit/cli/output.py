"""What goes where: one JSON object or a table on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any

from evalkit.errors import plain

SLOW = 1.0  # seconds before progress is shown


_RESERVED: list[IO[str]] = []  # the real stdout, while JSON alone may go there


@contextmanager
def json_alone() -> Iterator[None]:
    """Whatever prints meanwhile (a user's metric, a library, a worker) prints to stderr."""
    sys.stdout.flush()
    real = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(real, "w", encoding="utf-8") as stream:
        _RESERVED.append(stream)
        try:
            yield
        finally:
            _RESERVED.pop()
            sys.stdout.flush()
            stream.flush()
            os.dup2(real, 1)


def print_json(document: Any) -> None:
    from evalkit.results import encode

    stream = _RESERVED[-1] if _RESERVED else sys.stdout
    text = encode(document).decode()
    stream.write(text.replace("##[", "##\\u005b") if _in_workflow() else text)
    stream.flush()


def inert(text: str) -> str:
    """Text in which GitHub's runner, where there is one, finds no command."""
    if not _in_workflow():
        return text
    from evalkit.report import github

    return github.inert(text)


def _in_workflow() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def print_error(kind: str, message: str, where: str | None, *, as_json: bool) -> None:
    message, where = plain(message), None if where is None else plain(where)
    sys.stderr.write(inert(f"evalkit: error: {f'{where}: {message}' if where else message}\n"))
    if as_json:
        print_json({"error": {"kind": kind, "message": message, "where": where}})


class Progress(AbstractContextManager["Progress"]):
    """A bar on stderr for what takes over a second; none where stderr is not a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = sys.stderr.isatty() and not quiet
        self._started = time.monotonic()
        self._bar: Any = None
        self._task: tuple[str, Any] | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        stage = plain(stage)
        if not self._shown or time.monotonic() - self._started < SLOW:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
        if self._task is None or self._task[0] != stage:
            if self._task is not None:
                self._bar.remove_task(self._task[1])
            self._task = (stage, self._bar.add_task(stage, total=total))
        self._bar.update(self._task[1], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from evalkit.report.terminal import console

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
    )


def note(line: str) -> None:
    sys.stderr.write(inert(f"evalkit: {plain(line)}\n"))
