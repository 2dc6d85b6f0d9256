"""One fresh process: its clock, its processor time, its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Timed:
    """Seconds by the clock, seconds of processor time (children included), MiB at most."""

    wall: float
    cpu: float
    memory: float


def run(command: Sequence[str], folder: Path) -> tuple[Timed, str]:
    """One fresh process; memory is that of the largest process."""
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
        output.seek(0)
        printed = output.read().decode()
    kib = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Timed(wall, usage.ru_utime + usage.ru_stime, kib / 1024), printed
