"""`evalkit results leaderboard`: order, clusters, forms, hostile names, what does not rank."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import evalkit
from evalkit.errors import EvalkitError
from evalkit.report import leaderboard as report
from evalkit.report import markdown
from evalkit.results.store import Filters
from evalkit.stats.randomisation import randomisation
from evalkit.verbs.leaderboard import Ranking, leaderboard
from evalkit.verbs.stored import stored_metric, units_of
from tests.conftest import ROOT, Command

EXAMPLES = 60
HOSTILE = "a_b & 50% #1 {x} $y^2~ `c` [l](javascript) @you =1+1"


def store(
    folder: Path,
    system: str,
    right: int,
    *,
    metrics: tuple[str, ...] = ("exact_match",),
    **more: Any,
) -> None:
    """A system that is right on so many examples, drawn at random."""
    chance = random.Random(f"{system} {right}")
    hits = set(chance.sample(range(EXAMPLES), right))
    references = [f"the number {i}" for i in range(EXAMPLES)]
    predictions = [one if i in hits else "wrong" for i, one in enumerate(references)]
    settings = {"set": "s", "resamples": 200, **more}
    evalkit.score(predictions, references, list(metrics), system=system, **settings).save(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "results"
    for system, right in (("weak", 5), ("good", 52), ("fine", 50), ("middle", 30)):
        store(place, system, right, metrics=("exact_match", "ter"))
    return place


def board(folder: Path, **more: Any) -> dict[str, Any]:
    return leaderboard([str(folder)], Filters(), Ranking(swaps=1000, **more))


def test_order_clusters_and_p_values(folder: Path) -> None:
    found = board(folder)
    assert [(one["rank"], one["cluster"], one["system"]) for one in found["rows"]] == [
        (1, 1, "good"),
        (2, 1, "fine"),
        (3, 2, "middle"),
        (4, 3, "weak"),
    ]
    good, middle = (evalkit.load(folder / "s" / name) for name in ("good", "middle"))
    table = good.tables["exact_match"]
    tested = randomisation(
        stored_metric(table.header),
        table,
        middle.tables["exact_match"],
        units_of(good, table),
        swaps=1000,
    )
    (pair,) = [one for one in found["pairs"] if (one["better"], one["worse"]) == ("good", "middle")]
    assert pair["p"] == tested.p[0]
    assert pair["p_adjusted"] >= pair["p"]


def test_lower_is_better_ranks_the_other_way_and_the_others_stand_beside(folder: Path) -> None:
    found = board(folder, metric="ter")
    assert [one["system"] for one in found["rows"]] == ["good", "fine", "middle", "weak"]
    values = [one["scores"][1]["value"] for one in found["rows"]]
    assert values == sorted(values)
    headings = [one.heading for one in report.grid(found).columns]
    assert headings == ["rank", "cluster", "system", "n", "ter ↓", "exact_match ↑"]


def test_equal_systems_share_a_cluster(tmp_path: Path) -> None:
    for name in "ab":
        evalkit.score(["x"] * 30, ["x"] * 30, ["exact_match"], set="s", system=name).save(tmp_path)
    found = board(tmp_path)
    assert [one["cluster"] for one in found["rows"]] == [1, 1]
    assert found["pairs"][0]["p"] == 1


def test_a_system_without_the_value_stands_last_and_is_named(folder: Path) -> None:
    store(folder, "other", 60, metrics=("ter",))
    found = board(folder)
    assert (found["rows"][-1]["system"], found["rows"][-1]["rank"]) == ("other", None)
    assert "not ranked, because the value is not there: other" in report.grid(found).notes


def test_no_test_where_none_is_asked_for(folder: Path) -> None:
    found = leaderboard([str(folder)], Filters(), Ranking(swaps=0))
    assert {one["cluster"] for one in found["rows"]} == {None}
    assert "differences not tested: not asked for" in report.grid(found).notes[0]


def test_a_metric_that_is_gone_still_ranks(folder: Path, tmp_path: Path) -> None:
    """Its file cannot be found any more, so nothing is tested, and that is said."""
    for path in (folder / "s").iterdir():
        document = json.loads((path / "result.json").read_text())
        document["scores"][0] |= {"metric": "gone", "label": "gone", "output": "gone"}
        (path / "result.json").write_text(json.dumps(document))
        table = (path / "tables" / "exact_match.npz").read_bytes()
        import numpy as np

        with np.load(io.BytesIO(table)) as stored:
            parts = dict(stored)
        header = json.loads(parts["header"].tobytes()) | {"metric": "gone", "outputs": ["gone"]}
        parts["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(path / "tables" / "gone.npz", **parts)
    found = board(folder)
    assert [one["system"] for one in found["rows"]] == ["good", "fine", "middle", "weak"]
    assert "gone" in found["test"]["reason"]
    assert {one["cluster"] for one in found["rows"]} == {None}


@pytest.mark.parametrize("width", [80, 60])
def test_a_narrow_terminal_breaks_no_value(tmp_path: Path, width: int) -> None:
    for system, right in (("good", 52), ("x" * 40, 20)):
        store(tmp_path, system, right, metrics=("exact_match", "ter", "chrf", "rouge"))
    found = leaderboard([str(tmp_path)], Filters(), Ranking(swaps=0))
    screen = Console(width=width, file=io.StringIO(), highlight=False)
    screen.print(report.table(found, width))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line.rstrip()) <= width for line in printed.splitlines())
    for row in report.grid(found).rows:
        assert all(value in printed for value in row[3:])
    for column in report.grid(found).columns[3:]:
        assert column.heading in printed
    lines = [line for line in printed.splitlines() if " good " in line]
    assert len(lines) == printed.count("rank ")
    assert len(lines) > 1


def test_csv_holds_every_digit(folder: Path, evalkit_command: Command) -> None:
    done = evalkit_command("results", "leaderboard", "--as", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["system"] for row in rows] == ["good", "fine", "middle", "weak"]
    stored = evalkit.load(folder / "s" / "good").scores[0]
    assert float(rows[0]["exact_match"]) == stored["value"]
    assert float(rows[0]["exact_match low"]) == stored["interval"]["low"]
    document = json.loads(evalkit_command("results", "leaderboard", "--json").stdout)
    assert (document["schema"], document["kind"]) == (1, "results")
    assert document["rows"][0]["scores"][0] == stored


def hostile(folder: Path) -> dict[str, Any]:
    """A board whose names no folder could have; they are stored, so they may be anything."""
    found = board(folder)
    found["rows"][0]["system"] = HOSTILE
    found["rows"][1]["system"] = "a|b\\c\nnext <script> --x"
    found["rows"][2]["system"] = "\x1b[31mred"
    return found


def test_hostile_names_in_latex(folder: Path) -> None:
    text = report.text(hostile(folder), "latex")
    body = text[text.index(r"\midrule") :]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert all(len(re.findall(r"(?<!\\)&", row)) == 5 for row in rows)
    name = rows[0].split(" & ")[2]
    assert r"a\_b \& 50\% \#1 \{x\} \$y\textasciicircum{}2\textasciitilde{}" in rows[0]
    assert not re.search(r"(?<!\\)[%#$]", name)
    assert r"a\textbar{}b\textbackslash{}c" in rows[1]
    assert "-{}-x" in rows[1]
    assert "\x1b" not in text
    assert balanced(text)


def balanced(text: str) -> bool:
    depth = 0
    for one in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if one == "{" else -1
        assert depth >= 0
    return depth == 0


def test_hostile_names_in_markdown(folder: Path) -> None:
    text = report.text(hostile(folder), "markdown")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7}
    assert r"\[l\]\(javascript\) &#64;you" in text
    assert "<script>" not in text
    assert "\x1b" not in text
    assert markdown.escaped("https://x") == "https&#58;//x"


def test_hostile_names_in_csv(folder: Path) -> None:
    found = hostile(folder)
    found["rows"][3]["system"] = '=cmd|"/c calc"!A1,2'
    rows = list(csv.DictReader(io.StringIO(report.text(found, "csv"))))
    assert rows[0]["system"] == HOSTILE
    assert rows[3]["system"] == '\'=cmd|"/c calc"!A1,2'
    assert "\n" not in rows[1]["system"]
    assert "\x1b" not in rows[2]["system"]


@pytest.mark.parametrize("form", ["table", "markdown", "latex", "csv"])
def test_hostile_names_from_the_store(tmp_path: Path, evalkit_command: Command, form: str) -> None:
    """What a folder's name may hold."""
    for system, right in (("a_b & 50% #1 {x} $y^2~", 50), ("=1+1 @you [x](y)", 20)):
        store(tmp_path / "results", system, right)
    done = evalkit_command("results", "leaderboard", "--as", form, "--swaps", "200")
    assert done.returncode == 0, done.stderr
    raw = "a_b & 50% #1 {x} $y^2~"
    assert (raw in done.stdout) == (form in ("table", "csv"))


