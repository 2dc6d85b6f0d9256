"""`evalkit results list`, `show`, `diff`, `prune`: by filter, and every bad input in one line."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

import evalkit
from evalkit.errors import EvalkitError
from evalkit.report.results import difference, results_list
from evalkit.results import load, places
from evalkit.results.store import Filters, find, locate, named
from evalkit.verbs.leaderboard import Ranking, leaderboard
from evalkit.verbs.results import Prune, diff_results, list_results, prune_results
from tests.conftest import Command
from tests.results.stored import TEXTS, version

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def store(
    folder: Path, system: str, *, set: str = "s", days: int = 0, longer: bool = False, **tags: str
) -> Path:
    """A result that is so many days old."""
    made = evalkit.score(
        [f"{one} {one}" for one in TEXTS] if longer else TEXTS,
        TEXTS,
        ["chrf"],
        set=set,
        system=system,
        resamples=200,
    )
    started = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return replace(made, run={"schema": 1, "started": started, "tags": tags}).save(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "results"
    store(place, "old", days=40, lr="1e-3")
    store(place, "new", days=1, lr="1e-4", longer=True)
    store(place, "old", set="other", days=3)
    return place


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (Filters(), ["other/old", "s/old", "s/new"]),
        (Filters(set="s"), ["s/old", "s/new"]),
        (Filters(set="o*"), ["other/old"]),
        (Filters(systems=("new",)), ["s/new"]),
        (Filters(systems=("new", "old")), ["other/old", "s/old", "s/new"]),
        (Filters(tags=(("lr", "1e-4"),)), ["s/new"]),
        (Filters(tags=(("lr", "*"),)), ["s/old", "s/new"]),
        (Filters(metric="chrf", set="other"), ["other/old"]),
        (Filters(protocol="trans*"), ["other/old", "s/old", "s/new"]),
    ],
)
def test_filters(folder: Path, filters: Filters, names: list[str]) -> None:
    found = list_results([str(folder)], filters)
    assert [f"{one['set']}/{one['system']}" for one in found["results"]] == names


def test_the_list_of_a_set_folder_of_one_result_and_of_several_folders(
    folder: Path, tmp_path: Path
) -> None:
    place = store(tmp_path / "more", "third")
    for given, count in (([folder / "s"], 2), ([place], 1), ([folder, tmp_path / "more"], 4)):
        assert len(find([str(one) for one in given], Filters()).results) == count
    assert len(find([str(folder), str(folder)], Filters()).results) == 3


def test_list_says_the_headline_its_interval_and_the_tags(
    folder: Path, evalkit_command: Command
) -> None:
    done = evalkit_command("results", "list")
    assert done.returncode == 0, done.stderr
    bounds = load(folder / "s" / "new").scores[0]["interval"]
    (line,) = [line for line in done.stdout.splitlines() if "lr=1e-4" in line]
    assert f"[{bounds['low']:.2f}, {bounds['high']:.2f}]" in line
    assert "2026-02-28 00:00" in line
    document = json.loads(evalkit_command("results", "list", "--json").stdout)
    assert (document["schema"], document["kind"], document["damaged"]) == (1, "results", [])
    assert document["results"][2]["headline"] == load(folder / "s" / "new").scores[0]


@pytest.mark.parametrize(
    "verb", ["list", "show s/new", "diff s/new s/old", "leaderboard --set s", "prune"]
)
def test_quiet_says_nothing_on_stderr(folder: Path, evalkit_command: Command, verb: str) -> None:
    done = evalkit_command("results", *verb.split(), "-q")
    assert (done.returncode, done.stderr) == (0, "")


def test_damaged_results_are_said_and_the_others_listed(
    folder: Path, evalkit_command: Command
) -> None:
    (folder / "s" / "new" / "result.json").write_text("{")
    (folder / "other" / "old" / "result.json").unlink()
    done = evalkit_command("results", "list")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 2
    assert "s/new/result.json: not valid JSON" in done.stderr
    assert "other/old/result.json: no result here" in done.stderr
    document = json.loads(evalkit_command("results", "list", "--json").stdout)
    assert [len(document[key]) for key in ("results", "damaged")] == [1, 2]


def test_show_holds_everything(folder: Path, evalkit_command: Command) -> None:
    done = evalkit_command("results", "show", "new")
    assert done.returncode == 0, done.stderr
    for word in ("chrf ↑", "lr 1e-4", "seed 12345", "predictions", "2026-02-28"):
        assert word in done.stdout
    document = json.loads(evalkit_command("results", "show", "s/new", "--json").stdout)
    stored = load(folder / "s" / "new")
    assert (document["result"], document["run"]) == (stored.document, stored.run)


def test_diff_names_what_differs_and_every_value(folder: Path, evalkit_command: Command) -> None:
    found = diff_results(("s/old", "new"), [str(folder)])
    facts = {one["name"] for one in found["facts"]}
    assert {"system", "inputs.predictions", "tags.lr", "started"} <= facts
    assert not {"options.seed", "signature.chrf", "inputs.references"} & facts
    (value,) = found["values"]
    stored = [load(folder / "s" / name).value("chrf") for name in ("old", "new")]
    assert [value["a"], value["b"]] == stored
    assert value["difference"] == stored[1] - stored[0]
    assert found["examples"]["other_prediction"]["count"] == len(TEXTS)
    done = evalkit_command("results", "diff", "s/old", "new")
    assert done.returncode == 0, done.stderr
    assert "evalkit compare results/s/old results/s/new" in done.stderr


def test_diff_names_files_as_a_reader_does(tmp_path: Path, evalkit_command: Command) -> None:
    for system, word in (("one", "a"), ("two", "b")):
        (tmp_path / system).mkdir()
        (tmp_path / system / "p.txt").write_text(f"{word} x\n" * 9)
        for refs in ("r/refs.txt", "q/refs.txt"):
            (tmp_path / refs).parent.mkdir(exist_ok=True)
            (tmp_path / refs).write_text("a x\n" * 9)
        files = (f"{system}={tmp_path}/{system}/p.txt", "-r", "r/refs.txt", "-r", "q/refs.txt")
        assert evalkit_command("score", *files, "-m", "chrf").returncode == 0
    found = diff_results(("one", "two"), [str(tmp_path / "results")])
    facts = {one["name"]: (one["a"], one["b"]) for one in found["facts"]}
    assert {name for name in facts if "file" in name} == {"file p.txt"}
    assert None not in facts["file p.txt"]
    screen = Console(width=80, file=io.StringIO(), highlight=False)
    screen.print(difference(found, 80))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert f" file p.txt\n   A  {facts['file p.txt'][0]}\n" in printed


def test_diff_of_other_metrics_hides_none(tmp_path: Path) -> None:
    places = [version(number).save(tmp_path / str(number)) for number in (0, 1)]
    found = diff_results([str(place) for place in places], [])
    sides = {one["label"]: (one["a"] is None, one["b"] is None) for one in found["values"]}
    assert sides == {"exact_match": (False, False), "chrf": (False, True), "ter": (True, False)}


def test_prune_says_what_would_go_and_removes_only_with_yes(
    folder: Path, evalkit_command: Command
) -> None:
    done = evalkit_command("results", "prune", "--tag", "lr=1e-3")
    assert done.returncode == 0, done.stderr
    assert "1 result would be removed; --yes removes for good" in done.stderr
    assert (folder / "s" / "old").is_dir()
    done = evalkit_command("results", "prune", "--tag", "lr=1e-3", "--yes")
    assert "1 result removed" in done.stderr
    assert not (folder / "s" / "old").exists()
    assert (folder / "s" / "new").is_dir()


@pytest.mark.parametrize(
    ("filters", "asked", "gone"),
    [
        (Filters(), Prune(older_than="30d", now=NOW), ["s/old"]),
        (Filters(), Prune(older_than="12h", now=NOW), ["other/old", "s/new", "s/old"]),
        (Filters(systems=("old",)), Prune(older_than="2d", now=NOW), ["other/old", "s/old"]),
        (Filters(), Prune(keep=1, now=NOW), []),
        (Filters(set="s"), Prune(keep=0, now=NOW), ["s/new", "s/old"]),
        (Filters(), Prune(now=NOW), []),
    ],
)
def test_prune_chooses(folder: Path, filters: Filters, asked: Prune, gone: list[str]) -> None:
    before = names(folder)
    found = prune_results([str(folder)], filters, asked)
    assert sorted(f"{one['set']}/{one['system']}" for one in found["results"]) == gone
    assert names(folder) == before
    prune_results([str(folder)], filters, replace(asked, yes=True))
    assert names(folder) == sorted(set(before) - set(gone))


def names(folder: Path) -> list[str]:
    return sorted(str(one.parent.relative_to(folder)) for one in folder.glob("*/*/result.json"))


def test_prune_keeps_the_newest_of_several_folders(tmp_path: Path) -> None:
    for name, days in (("a", 9), ("b", 2), ("c", 5)):
        store(tmp_path / name, "model", days=days)
    folders = [str(tmp_path / name) for name in "abc"]
    found = prune_results(folders, Filters(), Prune(keep=1, now=NOW))
    assert [one["path"] for one in found["results"]] == [
        str(tmp_path / name / "s" / "model") for name in "ac"
    ]


def test_prune_removes_leftovers_and_the_damaged(folder: Path) -> None:
    (folder / "s" / ".new.0123abcd" / "new").mkdir(parents=True)
    (folder / "other" / "old" / "result.json").write_text("{")
    found = prune_results([str(folder)], Filters(), Prune())
    assert found["leftovers"] == [str(folder / "s" / ".new.0123abcd")]
    prune_results([str(folder)], Filters(), Prune(yes=True))
    assert not (folder / "s" / ".new.0123abcd").exists()
    assert (folder / "other" / "old").exists()
    found = prune_results([str(folder)], Filters(), Prune(damaged=True, yes=True))
    assert (len(found["results"]), len(found["damaged"])) == (0, 1)
    assert names(folder) == ["s/new", "s/old"]
    assert not (folder / "other").exists()


@pytest.mark.parametrize("key", ["schema", "kind"])
def test_prune_keeps_what_another_evalkit_may_read(
    folder: Path, evalkit_command: Command, key: str
) -> None:
    changed(key, {"schema": 2, "kind": "comparison"}[key])(folder)
    (folder / "s" / "old" / "result.json").write_text("{}")
    listed = evalkit_command("results", "list", "--json")
    assert listed.returncode == 2
    found = json.loads(listed.stdout)
    places = [[Path(one["path"]).name for one in found[kind]] for kind in ("damaged", "unread")]
    assert places == [["old"], ["new"]]
    done = evalkit_command("results", "prune", "--damaged", "--yes")
    assert done.returncode == 0, done.stderr
    says = {"schema": "schema 2 is newer than this evalkit reads (1)", "kind": 'a "comparison"'}
    (line,) = [line for line in done.stderr.splitlines() if "kept: " in line]
    assert says[key] in line
    assert "1 damaged result removed" in done.stderr
    assert names(folder) == ["other/old", "s/new"]
    with pytest.raises(EvalkitError, match="mislead: score it again, leave it out with --system"):
        leaderboard([str(folder)], Filters(set="s"), Ranking())


def test_prune_keeps_what_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails, or a file of another user."""
    read = places.read

    def failing(place: str) -> bytes:
        if "new" in place:
            raise PermissionError(13, "Permission denied")
        return read(place)

    monkeypatch.setattr(places, "read", failing)
    found = prune_results([str(folder)], Filters(), Prune(damaged=True, yes=True))
    assert (found["damaged"], len(found["unread"])) == ([], 1)
    assert "cannot be read: Permission denied" in found["unread"][0]["reason"]
    assert len(names(folder)) == 3


