"""What tests share: the data that is not committed, and the real command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Real data that may not be committed: EVALKIT_TEST_DATA, default ../shared/data."""
    folder = Path(os.environ.get("EVALKIT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"EVALKIT_TEST_DATA: no folder {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["EVALKIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _heed_interrupts() -> None:
    """What a shell puts into the background is deaf to Ctrl-C, and so would be our children."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def evalkit_command(tmp_path: Path) -> Command:
    """Run `python -m evalkit …` in an empty folder, from the checkout that is tested."""

    def run(*arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}  # type: ignore[dict-item]
        settings: dict[str, object] = {"cwd": tmp_path, "timeout": 300, **more}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [sys.executable, "-m", "evalkit", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            **settings,  # type: ignore[call-overload]
        )
        return done

    return run
