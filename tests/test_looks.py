"""looks.jsonl: counted once each, never lost, never half-written; damage is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evalkit.errors import ResultError
from evalkit.stats.sequential import EProcess, alpha_of_look, betting_order
from evalkit.stats.weights import unit_keys
from evalkit.verbs.looks import FILE, Bets, Look, opened, packed, read, take_look, unpacked
from tests.conftest import ROOT


def look(system: str, rule: str = "chrf not worse", number: int = 1, **more: object) -> Look:
    settings: dict[str, object] = {
        "set": "s",
        "baseline": "b",
        "predictions": f"hash of {system}",
        "system": system,
        "rule": rule,
        "number": number,
        "alpha": 0.03,
        "wealth": 1.5,
        "alarm": False,
    }
    return Look(**{**settings, **more})  # type: ignore[arg-type]


def test_looks_are_kept_in_order(tmp_path: Path) -> None:
    path = tmp_path / "set" / FILE
    assert read(path) == []
    with opened(path) as looks:
        first = looks.append(look("a"))
    with opened(path) as looks:
        second = looks.append(look('"b"\n\x1b', when="2026-01-01T00:00:00+00:00"))
        assert list(looks) == [first, second]
    assert read(path) == [first, second]
    assert first.when
    assert len(path.read_bytes().splitlines()) == 2
    assert json.loads(path.read_text().splitlines()[0])["schema"] == 1


def test_numbers_count_systems_and_not_rules_or_repetitions(tmp_path: Path) -> None:
    with opened(tmp_path / FILE) as looks:
        assert looks.number("s", "b", "hash of a") == 1
        looks.append(look("a", "first rule"))
        looks.append(look("a", "second rule"))
        assert looks.number("s", "b", "hash of a") == 1
        assert looks.number("s", "b", "hash of c") == 2
        looks.append(look("c", number=2))
        assert looks.number("s", "b", "hash of a") == 1
        assert looks.number("s", "another baseline", "hash of a") == 3
        assert looks.number("the set, grown", "b", "hash of a") == 3


def test_no_baseline_is_the_same_as_any(tmp_path: Path) -> None:
    with opened(tmp_path / FILE) as looks:
        looks.append(look("a"))
        assert looks.number("s", "", "hash of a") == 1
        looks.append(look("a", "at least", baseline=""))
        looks.append(look("c", "at least", baseline="", number=2))
        assert looks.number("s", "b", "hash of c") == 2
        looks.append(look("c", number=2))
        assert looks.number("s", "another baseline", "hash of c") == 3
        looks.append(look("c", number=3, baseline="another baseline"))
        assert looks.number("s", "", "hash of c") == 2
        assert looks.number("s", "b", "hash of c") == 2
        assert looks.number("s", "", "hash of d") == 4
        assert looks.number("the set, grown", "", "hash of a") == 4


def test_the_same_look_again_is_no_new_line(tmp_path: Path) -> None:
    with opened(tmp_path / FILE) as looks:
        first = looks.append(look("a", when="then"))
        assert looks.append(look("a", when="now", wealth=9.0)) == first
        assert looks.find("s", "b", "hash of a", "chrf not worse") == first
        assert looks.find("s", "b", "hash of a", "another rule") is None
        assert len(looks) == 1


def test_bets_are_carried_on_to_new_examples_and_start_again_after_an_alarm(tmp_path: Path) -> None:
    """A set that grows: what was bet on is remembered by name, whatever the look."""
    names = [f"{number:03d}".encode() for number in range(75)]
    differences = np.random.default_rng(1).uniform(-1, 1, 75)
    whole = EProcess.against_not_worse(margin=0.1, bound=1.0)
    for turn, end in enumerate((25, 50, 75), start=1):
        keys = [key.tobytes() for key in unit_keys(names[:end], 1, "bets")]
        with opened(tmp_path / FILE) as looks:
            process, seen = looks.carried_on("rule")
            fresh = [i for i in range(end) if keys[i] not in seen]
            assert fresh == list(range(end - 25, end))
            process = process or EProcess.against_not_worse(margin=0.1, bound=1.0)
            order = betting_order([names[i] for i in fresh], 1, "bets")
            batch = differences[np.array(fresh)[order]]
            process, whole = process.bet(batch), whole.bet(batch)
            units = packed([keys[i] for i in fresh])
            looks.append(look("a", "rule", set=f"s{turn}", state=process.state, units=units))
    with opened(tmp_path / FILE) as looks:
        process, seen = looks.carried_on("rule")
        assert (process, len(seen)) == (whole, 75)
        assert looks.carried_on("another rule") == (None, frozenset())
        looks.append(look("z", "rule", alarm=True, state=whole.state))
        assert looks.carried_on("rule") == (None, seen)


def test_each_system_at_one_set_spends_its_own_part_of_alpha(tmp_path: Path) -> None:
    """A system that is plainly worse is stopped at the tenth look too, and stays stopped."""
    names = [f"{number:03d}".encode() for number in range(400)]
    equal = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=400)
    worse = np.random.default_rng(2).choice([-1.0, 0.0, 1.0], p=[0.3, 0.6, 0.1], size=400)
    start = EProcess.against_not_worse(margin=0.02, bound=1.0)
    for turn in range(1, 11):
        differences = worse if turn == 10 else equal
        with opened(tmp_path / FILE) as looks:
            asked = look(f"commit {turn}", alpha=0.05)
            taken = take_look(looks, asked, start, Bets(differences, names, 1))
        assert taken.number == turn
        assert taken.alpha == alpha_of_look(turn, 0.05)
        assert taken.alarm == (turn == 10)
        order = betting_order(names, 1, "s")
        assert taken.wealth == start.bet(differences[order]).wealth
    with opened(tmp_path / FILE) as looks:
        again = take_look(looks, look("commit 10", alpha=0.05), start, Bets(worse, names, 1))
    assert again == taken
    assert len(read(tmp_path / FILE)) == 10


GOOD = b'{"schema":1,"set":"s","baseline":"b","predictions":"p","system":"a","rule":"r","number":1,'
GOOD += b'"alpha":0.03,"wealth":1.0,"alarm":false}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"", "damaged"),
        (b"[1]", "no JSON object"),
        (b"{}", "not of schema 1"),
        (GOOD.replace(b'"schema":1', b'"schema":2'), "not of schema 1, which this evalkit reads"),
        (GOOD.replace(b"1.0", b'"much"'), r"\$\.wealth"),
        (GOOD.replace(b"1.0", b"-1.0"), "out of range"),
        (GOOD.replace(b'"number":1', b'"number":0'), "out of range"),
        (GOOD.replace(b',"number":1', b""), "lacks number"),
        (GOOD.replace(b"}", b',"units":"AAAA"}'), "units is cut off"),
        (GOOD.replace(b"}", b',"units":"?"}'), "damaged"),
        (GOOD.replace(b"}", b',"state":{"null":"at_least"}}'), "the state needs"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / FILE
    content = GOOD + b"\n" + line + b"\n" + GOOD + b"\n"
    path.write_bytes(content)
    for attempt in (read, lambda path: opened(path).__enter__()):
        with pytest.raises(ResultError, match=message) as caught:
            attempt(path)
        assert caught.value.where == f"{path}:2"
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"notes", b"{", b'{"schema":2', b"\x89PNG", GOOD + b"\nnotes"])
def test_a_foreign_file_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(content)
    with pytest.raises(ResultError, match="damaged"):
        opened(path).__enter__()
    assert path.read_bytes() == content


def test_a_link_and_a_pipe_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(GOOD + b"\n")
    (tmp_path / "link").symlink_to(tmp_path / "own")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(ResultError, match="no regular file"):
            opened(tmp_path / name).__enter__()


@pytest.mark.parametrize("kept", range(1, len(GOOD)))
def test_a_killed_writer_leaves_the_looks_before_it(tmp_path: Path, kept: int) -> None:
    path = tmp_path / FILE
    path.write_bytes(GOOD + b"\n" + GOOD[:kept])
    assert len(read(path)) == 1
    with opened(path) as looks:
        looks.append(look("b"))
    assert [one.system for one in read(path)] == ["a", "b"]


def test_a_last_line_without_its_newline_counts(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(GOOD)
    with opened(path) as looks:
        looks.append(look("b"))
    assert [one.system for one in read(path)] == ["a", "b"]


CROWD = """
import sys
from pathlib import Path
from evalkit.verbs.looks import opened
from tests.test_looks import look
for turn in range(20):
    name = f"{sys.argv[2]}-{turn}"
    with opened(Path(sys.argv[1])) as looks:
        looks.append(look(name, number=looks.number("s", "b", f"hash of {name}")))
