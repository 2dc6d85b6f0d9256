"""Stored results that someone changed, and addresses and metrics that someone else chose."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import evalkit
from evalkit.errors import ResultError
from evalkit.report import markdown, separated
from evalkit.results import load
from evalkit.results.store import Filters, find
from evalkit.table import MOST_UNPACKED, Table
from evalkit.verbs.leaderboard import Ranking, leaderboard
from evalkit.verbs.provenance import without_secrets
from tests.conftest import Command

TEXTS = [f"a b {number}" for number in range(40)]
WRONG = [*TEXTS[:10], *["x y"] * 30]
TABLE = "tables/exact_match.npz"
EXAMPLES = "examples.jsonl.gz"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    made = evalkit.score(TEXTS, TEXTS, ["exact_match"], set="s", system="good", resamples=200)
    evalkit.score(WRONG, TEXTS, ["exact_match"], set="s", system="bad", resamples=200).save(
        tmp_path
    )
    return made.save(tmp_path)


def refused(place: Path, file: str) -> str:
    with pytest.raises(ResultError) as caught:
        load(place)
    assert str(caught.value).startswith(str(place / file))
    assert "\n" not in str(caught.value)
    return caught.value.message


def with_examples(place: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    lines = gzip.decompress((place / EXAMPLES).read_bytes()).splitlines()
    rows = [json.loads(line) for line in lines]
    change(rows)
    content = "".join(json.dumps(row) + "\n" for row in rows)
    (place / EXAMPLES).write_bytes(gzip.compress(content.encode()))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[0].pop("id"),
        lambda rows: rows[0].update(id=5),
        lambda rows: rows[0].pop("fields"),
        lambda rows: rows[0].update(fields=None),
        lambda rows: rows[0].pop("cluster"),
        lambda rows: rows[0].update(cluster=5),
        lambda rows: rows[0].update(references=5),
        lambda rows: rows[0].update(scores={"exact_match": 1}),
        lambda rows: rows[0].update(id="other"),
        lambda rows: rows.pop(),
        lambda rows: rows.append(rows[0]),
        lambda rows: rows.reverse(),
    ],
)
def test_changed_examples(stored: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    with_examples(stored, change)
    refused(stored, EXAMPLES)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"id": "\xff"}', b'{"a": ' + b"[" * 100_000, b"[]\n", b"5"]
)
def test_examples_that_are_none(stored: Path, content: bytes) -> None:
    (stored / EXAMPLES).write_bytes(gzip.compress(content))
    refused(stored, EXAMPLES)


def test_examples_without_texts_are_those_of_a_baseline(stored: Path) -> None:
    with_examples(stored, lambda rows: [row.pop(key) for row in rows for key in KEPT_OUT])
    assert len(load(stored).examples) == len(TEXTS)


KEPT_OUT = ("prediction", "references", "scores")


def test_what_unpacks_without_end(stored: Path) -> None:
    blank = gzip.compress(b" " * (1 << 20), 9)
    (stored / EXAMPLES).write_bytes(blank * ((MOST_UNPACKED >> 20) + 1))
    assert "unpack to over" in refused(stored, EXAMPLES)


def test_a_table_that_unpacks_without_end(stored: Path) -> None:
    path = stored / TABLE
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("rows.npy", "w") as stream,
    ):
        for _ in range((MOST_UNPACKED >> 20) + 1):
            stream.write(bytes(1 << 20))
    assert "unpack to" in refused(stored, TABLE)


def arrays(place: Path) -> dict[str, Any]:
    with np.load(place / TABLE) as found:
        return dict(found)


def header(found: dict[str, Any], **changed: Any) -> Any:
    content = {**json.loads(found["header"].tobytes()), **changed}
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: {"rows": found["rows"].astype(complex)},
        lambda found: {"rows": found["rows"].astype(bool)},
        lambda found: {"rows": found["rows"].astype(str)},
        lambda found: {"rows": found["rows"].astype(np.float16)},
        lambda found: {"rows": found["rows"][:, :0]},
        lambda found: {"owner": found["owner"].astype(float)},
        lambda found: {"owner": found["owner"][::-1]},
        lambda found: {"offsets": -found["offsets"]},
        lambda found: {"offsets": found["offsets"][:-1], "owner": found["owner"][:-1]},
        lambda found: {"ids": np.full_like(found["ids"], 255)},
        lambda found: {"ids": found["ids"][::-1]},
        lambda found: {"ids": np.full_like(found["ids"], ord("1"))},
        lambda found: {"header": header(found, outputs=[])},
        lambda found: {"header": header(found, outputs=["a", "b"])},
        lambda found: {"header": header(found, outputs=5)},
        lambda found: {"header": header(found, parameters=5)},
        lambda found: {"header": header(found, scoring=5)},
        lambda found: {"header": header(found, signature=5)},
        lambda found: {"header": header(found, metric="bleu")},
        lambda found: {"header": np.frombuffer(b"[" * 100_000, np.uint8)},
        lambda found: {"header": np.frombuffer(b"5", np.uint8)},
    ],
)
def test_changed_tables(stored: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    found = arrays(stored)
    np.savez_compressed(stored / TABLE, **{**found, **change(found)})
    refused(stored, TABLE)


def test_ids_are_cut_between_characters() -> None:
    made = evalkit.score(["a", "b"], ["a", "b"], ["exact_match"], ids=["é", "ü"])
    table = made.tables["exact_match"]
    content = io.BytesIO()
    table.save(content)
    assert Table.load(io.BytesIO(content.getvalue())).ids == table.ids
    with np.load(io.BytesIO(content.getvalue())) as stored:
        found = dict(stored)
    found["offsets"] = np.array([0, 1, 4])
    cut = io.BytesIO()
    np.savez_compressed(cut, **found)
    with pytest.raises(ResultError, match="UTF-8"):
        Table.load(io.BytesIO(cut.getvalue()))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("inputs", {}),
        ("inputs", {"predictions": 5, "references": "", "examples": 40}),
        ("inputs", {"predictions": "", "references": "", "examples": -1}),
        ("options", {}),
        ("options", 5),
    ],
)
def test_changed_documents(stored: Path, part: str, value: Any) -> None:
    document = json.loads((stored / "result.json").read_text())
    (stored / "result.json").write_text(json.dumps({**document, part: value}))
    assert "damaged" in refused(stored, "result.json")


@pytest.mark.parametrize("name", ["result.json", "run.json"])
def test_nested_too_deeply(stored: Path, name: str) -> None:
    (stored / name).write_text('{"schema": 1, "a": ' + "[" * 100_000)
    assert "damaged" in refused(stored, name)


def rewritten(place: Path, **changed: Any) -> None:
    document = json.loads((place / "result.json").read_text())
    document["scores"][0] |= changed
    (place / "result.json").write_bytes(msgspec.json.encode(document))


def test_a_value_that_its_table_does_not_give_does_not_rank(stored: Path) -> None:
    rewritten(stored.parent / "bad", value=1.5)
    with pytest.raises(ResultError, match=r"its table gives 0\.25"):
        leaderboard([str(stored.parent)], Filters(), Ranking(swaps=200))


def test_a_direction_of_ones_own_does_not_rank(stored: Path) -> None:
    rewritten(stored.parent / "bad", higher_is_better=False)
    with pytest.raises(ResultError, match="higher is better"):
        leaderboard([str(stored.parent)], Filters(), Ranking(swaps=200))


def test_the_better_one_beats_the_worse(stored: Path) -> None:
    board = leaderboard([str(stored.parent)], Filters(), Ranking(swaps=200))
    assert [(row["system"], row["cluster"]) for row in board["rows"]] == [("good", 1), ("bad", 2)]


@pytest.mark.parametrize("how", ["command", "file", "protocol", "unrecorded protocol", "catalogue"])
def test_verify_runs_nothing_of_others(tmp_path: Path, evalkit_command: Command, how: str) -> None:
    (tmp_path / "p.txt").write_text("a\n" * 9)
    done = evalkit_command("score", "p.txt", "--refs", "p.txt", "-m", "exact_match", "--set", "s")
    assert done.returncode == 0, done.stderr
    place, ran = tmp_path / "results" / "s" / "p", tmp_path / "ran"
    program = f"command:touch {ran}"
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    (tmp_path / "own.toml").write_text(
        f'title = "own"\nreads = "text"\nmetrics = [{json.dumps(program)}]\n'
    )
    run = json.loads((place / "run.json").read_text())
    if how == "command":
        run["request"]["metrics"] = [program]
    elif how == "file":
        run["request"]["metrics"] = ["./own.py"]
    elif how == "catalogue":
        home = tmp_path / "home"
        (home / "eval" / "metrics").mkdir(parents=True)
        shutil.copy(tmp_path / "own.py", home / "eval" / "metrics" / "chosen.py")
        (home / "pyproject.toml").write_text('[tool.evalkit]\ncatalogue = ["eval"]\n')
        run |= {"folder": "home"}
    else:
        run["request"] |= {"protocol": "./own.toml", "metrics": []}
        if how == "protocol":
            run["definitions"] = {"./own.toml": None}
    (place / "run.json").write_text(json.dumps(run))
    done = evalkit_command("results", "verify", "p")
    assert done.returncode == 2
    assert "it would run" in done.stdout
    assert "--trust" in done.stdout
    if "protocol" in how or how == "command":
        shown = program if how != "unrecorded protocol" else "own.toml"
        assert shown in done.stdout.replace("\n", "")
    assert not ran.exists()
    if how in ("command", "protocol"):
        evalkit_command("results", "verify", "p", "--trust")
        assert ran.exists()


SECRET = "https://me:SECRET@127.0.0.1:9/r"


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--in", SECRET),
        ("list", "--in", SECRET, "--json"),
        ("show", SECRET),
        ("verify", SECRET),
        ("diff", SECRET, SECRET, "--json"),
        ("prune", "--in", SECRET),
        ("leaderboard", "--in", SECRET),
    ],
)
def test_a_refused_connection_is_a_service_and_shows_no_secret(
    evalkit_command: Command, arguments: tuple[str, ...]
) -> None:
    pytest.importorskip("aiohttp")
    done = evalkit_command("results", *arguments)
    assert "SECRET" not in done.stdout + done.stderr
    if arguments[0] not in ("verify", "prune"):  # a verdict per result; local folders alone
        assert done.returncode == 4, done.stdout + done.stderr
        assert "127.0.0.1:9" in done.stdout + done.stderr


def test_a_url_of_nothing_is_bad_input_and_shows_no_secret() -> None:
    with pytest.raises(ResultError) as caught:
        load("memory://me:SECRET@nowhere/x?key=SECRET")
    assert "SECRET" not in str(caught.value)
    assert caught.value.exit_code == 2
    with pytest.raises(ResultError) as caught:
        find(["memory://me:SECRET@nowhere/x"], Filters())
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://u:p@SECRET2@h",
        "see postgres://u:p@SECRET2@h/db now",
        "https://u:SE/SECRET7@h",
        "see https://u:SE/SECRET7@h/x now",
        "PASS=SECRET",
        "DB_PASS=SECRET x",
        "pwd=SECRET",
        "passphrase: SECRET",
        "--passphrase SECRET",
        ["--pwd", "SECRET"],
        ["PASS=two SECRET"],
    ],
)
def test_more_that_looks_like_a_credential(text: object) -> None:
    assert "SECRET" not in str(without_secrets(text))


@pytest.mark.parametrize(
    "text",
    ["bypass=1", "compass: 3", "passed: 3", "me@host.org", "x https://host:80/p@v1 y"],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_no_name_becomes_a_link_or_a_formula() -> None:
    for name in ("www.evil.com", "WWW.evil.com", "https://www.evil.com"):
        assert not re.search(r"www\.|://", markdown.escaped(name), re.IGNORECASE)
    assert markdown.escaped("a.b") == "a.b"
    for sign in "=+-@＝＋－＠":
        assert separated.cell(f"{sign}1+1") == f"'{sign}1+1"
