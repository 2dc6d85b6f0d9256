"""Interrupts, failing disks, damaged caches and metrics that fail: nothing half-written or lost."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import evalkit
from evalkit import catalogue
from evalkit.errors import ResultError
from evalkit.results import Result, folder
from evalkit.results.folder import table_file
from evalkit.table import Table
from evalkit.tables import cache as caches
from evalkit.tables.build import Builder
from evalkit.tables.cache import Cache
from tests.conftest import ROOT, Command
from tests.corpora import text_system

TEXTS = ["a b c", "d e f g", "h", "i j", "k l m", "n o", "p", "q r", "s t", "u"]

SLOW_METRIC = """
import time
from dataclasses import dataclass
from typing import ClassVar
from evalkit.metric import MeanMetric, Output

@dataclass(frozen=True)
class Slow(MeanMetric):
    outputs: ClassVar = (Output("slow"),)
    reads: ClassVar = "text"
    reference: ClassVar = "a metric that never ends"

    def rows(self, examples, fitted):
        for _ in examples:
            print("started\\n", end="", flush=True)
            time.sleep(600)
            yield 1, 1
"""


def write_texts(folder: Path) -> tuple[str, ...]:
    (folder / "preds.txt").write_text("\n".join(TEXTS) + "\n")
    (folder / "refs.txt").write_text("\n".join(TEXTS) + "\n")
    return "score", "preds.txt", "--refs", "refs.txt"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, workers: int) -> None:
    command = write_texts(tmp_path)
    (tmp_path / "slow.py").write_text(SLOW_METRIC)
    process = subprocess.Popen(
        [sys.executable, "-m", "evalkit", *command, "-m", "slow.py", "--workers", str(workers)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("started")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "interrupted; nothing was written" in errors
    assert not (tmp_path / "results").exists()
    deadline = time.monotonic() + 10
    while (left := alive(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def alive(group: int) -> list[str]:
    """The processes of a group that still run (a zombie does not)."""
    if shutil.which("ps") is None:
        pytest.skip("no ps here to see which processes are left")
    listed = subprocess.run(
        ["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [row[2] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def saved(folder: Path, system: str = "system") -> Result:
    result = evalkit.score(TEXTS, TEXTS, ["exact_match"], set="s", system=system)
    result.save(folder)
    return result


def test_a_disk_that_fills_up_keeps_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = saved(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Table, "save", fail)
    other = evalkit.score(TEXTS[::-1], TEXTS, ["exact_match"], set="s")
    with pytest.raises(ResultError, match="No space left"):
        other.save(tmp_path, replace=True)
    assert evalkit.load(tmp_path / "s" / "system").to_json() == first.to_json()
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["system"]


def test_a_failure_between_the_two_renames_restores_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = saved(tmp_path)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    other = evalkit.score(TEXTS[::-1], TEXTS, ["exact_match"], set="s")
    with pytest.raises(KeyboardInterrupt):
        other.save(tmp_path, replace=True)
    assert evalkit.load(tmp_path / "s" / "system").to_json() == first.to_json()


def test_the_same_inputs_rewrite_the_same_bytes(tmp_path: Path) -> None:
    saved(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    saved(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_inputs_do_not_overwrite(tmp_path: Path) -> None:
    saved(tmp_path)
    other = evalkit.score(TEXTS[::-1], TEXTS, ["exact_match"], set="s")
    with pytest.raises(ResultError, match="other predictions"):
        other.save(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 2}', b"[]"])
def test_a_result_that_cannot_be_read_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(ResultError, match=r"result\.json"):
        evalkit.load(tmp_path)


def test_a_damaged_table_says_so(tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / "s" / "system" / "tables" / "exact_match.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ResultError, match="damaged"):
        evalkit.load(tmp_path / "s" / "system")


def build(cache: Cache) -> tuple[Table, int]:
    system = text_system(20, 1)
    metric = catalogue.metric("bleu")
    fitted = metric.fit([example.references for example in system.examples])
    builder = Builder(cache=cache)
    return builder.table(metric, system, fitted, system.references_digest), builder.hits


def test_a_damaged_cache_entry_is_recomputed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first, hits = build(cache)
    assert hits == 0
    again, hits = build(cache)
    assert hits == 1
    assert np.array_equal(first.rows, again.rows)
    assert oct(cache.folder.stat().st_mode)[-3:] == "700"
    (entry,) = cache.folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:-100])
    again, hits = build(cache)
    assert hits == 0
    assert np.array_equal(first.rows, again.rows)


def test_the_cache_is_bounded_and_oldest_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    table, _ = build(cache)
    (entry,) = cache.folder.iterdir()
    bounded = Cache(tmp_path, limit=3 * entry.stat().st_size)
    for number in range(6):
        bounded.put(f"{number:064d}", table)
        os.utime(bounded.folder / f"{number:064d}.table", (number, number))
    kept = sorted(path.name for path in bounded.folder.iterdir())
    assert len(kept) == 3
    assert f"{5:064d}.table" in kept


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    _, hits = build(Cache(blocked))
    assert hits == 0


def own_metric(body: str) -> str:
    return SLOW_METRIC.partition("        for _ in examples")[0] + body


def test_a_metric_that_fails_names_its_line(tmp_path: Path, evalkit_command: Command) -> None:
    command = write_texts(tmp_path)
    body = "        for example in examples:\n            yield 1 / 0, 1\n"
    (tmp_path / "bad.py").write_text(own_metric(body))
    line = own_metric(body).splitlines().index("            yield 1 / 0, 1") + 1
    done = evalkit_command(*command, "-m", "./bad.py", "--workers", "1")
    assert done.returncode == 2
    assert f"bad.py:{line}: bad: ZeroDivisionError" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("float('nan'), 1", "not finite"),
        ("'x', 1", "not finite"),
        ("(1, 2), 1", "inhomogeneous"),
    ],
)
def test_a_metric_that_gives_no_numbers_is_refused(
    tmp_path: Path, evalkit_command: Command, row: str, says: str
) -> None:
    command = write_texts(tmp_path)
    (tmp_path / "bad.py").write_text(
        own_metric(f"        for example in examples:\n            yield {row}\n")
    )
    done = evalkit_command(*command, "-m", "./bad.py")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_metric_that_cannot_run_is_unavailable_never_a_number(
    tmp_path: Path, evalkit_command: Command
) -> None:
    command = write_texts(tmp_path)
    body = (
        "        from evalkit.errors import UnavailableError\n"
        "        raise UnavailableError('its model is not here; fetch it with: fetch-model')\n"
    )
    (tmp_path / "gone.py").write_text(own_metric(body))
    both = (*command, "-m", "exact_match", "-m", "./gone.py", "--json")
    done = evalkit_command(*both)
    assert done.returncode == 0, done.stderr
    _, gone = json.loads(done.stdout)["results"][0]["scores"]
    assert (gone["status"], gone["value"], gone["interval"]) == ("unavailable", None, None)
    assert "fetch-model" in gone["reason"]
    assert "fetch-model" in done.stderr
    done = evalkit_command(*both, "--require", "gone")
    assert done.returncode == 2
    done = evalkit_command(*command, "-m", "./gone.py")
    assert done.returncode == 2
    assert "no metric can run" in done.stderr


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return sums[:, 5:6]", "values of shape"),
        ("return sums[:, 0]", "values of shape"),
        ("return sums[:, 99]", "IndexError"),
        ("raise KeyError('x')", "own.py:19: own: KeyError"),
    ],
)
def test_a_from_sums_that_fails_is_the_metrics_fault(
    tmp_path: Path, evalkit_command: Command, body: str, says: str
) -> None:
    command = write_texts(tmp_path)
    (tmp_path / "own.py").write_text(
        SLOW_METRIC.partition("    def rows")[0].replace("MeanMetric", "SumMetric")
        + "    def rows(self, examples, fitted):\n"
        + "        for example in examples:\n"
        + "            yield 1, 2\n\n"
        + "    def from_sums(self, sums, scoring):\n\n"
        + f"        {body}\n"
    )
    done = evalkit_command(*command, "-m", "./own.py")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "bug" not in done.stderr


def test_every_flipped_byte_of_a_table_is_noticed_or_harmless(tmp_path: Path) -> None:
    """Loading says ResultError, never another error; the cache never gives another table."""
    cache = Cache(tmp_path)
    table, _ = build(cache)
    (entry,) = cache.folder.iterdir()
    stream = io.BytesIO()
    table.save(stream)
    content, stored = stream.getvalue(), entry.read_bytes()
    for at in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[at] ^= 0x40
        with contextlib.suppress(ResultError):
            Table.load(io.BytesIO(bytes(damaged)))
    for at in range(0, len(stored), 7):
        damaged = bytearray(stored)
        damaged[at] ^= 0x40
        entry.write_bytes(bytes(damaged))
        assert cache.get(entry.stem) is None


def test_a_cache_entry_under_another_key_is_not_taken(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    build(cache)
    (entry,) = cache.folder.iterdir()
    other = cache.folder / f"{'0' * 64}.table"
    other.write_bytes(entry.read_bytes())
    assert cache.get("0" * 64) is None


def test_clearing_the_cache_deletes_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    build(cache)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "paper.tex").write_text("mine")
    (cache.folder / "notes.txt").write_text("mine")
    assert cache.clear() > 0
    assert (tmp_path / "tables" / "paper.tex").is_file()
    assert [path.name for path in cache.folder.iterdir()] == ["notes.txt"]


def test_the_cache_key_holds_all_that_a_table_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    source = own_metric("        return ([factor, 1] for _ in examples)\n")
    source = source.replace("import time", "from evalkit_test_helper import factor")
    (tmp_path / "own.py").write_text(source)
    (tmp_path / "evalkit_test_helper.py").write_text("factor = 1\n")
    metric = catalogue.metric("./own.py")
    header = metric.header(metric.fit([]), "references")
    first = caches.key(metric, header, "predictions")
    keys = {
        first,
        caches.key(metric, header, "other predictions"),
        caches.key(metric, metric.header(metric.fit([]), "other references"), "predictions"),
        caches.key(metric, replace(header, fit="another"), "predictions"),
        caches.key(metric, replace(header, signature="another"), "predictions"),
        caches.key(metric, replace(header, parameters={"a": 1}), "predictions"),
    }
    (tmp_path / "evalkit_test_helper.py").write_text("factor = 2\n")
    keys.add(caches.key(metric, header, "predictions"))
    (tmp_path / "own.py").write_text(source + "\n# changed\n")
    keys.add(caches.key(catalogue.metric("./own.py"), header, "predictions"))
    assert len(keys) == 8
    engine = catalogue.imported_source(catalogue.source_of(type(metric)) or b"")
    assert b"class SumMetric" in engine
    assert b"factor = 2" in engine
    by_package = catalogue.imported_source(b"from evalkit import MeanMetric")
    assert b"class SumMetric" in by_package


def test_two_labels_never_share_a_table_file(tmp_path: Path) -> None:
    labels = ["a b", "a_b", "a/b", "x" * 200 + "1", "x" * 200 + "2", "chrf:beta=1", "chrf_beta=1"]
    assert len({table_file(label) for label in labels}) == len(labels)


def test_a_result_written_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process finishes between this one's check and its write."""
    other = evalkit.score(TEXTS[::-1], TEXTS, ["exact_match"], set="s")
    first = saved(tmp_path)
    with pytest.raises(ResultError, match="other predictions"):
        folder.write(tmp_path, [other])
    assert evalkit.load(tmp_path / "s" / "system").to_json() == first.to_json()
    place = tmp_path / "s" / "thesis"
    place.mkdir()
    (place / "thesis.tex").write_text("years of work")
    mine = evalkit.score(TEXTS, TEXTS, ["exact_match"], set="s", system="thesis")
    with pytest.raises(ResultError, match="is no result"):
        folder.write(tmp_path, [mine], replace=True)
    assert (place / "thesis.tex").is_file()
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["system", "thesis"]


