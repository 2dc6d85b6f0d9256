"""`evalkit compare` at the terminal: what it takes, prints and refuses."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import evalkit
from tests.compare.results import predictions, references, result
from tests.conftest import ROOT, Command

SUMMARIES = ROOT / "examples" / "summaries"
SYSTEMS = [SUMMARIES / "preds" / f"{name}.jsonl" for name in ("BART", "T5", "Lead-3")]
REFS = SUMMARIES / "refs.jsonl"
FEW = ("--swaps", "500", "--resamples", "500")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results/set/good, bad and alike."""
    folder = tmp_path_factory.mktemp("stored")
    for name, wrong, seed in (("good", 0.1, 1), ("bad", 0.5, 2), ("alike", 0.1, 3)):
        one = result(name, wrong, seed)
        (place,) = {one.save(folder).parent}
    return place


def test_results_and_files_give_the_same(evalkit_command: Command, tmp_path: Path) -> None:
    metrics = ("-m", "bleu", "-m", "chrf")
    scored = evalkit_command("score", *SYSTEMS, "-r", REFS, *metrics, "--set", "s")
    assert scored.returncode == 0, scored.stderr
    folders = [tmp_path / "results" / "s" / path.stem for path in SYSTEMS]
    ways = (
        folders,
        ["BART", "s/T5", "Lead-3"],
        [folder / "result.json" for folder in folders],
        [*SYSTEMS, "-r", REFS, *metrics],
        [folders[0], *SYSTEMS[1:], "-r", REFS],
    )
    found = []
    for arguments in ways:
        done = evalkit_command("compare", *arguments, *FEW, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        found.append((document["differences"], document["rankings"]))
        assert document["systems"] == ["T5", "Lead-3"]
    assert all(one == found[0] for one in found)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["s"]


def test_the_page(evalkit_command: Command, stored: Path) -> None:
    systems = [stored / name for name in ("good", "bad", "alike")]
    arguments = ("--margin", "bleu=2", "--per-example", "chrf", "--top", "2")
    done = evalkit_command("compare", *systems, *arguments, *FEW, env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    for text in (
        *("difference to good", "worse", "not shown", "p (Holm)", "randomisation, 500 swaps"),
        *("at this size a difference below", "would show", "best first", "cluster"),
        *("moved the most", "Holm over 4 tests"),
    ):
        assert text in done.stdout, text
    assert "\x1b" not in done.stdout


def test_named_systems_and_hostile_names(evalkit_command: Command, stored: Path) -> None:
    done = evalkit_command(
        "compare", f"before={stored / 'good'}", f"\x1b[31m[red]x={stored / 'bad'}", *FEW
    )
    assert done.returncode == 0, done.stderr
    assert "difference to before" in done.stdout
    assert "[31m[red]x" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_runs_by_pattern_and_by_field(evalkit_command: Command, tmp_path: Path) -> None:
    truths = references(40)
    refs = tmp_path / "refs.jsonl"
    write(refs, [{"id": str(i), "references": one} for i, one in enumerate(truths)])
    for name, wrong in (("a", 0.1), ("b", 0.4)):
        (tmp_path / name).mkdir()
        together: list[dict[str, object]] = []
        for seed in (1, 2, 3):
            texts = predictions(truths, wrong, seed + 10 * len(name))
            records = [{"id": str(i), "prediction": one} for i, one in enumerate(texts)]
            write(tmp_path / name / f"{seed}.jsonl", records)
            together += [{**record, "run": seed} for record in records]
        write(tmp_path / f"{name}.jsonl", together)
    more = ("-r", refs, "-m", "chrf", "--json")
    by_pattern = evalkit_command("compare", "a=a/*.jsonl", "b=b/*.jsonl", *more)
    by_field = evalkit_command("compare", "a.jsonl", "b.jsonl", "--run", "run", *more)
    assert by_pattern.returncode == by_field.returncode == 0, by_pattern.stderr + by_field.stderr
    documents = [json.loads(done.stdout) for done in (by_pattern, by_field)]
    assert documents[0]["differences"] == documents[1]["differences"]
    record = documents[0]["differences"][0]
    assert record["interval"]["runs"] == {"baseline": 3, "system": 3}
    assert record["verdict"] == "worse"
    misspelt = evalkit_command("compare", "a.jsonl", "b.jsonl", "--run", "rum", *more[:-1])
    assert misspelt.returncode == 2
    assert 'has no field "rum"; did you mean "run"?' in misspelt.stderr
    shown = evalkit_command("compare", "a=a/*.jsonl", "b=b/*.jsonl", *more[:-1])
    assert "3 and 3 runs" in shown.stdout
    assert "of the variance" in shown.stdout


def write(path: Path, records: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("good",), "1 system, but a comparison wants two"),
        (("good", "none"), "none"),
        (("good", "good"), 'two systems are called "good"'),
        (("good", "."), "name one of the results in it"),
        (("good", "bad", "--margin", "-1"), "a number above 0"),
        (("good", "bad", "--margin", "blue=1"), 'no value is called "blue"; did you mean "bleu"'),
        (("good", "bad", "--margin", "x"), "give a number, or METRIC=NUMBER"),
        (("good", "bad", "--correction", "holms"), 'did you mean "holm"'),
        (("good", "bad", "--per-example", "ter"), 'no value is called "ter"'),
        (("good", "bad", "--fold", "fold"), 'has no field "fold"'),
        (("good", "damaged"), "damaged"),
        (("good", "cut"), "not valid JSON"),
        (("good", "untabled"), "no table here"),
        (("good", "newer"), "schema 9"),
        (("good", "x=*/nothing"), "no file matches this pattern"),
        (("good", "bad", "--slice", "domain"), "--slice: only for files of predictions"),
        (("good", "bad", "--metric", "blue"), 'no "blue" in common; did you mean "bleu"'),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_bad_input(
    evalkit_command: Command, stored: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    folder = tmp_path / "s"
    shutil.copytree(stored, folder)
    for name in ("damaged", "cut", "untabled", "newer"):
        shutil.copytree(folder / "bad", folder / name)
    (folder / "damaged" / "tables" / "bleu.npz").write_bytes(b"PK no archive")
    whole = (folder / "cut" / "result.json").read_bytes()
    (folder / "cut" / "result.json").write_bytes(whole[: len(whole) // 2])
    (folder / "untabled" / "tables" / "chrf.npz").unlink()
    (folder / "newer" / "result.json").write_bytes(whole.replace(b'"schema": 1', b'"schema": 9'))
    done = evalkit_command("compare", *arguments, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(lines) == 1
    assert says in lines[0]
    assert done.stdout == ""


def test_on_common_of_files(evalkit_command: Command, tmp_path: Path) -> None:
    short = tmp_path / "T5.jsonl"
    short.write_text("".join(SYSTEMS[1].read_text().splitlines(keepends=True)[:60]))
    arguments = ("compare", SYSTEMS[0], short, "-r", REFS, "-m", "chrf", *FEW)
    done = evalkit_command(*arguments, "--on-common")
    assert done.returncode == 0, done.stderr
    assert "compared on 60 common examples" in done.stderr
    assert "left out: 40 examples of BART" in done.stderr
    assert evalkit_command(*arguments).returncode == 2


def test_python_and_the_command_agree(evalkit_command: Command, stored: Path) -> None:
    done = evalkit_command("compare", stored / "good", stored / "bad", *FEW, "--json")
    found = evalkit.compare(stored / "good", stored / "bad", swaps=500, resamples=500)
    assert json.loads(done.stdout) == json.loads(found.to_json())


def test_threads_and_processes_change_nothing(evalkit_command: Command, stored: Path) -> None:
    pair = ("compare", stored / "good", stored / "bad", *FEW, "--json")
    one = evalkit_command(*pair, env={"OMP_NUM_THREADS": "1"})
    assert one.stdout == evalkit_command(*pair, env={"OMP_NUM_THREADS": str(os.cpu_count())}).stdout
