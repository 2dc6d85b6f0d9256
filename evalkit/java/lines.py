"""A program that answers every line with one line: kept for many questions, replaced if it dies."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from evalkit.errors import MetricError, plain
from evalkit.interrupts import interrupts_deferred
from evalkit.java import process

WINDOW = 64  # questions sent and not yet answered; what is asked again after a death
EXCERPT = 100  # characters of a question in a message
Lines = SimpleQueue[bytes | None]  # None: no more


class _DiedError(Exception):
    """The program ended before it answered."""


@dataclass(eq=False)
class LineServer:
    """Starts `command` at the first question and keeps it until `close`, or until it is collected.

    name: who speaks in errors. hello: a question and its one right answer, asked first and again
    at the end of every batch, so that answers cannot shift unseen. Seconds: until the first
    answer, and for each later one. pids: of every program that was started, the last one last.
    """

    name: str
    command: Sequence[str | Path]
    hello: tuple[str, str]
    start_seconds: float = 180.0
    answer_seconds: float = 300.0
    pids: list[int] = field(default_factory=list, init=False)
    _child: _Child | None = field(default=None, init=False)

    def ask(self, questions: Sequence[str]) -> Iterator[str]:
        """One answer per question, in order; to be read to its end.

        A program that dies is started again once, and asked again what it left unanswered.
        MetricError where it dies twice, is silent for too long, or where answers have shifted.
        A question must be one line.
        """
        if not questions:
            return
        greeting, answer_to_greeting = self.hello
        pending = iter([*questions, greeting])
        waiting: deque[str] = deque()
        # Out of reach while it is busy: a batch that is given up takes its program with it.
        child, self._child = self._child or self._start(), None
        spare = 1
        try:
            while True:
                for question in islice(pending, WINDOW - len(waiting)):
                    waiting.append(question)
                    child.send(question)
                try:
                    answer = child.answer(self.answer_seconds)
                except _DiedError:
                    if not spare:
                        raise self._failed(child, child.fate(), waiting[0]) from None
                    spare -= 1
                    child.end()
                    child = self._start()
                    for question in waiting:
                        child.send(question)
                    continue
                except Empty:
                    limit = f"gave no answer for {self.answer_seconds:,.0f} seconds"
                    raise self._failed(child, limit, waiting[0]) from None
                waiting.popleft()
                if waiting:
                    yield answer
                elif answer == answer_to_greeting:
                    return
                else:
                    raise self._failed(child, "gave more answers than there were questions")
        finally:
            if waiting:
                child.end()
            else:
                self._child = child

    def close(self) -> None:
        """Ends the program; a later question starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _start(self) -> _Child:
        child = _Child(self.name, self.command)
        self.pids.append(child.process.pid)
        try:
            child.send(self.hello[0])
            try:
                answer = child.answer(self.start_seconds)
            except _DiedError:
                raise self._failed(child, f"{child.fate()} at its start") from None
            except Empty:
                limit = f"did not start within {self.start_seconds:,.0f} seconds"
                raise self._failed(child, limit) from None
            if answer != self.hello[1]:
                raise self._failed(child, f'greets with "{process.one_line(answer)}"')
        except BaseException:
            child.end()
            raise
        return child

    def _failed(self, child: _Child, what: str, question: str | None = None) -> MetricError:
        near = "" if question is None else f' at "{plain(question[:EXCERPT])}…"'
        return MetricError(f"{self.name}: {self.command[0]} {what}{near}{child.last_words()}")


class _Child:
    """One running program. Two threads move its lines, so that neither a full pipe nor a silent

    program can stop us: the reader empties its output at once, the writer may wait for its input,
    and we wait for answers no longer than we want to. Neither thread knows this object, so that
    losing it ends the program.
    """

    def __init__(self, name: str, command: Sequence[str | Path]) -> None:
        self._questions: Lines = SimpleQueue()
        self._answers: Lines = SimpleQueue()
        with interrupts_deferred():  # or a program could have been started and not be known
            self._folder = Path(tempfile.mkdtemp(prefix="evalkit-"))
            try:
                self.process = process.start(
                    name, command, self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            except BaseException:
                shutil.rmtree(self._folder)
                raise
            # Also runs when this object is collected, and when the interpreter exits.
            self.end = weakref.finalize(
                self, _end, self.process, self._questions, self._folder, os.getpid()
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for move, pipe, queue in (
            (_write, self.process.stdin, self._questions),
            (_read, self.process.stdout, self._answers),
        ):
            threading.Thread(target=move, args=(pipe, queue), daemon=True).start()

    def send(self, question: str) -> None:
        """Never blocks."""
        self._questions.put(question.encode() + b"\n")

    def answer(self, seconds: float) -> str:
        """_DiedError where none can come any more; queue.Empty where none came in time."""
        line = self._answers.get(timeout=seconds)
        if line is None:
            raise _DiedError
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def fate(self) -> str:
        return process.fate(self.process)

    def last_words(self) -> str:
        return process.last_words(self._folder)


def _write(stdin: IO[bytes], questions: Lines) -> None:
    with suppress(OSError), stdin:  # the program died: the reader says so
        while (line := questions.get()) is not None:
            stdin.write(line)
            if questions.empty():
                stdin.flush()


def _read(stdout: IO[bytes], answers: Lines) -> None:
    with stdout:
        for line in stdout:
            if line.endswith(b"\n"):
                answers.put(line)
    answers.put(None)


def _end(
    child: subprocess.Popen[bytes],
    questions: Lines,
    folder: Path,
    owner: int,
) -> None:
    if os.getpid() != owner:  # a fork of ours does not own the program
        return
    process.end(child)
    questions.put(None)
    shutil.rmtree(folder, ignore_errors=True)