def test_of_several_results_all_are_written_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [evalkit.score(TEXTS, TEXTS, ["ter"], set="s", system=name) for name in "ab"]
    write_files = folder._write_files

    def fail(place: Path, result: Result) -> None:
        if result.system == "b":
            raise OSError(28, "No space left on device")
        write_files(place, result)

    monkeypatch.setattr(folder, "_write_files", fail)
    with pytest.raises(ResultError, match="No space left"):
        folder.write(tmp_path, both)
    assert not list(tmp_path.rglob("*.json"))
    assert not (tmp_path / "s").exists()


def test_what_a_killed_process_moved_aside_comes_back(tmp_path: Path) -> None:
    first = saved(tmp_path)
    place = tmp_path / "s" / "system"
    aside = place.parent / ".system.0123abcd"
    aside.mkdir()
    place.rename(aside / "old")
    other = evalkit.score(TEXTS[::-1], TEXTS, ["exact_match"], set="s")
    with pytest.raises(ResultError, match="other predictions"):
        other.save(tmp_path)
    assert evalkit.load(place).to_json() == first.to_json()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_no_worker(tmp_path: Path, number: signal.Signals) -> None:
    command = write_texts(tmp_path)
    (tmp_path / "slow.py").write_text(SLOW_METRIC)
    process = subprocess.Popen(
        [sys.executable, "-m", "evalkit", *command, "-m", "slow.py", "--workers", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("started")
    process.send_signal(number)
    process.wait(30)
    deadline = time.monotonic() + 20
    while (left := alive(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert not (tmp_path / "results").exists()


def test_a_worker_that_dies_is_named(tmp_path: Path, evalkit_command: Command) -> None:
    command = write_texts(tmp_path)
    (tmp_path / "dies.py").write_text(own_metric("        import os\n        os._exit(9)\n"))
    done = evalkit_command(*command, "-m", "./dies.py", "--workers", "2")
    assert done.returncode == 2
    assert "a worker process died (out of memory?); try --workers 1" in done.stderr


def test_json_stays_one_object_whatever_a_metric_prints(
    tmp_path: Path, evalkit_command: Command
) -> None:
    command = write_texts(tmp_path)
    body = "        import os\n        print('hello')\n        os.system('echo from a child')\n"
    (tmp_path / "loud.py").write_text(
        own_metric(body + "        return ([1, 1] for _ in examples)\n")
    )
    for workers in ("1", "2"):
        done = evalkit_command(
            *command, "-m", "./loud.py", "--json", "--no-cache", "--workers", workers
        )
        assert json.loads(done.stdout)["results"]
        assert "hello" in done.stderr


def test_hostile_names_never_reach_the_terminal(tmp_path: Path, evalkit_command: Command) -> None:
    bad = "\x1b[31mEVIL\x1b]0;pwn\x07"
    rows = [{"id": i, "mt": "a", "ref": "a", "system": bad} for i in range(9)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(2):
        done = evalkit_command("score", "p.jsonl", "-m", "exact_match", "--no-save")
        assert done.returncode == 0
        assert "EVIL" in done.stdout
        assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)
    done = evalkit_command("score", "p.jsonl", "-m", "exact_match")
    assert done.returncode == 2
    assert "cannot name a folder" in done.stderr
