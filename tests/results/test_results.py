"""`evalkit results list`, `show`, `diff`, `prune`: by filter, and every bad input in one line."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import evalkit
from evalkit.errors import EvalkitError
from evalkit.results import load
from evalkit.results.store import Filters, find
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
        (nothing, "prune --older-than month", "an age is a number and m, h, d or w"),
        (nothing, "prune --keep -1", "must not be negative"),
        (nothing, "prune --damaged --keep 1", "name it alone"),
        (nothing, "prune --in nowhere --yes", "cannot be read"),
        (nothing, "prune --in memory://x --yes", "only results in local folders"),
        (nothing, "list --in memory://nowhere", "cannot be read as a folder of results"),
        (nothing, "list --in nosuch://x", "Protocol not known"),
        (cut("result.json"), SHOW, "not valid JSON"),
        (cut("run.json"), SHOW, "run.json: damaged"),
        (cut("tables/chrf.npz"), SHOW, "chrf.npz: not a table, or damaged"),
        (cut("examples.jsonl.gz"), SHOW, "examples.jsonl.gz: damaged"),
        (put("examples.jsonl.gz", gzip.compress(b"[]\n")), SHOW, "examples.jsonl.gz: damaged"),
        (put("run.json", b"[]"), SHOW, "one JSON object is wanted"),
        (put("result.json", b"\xff\xfe"), SHOW, "result.json: not valid"),
        (changed("schema", 2), SHOW, "schema 2, but this evalkit reads 1"),
        (changed("schema", 2), "diff s/new s/old", "use the evalkit that wrote it"),
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
    import re

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
