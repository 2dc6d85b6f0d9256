"""Ctrl-C, kept from where it would do harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))


class Terminated(SystemExit):
    """SIGTERM or SIGHUP, told from a metric's own sys.exit()."""


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """An interrupt waits until the end; processes started inside never see one."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread().name != "MainThread":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *ENDING})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """What would end us waits until the end; unlike a blocked signal, no program inherits this."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    numbers = (signal.SIGINT, *ENDING)
    before = {one: signal.signal(one, lambda number, _: caught.append(number)) for one in numbers}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
        for number in caught[:1]:
            signal.raise_signal(number)