@pytest.mark.parametrize(
    ("more", "filters", "says"),
    [
        ({"set": "t"}, Filters(), "2 sets do not rank together: s, t; choose one with --set"),
        ({"protocol": "summarization"}, Filters(), "2 protocols do not rank together"),
    ],
)
def test_what_does_not_rank_together(
    folder: Path, more: dict[str, Any], filters: Filters, says: str
) -> None:
    store(folder, "another", 40, **more)
    with pytest.raises(EvalkitError, match=says):
        leaderboard([str(folder)], filters, Ranking(swaps=200))


def test_other_references_and_ids_do_not_rank(folder: Path, tmp_path: Path) -> None:
    texts = [f"other {i}" for i in range(EXAMPLES)]
    evalkit.score(texts, texts, ["exact_match"], set="s", system="odd").save(folder)
    with pytest.raises(EvalkitError, match="different references"):
        board(folder)


def test_one_system_twice_and_damaged_results_are_errors(folder: Path, tmp_path: Path) -> None:
    store(tmp_path / "more", "good", 20)
    with pytest.raises(EvalkitError, match='two results of the system "good"'):
        leaderboard([str(folder), str(tmp_path / "more")], Filters(), Ranking())
    (folder / "s" / "good" / "result.json").write_text("{")
    with pytest.raises(EvalkitError, match="a ranking without it would mislead"):
        board(folder)
    found = leaderboard([str(folder)], Filters(systems=("fine", "weak")), Ranking(swaps=200))
    assert [one["system"] for one in found["rows"]] == ["fine", "weak"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--metric", "blue"), "no result has --metric blue; known: exact_match, ter"),
        (("--as", "word"), "--as word: no such form; known: csv, latex, markdown, table"),
        (("--as", "json"), "known: csv, latex, markdown, table (--json)"),
        (("--swaps", "7"), "too few"),
        (("--level", "95"), "the level is a share"),
        (("--correction", "bonferroni"), "no correction is called"),
        (("--system", "god"), 'did you mean "good"'),
    ],
)
def test_bad_usage(
    folder: Path, evalkit_command: Command, arguments: tuple[str, ...], says: str
) -> None:
    done = evalkit_command("results", "leaderboard", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_metric_files_that_results_name_run_only_when_trusted(
    evalkit_command: Command, tmp_path: Path
) -> None:
    source = (ROOT / "metrics" / "exact_match.py").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(f"{source}\nopen('ran', 'a').write('.')\n")
    examples = ROOT / "examples" / "summaries"
    systems = [examples / "preds" / f"{name}.jsonl" for name in ("BART", "T5")]
    evalkit_command("score", *systems, "-r", examples / "refs.jsonl", "-m", "./mine.py")
    (tmp_path / "ran").unlink()
    ranked = evalkit_command("results", "leaderboard", "--json")
    assert ranked.returncode == 0, ranked.stderr
    assert "is not in the catalogue" in json.loads(ranked.stdout)["test"]["reason"]
    assert not (tmp_path / "ran").exists()
    trusted = evalkit_command("results", "leaderboard", "--json", "--trust")
    assert json.loads(trusted.stdout)["test"]["reason"] is None
    assert (tmp_path / "ran").exists()
