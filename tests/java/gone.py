"""Whether a process is gone."""

from __future__ import annotations

import subprocess
import time


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Ended, or ended and not yet waited for by whoever inherited it, within `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True).stdout
        if state.strip()[:1] in (b"", b"Z"):
            return True
        time.sleep(0.05)
    return False