def test_a_path_counts_before_a_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = store(tmp_path / "mm", "new", set="t")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()  # holds no result, and hides none
    for given, found in (
        ("new", "results/s/new"),
        ("s/old", "results/s/old"),
        ("mm/t/new", "mm/t/new"),
        ("mm/t/new/", "mm/t/new"),
        ("./mm/t", "mm/t/new"),
        (str(elsewhere), str(elsewhere)),
        ("mm/t/new/result.json", "mm/t/new/result.json"),
    ):
        assert locate(given) == found
    elsewhere.rename(tmp_path / "old")
    assert locate("old") == "old"  # although two results are called so
    assert named("new") == "results/s/new"
    assert named("nwe") is None
    with pytest.raises(EvalkitError, match="could be any of results/other/old, results/s/old"):
        named("old")
    with pytest.raises(EvalkitError, match="no such result"):
        locate("s/new", ["nowhere"])
    values = diff_results(("s/new", str(tmp_path / "old")), ["results"])["values"]
    assert len(values) == 1


@pytest.mark.parametrize("width", [80, 60])
def test_narrow_terminals_break_no_value(tmp_path: Path, width: int) -> None:
    for system in ("Lead-3", "T5"):
        store(
            tmp_path,
            system,
            set="translation-c3cd749c",
            longer=True,
            rate="1e-4",
            schedule="warm-up-linear",
        )
    store(tmp_path, "a" * 60, set="another", longer=True)
    rows = list_results([str(tmp_path)], Filters())["results"]
    screen = Console(width=width, file=io.StringIO(), highlight=False)
    screen.print(results_list(rows, width))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    lines = printed.splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    bounds = rows[-1]["headline"]["interval"]
    value = f"chrf {rows[-1]['headline']['value']:.2f} [{bounds['low']:.2f}, {bounds['high']:.2f}]"
    for system in ("Lead-3", "T5"):
        (line,) = [line for line in lines if f" {system} " in line]
        assert value in line
        assert "2026-03-01 00:00" in line
    titles = [line.strip() for line in lines]
    assert (titles.count("translation-c3cd749c"), titles.count("another")) == (1, 1)
    (said,) = re.findall(r"not shown, for want of room: (.*) \(--json has all\)", " ".join(titles))
    assert {"protocol", "tags"} <= {*said.split(", ")}
    folded = [word for line in lines for word in line.split()[:1] if {*word} == {"a"}]
    assert "".join(folded) == "a" * 60