"""


def test_two_gates_at_once_count_every_look(tmp_path: Path) -> None:
    path = tmp_path / FILE
    crowd = [
        subprocess.Popen([sys.executable, "-c", CROWD, path, name], cwd=ROOT) for name in "abc"
    ]
    assert [one.wait(60) for one in crowd] == [0, 0, 0]
    assert [one.number for one in read(path)] == list(range(1, 61))


FULL = """
import resource, signal, sys
from pathlib import Path
from evalkit.errors import ResultError
from evalkit.verbs.looks import opened
from tests.test_looks import look
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with opened(path) as looks:
    looks.append(look("a"))
    size = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, size + 30))
    try:
        looks.append(look("b"))
    except ResultError as error:
        print(error)
    assert path.stat().st_size == size
    assert len(looks) == 1
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are POSIX's")
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE
    done = subprocess.run(
        [sys.executable, "-c", FULL, path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "the look cannot be kept: File too large" in done.stdout
    assert [one.system for one in read(path)] == ["a"]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ResultError, match="cannot be read"):
        read(tmp_path / FILE)
    with pytest.raises(ResultError, match="cannot be opened"), opened(tmp_path / FILE):
        pass


def test_keys_pack_and_unpack() -> None:
    keys = [key.tobytes() for key in unit_keys([b"1", b"2"], 1, "")]
    assert unpacked(packed(keys)) == keys
    assert packed([]) == ""
