"""Kills at any moment, several writers, full disks: the old result or the new, never half."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit.errors import ResultError
from evalkit.results import load
from evalkit.results.pruning import asides, delete, sweep
from evalkit.results.store import Filters, find
from evalkit.results.swapping import aside_of
from tests.conftest import ROOT
from tests.results.stored import WRITER, version, which

KILLS = 100
READS = 200


class Writer:
    """A process that stores two versions in turn, as fast as it can, until it is killed."""

    def __init__(self, folder: Path) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._process = 0

    def start(self, first: int) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.write(f"{first}\n")
        self._parent.stdin.flush()
        self._process = int(self._line())

    def kill(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        assert self._line() == "ended\n"

    def _line(self) -> str:
        assert self._parent.stdout is not None
        return self._parent.stdout.readline()

    def end(self) -> None:
        self._parent.communicate()
        assert self._parent.returncode == 0


def test_a_kill_at_any_moment_leaves_the_old_result_or_the_new(tmp_path: Path) -> None:
    chance = random.Random(20)
    version(0).save(tmp_path)
    writer = Writer(tmp_path)
    seen = []
    for kill in range(KILLS):
        writer.start(kill)
        time.sleep(chance.uniform(0, 0.2))
        writer.kill()
        seen.append(which(tmp_path / "s" / "model"))
        found = find([str(tmp_path)], Filters())
        assert (len(found.results), found.unread) == (1, [])
    writer.end()
    assert min(seen.count(0), seen.count(1)) > KILLS / 10
    sweep([str(tmp_path)])
    which(tmp_path / "s" / "model")
    assert [one.name for one in (tmp_path / "s").iterdir()] == ["model"]


@pytest.mark.parametrize("steps", range(18))
def test_a_kill_after_each_single_step(tmp_path: Path, steps: int) -> None:
    """The process ends itself without a word at the n-th change of the folder."""
    version(0).save(tmp_path)
    code = f"""
import os, shutil
from pathlib import Path
from tests.results.stored import version
left = {steps}
def counted(call):
    def wrapped(*arguments, **more):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return call(*arguments, **more)
    return wrapped
made = version(1)
for name in ("rename", "mkdir", "rmdir"):
    setattr(Path, name, counted(getattr(Path, name)))
shutil.rmtree = counted(shutil.rmtree)
os.fsync = counted(os.fsync)
made.save(Path({str(tmp_path)!r}), replace=True)
os._exit(left == 0 and 9)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    place = tmp_path / "s" / "model"
    number = which(place)
    assert done.returncode == 9 or number == 1
    assert len(find([str(tmp_path)], Filters()).results) == 1
    assert number == which(place)
    version(0).save(tmp_path, replace=True)
    assert which(place) == 0
    assert [one.name for one in (tmp_path / "s").iterdir()] == ["model"]


def test_a_kill_between_the_renames_is_read_and_listed_without_a_writer(tmp_path: Path) -> None:
    version(0).save(tmp_path)
    place = tmp_path / "s" / "model"
    aside = tmp_path / "s" / ".model.0123abcd"
    (aside / "new").mkdir(parents=True)
    place.rename(aside / "old")
    assert which(place) == 0
    (one,) = find([str(tmp_path)], Filters()).results
    assert one.place == str(place)
    assert not place.exists()  # reading changes nothing
    assert asides([str(tmp_path)]) == []
    sweep([str(tmp_path)])
    assert [one.name for one in (tmp_path / "s").iterdir()] == ["model"]
    assert which(place) == 0


def test_what_is_half_deleted_never_comes_back(tmp_path: Path) -> None:
    """Killed while it deletes the old result; then the new one is removed by hand."""
    version(1).save(tmp_path)
    place = tmp_path / "s" / "model"
    gone = tmp_path / "s" / ".model.0123abcd" / "gone"
    shutil.copytree(place, gone)
    shutil.rmtree(gone / "tables")
    shutil.rmtree(place)
    with pytest.raises(ResultError, match="no result"):
        load(place)
    version(0).save(tmp_path)
    assert which(place) == 0
    assert [one.name for one in (tmp_path / "s").iterdir()] == ["model"]


def test_two_processes_write_one_folder_while_others_read(tmp_path: Path) -> None:
    version(0).save(tmp_path)
    place = tmp_path / "s" / "model"
    writers = [Writer(tmp_path) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.start(number)
    seen = [which(place) for _ in range(READS)]
    for writer in writers:
        writer.kill()
        writer.end()
    assert set(seen) == {0, 1}
    which(place)


def test_writers_of_different_systems_share_a_set(tmp_path: Path) -> None:
    """Each round the set's folder is new, so that its making and removal race as well."""
    code = """
import sys
from pathlib import Path
from tests.results.stored import version
made = version(0, sys.argv[1])
print("ready", flush=True)
for number in sys.stdin:
    made.save(Path(sys.argv[2]) / number.strip())
    print(number, end="", flush=True)
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, name, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for number in range(40):
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(f"{number}\n")
            writer.stdin.flush()
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == f"{number}\n"
        found = find([str(tmp_path / str(number))], Filters())
        assert [one.system for one in found.results] == ["a", "b"]
        assert sorted(one.name for one in (tmp_path / str(number) / "s").iterdir()) == ["a", "b"]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0


def test_a_live_writer_is_not_swept_away(tmp_path: Path) -> None:
    version(0).save(tmp_path)
    live = aside_of(tmp_path / "s" / "model")
    (live.path / "new").mkdir()
    dead = tmp_path / "s" / ".model.0123abcd"
    (dead / "new").mkdir(parents=True)
    mine = tmp_path / "s" / ".model.thesis01"
    mine.mkdir()
    notes = tmp_path / "s" / ".model.89abcdef"
    (notes / "thesis").mkdir(parents=True)
    assert asides([str(tmp_path)]) == [str(dead)]
    assert sweep([str(tmp_path)]) == [str(dead)]
    assert live.path.is_dir()
    assert mine.is_dir()
    assert notes.is_dir()
    live.drop()
    assert which(tmp_path / "s" / "model") == 0


def test_a_kill_while_a_result_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version(0).save(tmp_path)
    place = tmp_path / "s" / "model"

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            delete(str(place))
    assert not place.exists()
    with pytest.raises(ResultError, match="no result"):
        load(place)
    assert len(sweep([str(tmp_path)])) == 1
    assert not list((tmp_path / "s").iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here (that takes root)")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    version(0).save(small_disk)
    filler = small_disk / "filler"
    for left in (0, 4096, 2 * 4096, 4 * 4096):
        filler.write_bytes(b"")
        with pytest.raises(OSError), filler.open("wb", buffering=0) as stream:  # noqa: PT012
            while True:
                stream.write(b"x" * 4096)
        os.truncate(filler, max(0, filler.stat().st_size - left))
        with pytest.raises(ResultError, match="No space left"):
            version(1).save(small_disk, replace=True)
        assert which(small_disk / "s" / "model") == 0
        assert [one.name for one in (small_disk / "s").iterdir()] == ["model"]
    filler.unlink()
    version(1).save(small_disk, replace=True)
    assert which(small_disk / "s" / "model") == 1


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE in a process of its own: a write that fails in the middle of a file."""
    version(0).save(tmp_path)
    code = """
import resource, signal, sys
from pathlib import Path
from tests.results.stored import version
made = version(1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
made.save(Path(sys.argv[1]), replace=True)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot be written: File too large" in done.stderr
    assert which(tmp_path / "s" / "model") == 0
    assert [one.name for one in (tmp_path / "s").iterdir()] == ["model"]