def test_prune_removes_nothing_where_something_else_lies_in_a_result(folder: Path) -> None:
    (folder / "s" / "new" / "thesis.tex").write_text("years of work")
    with pytest.raises(EvalkitError, match=r"thesis\.tex, which is no part of a result"):
        prune_results([str(folder)], Filters(set="s"), Prune(yes=True))
    assert len(names(folder)) == 3


Prepare = Callable[[Path], object]


def cut(name: str) -> Prepare:
    def prepare(folder: Path) -> None:
        place = folder / "s" / "new" / name
        place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])

    return prepare


def put(name: str, content: bytes) -> Prepare:
    return lambda folder: (folder / "s" / "new" / name).write_bytes(content)


def changed(key: str, value: object) -> Prepare:
    def prepare(folder: Path) -> None:
        place = folder / "s" / "new" / "result.json"
        document = {**json.loads(place.read_bytes()), key: value}
        place.write_text(json.dumps(document))

    return prepare


def nothing(folder: Path) -> None:
    del folder


SHOW = "show s/new"


@pytest.mark.parametrize(
    ("prepare", "command", "says"),
    [
        (nothing, "list --in nowhere", "no such folder"),
        (nothing, "list --in ..", "no results here"),
        (nothing, "list --set t", 'no result has --set t; did you mean "s"|known: other, s'),
        (nothing, "list --protocol x", "no result has --protocol x"),
        (nothing, "list --system nwe", 'did you mean "new"'),
        (nothing, "list --metric blue", "no result has --metric blue; known: chrf"),
        (nothing, "list --tag lr=2", "no result has --tag lr=2"),
        (nothing, "list --tag lr", "a tag is NAME=VALUE"),
        (nothing, "list --set other --tag lr=1e-4", "none of 3 results here matches all"),
        (nothing, "show nwe", 'no such result; did you mean "new"'),
        (nothing, "show old", "could be any of results/other/old, results/s/old"),
        (nothing, "show results", "holds 3 results; name one"),
        (nothing, "show results/t/old", 'did you mean "results/s/old"'),
        (nothing, "show nowhere/s/old", "no such result"),
        (nothing, "diff s/old empty", "empty: holds no result"),
        (nothing, "prune --older-than month", "an age is a number and m, h, d or w"),
        (nothing, "prune --keep -1", "must not be negative"),
        (nothing, "prune --damaged --keep 1", "name it alone"),
        (nothing, "prune --in nowhere --yes", "cannot be read"),
        (nothing, "prune --in memory://x --yes", "only results in local folders"),
        (nothing, "list --in memory://nowhere", "cannot be read as a folder of results"),
        (nothing, "list --in nosuch://x", 'no file system is called "nosuch"'),
        (cut("result.json"), SHOW, "not valid JSON"),
        (cut("run.json"), SHOW, "run.json: damaged"),
        (cut("tables/chrf.npz"), SHOW, "chrf.npz: not a table, or damaged"),
        (cut("examples.jsonl.gz"), SHOW, "examples.jsonl.gz: damaged"),
        (put("examples.jsonl.gz", gzip.compress(b"[]\n")), SHOW, "examples.jsonl.gz: damaged"),
        (put("run.json", b"[]"), SHOW, "one JSON object is wanted"),
        (put("result.json", b"\xff\xfe"), SHOW, "result.json: not valid"),
        (changed("schema", 2), SHOW, r"schema 2 is newer than this evalkit reads \(1\)"),
        (changed("schema", 2), "diff s/new s/old", "use the evalkit that wrote it"),
        (changed("schema", "x"), SHOW, "schema 'x' is not the one read here, 1"),
        (changed("kind", "comparison"), SHOW, 'holds a "comparison"'),
        (changed("scores", [{"metric": "chrf"}]), SHOW, "damaged: .*missing required field"),
        (changed("scores", 3), SHOW, "damaged"),
        (changed("system", None), SHOW, "damaged"),
        (lambda folder: (folder / "s/new/tables/chrf.npz").unlink(), SHOW, "no table here"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    folder: Path, evalkit_command: Command, prepare: Prepare, command: str, says: str
) -> None:
    (folder.parent / "empty").mkdir()
    prepare(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    where = folder.parent / "empty" if "--in .." in command else folder.parent
    words = ["." if word == ".." else word for word in command.split()]
    done = evalkit_command("results", *words, cwd=where)
    assert done.returncode == 2, done.stderr
    assert re.search(says, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_fsspec_url_is_read_like_a_folder(folder: Path, evalkit_command: Command) -> None:
    url = folder.as_uri()
    done = evalkit_command("results", "list", "--in", url, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["results"]) == 3
    found = evalkit.load(f"{url}/s/new")
    assert found.to_json() == load(folder / "s" / "new").to_json()
    assert found.tables.keys() == {"chrf"}
    assert evalkit_command("results", "leaderboard", "--in", url, "--set", "s").returncode == 0


def test_a_thousand_results_are_listed_in_about_a_second(tmp_path: Path) -> None:
    """Processor time, so that other work on the machine counts less."""
    place = store(tmp_path / "one", "model")
    document, run = ((place / name).read_text() for name in ("result.json", "run.json"))
    for number in range(1000):
        folder = tmp_path / "many" / f"set-{number % 10}" / f"model-{number}"
        folder.mkdir(parents=True)
        own = json.loads(document) | {"system": folder.name, "set": folder.parent.name}
        (folder / "result.json").write_text(json.dumps(own))
        (folder / "run.json").write_text(run)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        found = list_results([str(tmp_path / "many")], Filters())
        seconds.append(time.process_time() - started)
    assert len(found["results"]) == 1000
    assert min(seconds) < 1
