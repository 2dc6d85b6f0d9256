"""What the command prints, and where."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import evalkit
from evalkit import catalogue
from tests.conftest import ROOT, Command

SUMMARIES = ROOT / "examples" / "summaries"
BART = SUMMARIES / "preds" / "BART.jsonl"
T5 = SUMMARIES / "preds" / "T5.jsonl"
REFS = SUMMARIES / "refs.jsonl"


def test_a_table_on_stdout_and_the_rest_on_stderr(tmp_path: Path, evalkit_command: Command) -> None:
    done = evalkit_command("score", BART, T5, "--refs", REFS, "-m", "bleu", "-m", "chrf")
    assert done.returncode == 0, done.stderr
    assert "bleu ↑" in done.stdout
    assert "BART" in done.stdout
    assert "nrefs:10|case:mixed" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "wrote results/translation-" in done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name.startswith("translation-")
    assert sorted(path.name for path in folder.iterdir()) == ["BART", "T5"]
    assert sorted(path.name for path in (folder / "T5").rglob("*")) == [
        *("bleu.npz", "chrf.npz", "examples.jsonl.gz", "result.json", "run.json", "tables"),
    ]


def test_json_is_one_object_and_equals_the_kept_result(
    tmp_path: Path, evalkit_command: Command
) -> None:
    arguments = ("score", BART, "--refs", REFS, "-m", "bleu", "--set", "s", "--json")
    done = evalkit_command(*arguments)
    document = json.loads(done.stdout)
    kept = evalkit.load(tmp_path / "results" / "s" / "BART")
    assert document == {"schema": 1, "results": [kept.document]}
    (score,) = kept.scores
    assert score["interval"] == score["interval"] | {
        "level": 0.95,
        "method": "bootstrap-t",
        "resamples": 2000,
        "unit": "example",
        "units": 100,
        "clusters": None,
        "seed": 12345,
        "undefined": 0,
    }
    assert set(kept.run["files"]) == {str(BART), str(REFS)}
    again = evalkit_command(*arguments)
    assert again.stdout == done.stdout
    assert "1 of 1 tables from the cache" in again.stderr


def test_python_gives_the_same_numbers(tmp_path: Path, evalkit_command: Command) -> None:
    done = evalkit_command("score", BART, "--refs", REFS, "-m", "bleu", "--set", "s", "--json")
    predictions = [json.loads(line) for line in BART.read_text().splitlines()]
    references = {
        one["id"]: one["references"] for one in map(json.loads, REFS.read_text().splitlines())
    }
    result = evalkit.score(
        [one["prediction"] for one in predictions],
        [references[one["id"]] for one in predictions],
        ["bleu"],
        ids=[one["id"] for one in predictions],
        system="BART",
        set="s",
    )
    assert result.to_dict() == json.loads(done.stdout)["results"][0]
    assert "BART on s" in result._repr_html_()
    frame = result.to_pandas()
    assert frame.loc[0, "interval_low"] == result.scores[0]["interval"]["low"]


def test_stdin(evalkit_command: Command) -> None:
    row = json.dumps({"id": 1, "mt": "a b", "ref": "a b"})
    done = evalkit_command("score", "-", "-m", "exact_match", "--json", "--no-save", input=row)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["system"] == "stdin"
    assert result["scores"][0]["value"] == 1
    assert "needs at least 8" in result["scores"][0]["interval_reason"]


def test_slices_and_clusters(tmp_path: Path, evalkit_command: Command) -> None:
    with (tmp_path / "p.jsonl").open("w") as stream:
        for i in range(120):
            row = {"id": i, "mt": f"a b c {i % 3}", "ref": "a b c 1", "doc": f"d{i // 4}"}
            stream.write(json.dumps(row | {"long": i % 2 == 0}) + "\n")
    command = ("score", "p.jsonl", "-m", "bleu", "--slice", "long", "--json", "--no-save")
    done = evalkit_command(*command)
    whole, no, yes = json.loads(done.stdout)["results"][0]["scores"]
    assert (no["slice"], yes["slice"]) == (
        {"field": "long", "value": "false"},
        {"field": "long", "value": "true"},
    )
    assert whole["interval"]["clusters"] == 30
    assert (no["n"], no["interval"]["units"]) == (60, 30)
    assert "resampled by cluster, because the records have one" in done.stderr
    done = evalkit_command(*command, "--cluster", "none")
    assert json.loads(done.stdout)["results"][0]["scores"][0]["interval"]["clusters"] is None
    done = evalkit_command(*command, "--cluster", "long")
    reason = json.loads(done.stdout)["results"][0]["scores"][0]["interval_reason"]
    assert reason == "2 clusters; an interval needs at least 5"


def test_hostile_text_stays_text(tmp_path: Path, evalkit_command: Command) -> None:
    bad = "[red]x[/red]\x1b[2J"
    rows = [{"id": i, "mt": bad, "ref": bad, "kind": bad} for i in range(9)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = evalkit_command("score", "p.jsonl", "-m", "exact_match", "--slice", "kind")
    assert done.returncode == 0, done.stderr
    assert "[red]x[/red]" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_progress_on_a_terminal_only(tmp_path: Path) -> None:
    """A pseudo-terminal for stderr shows a bar; `-q` keeps it empty."""
    (tmp_path / "slow.py").write_text(
        (ROOT / "metrics" / "exact_match.py")
        .read_text()
        .replace("for example in examples:", "for example in examples:\n            _wait()")
        + "\n\ndef _wait() -> None:\n    import time\n\n    time.sleep(0.02)\n"
    )
    for quiet in (False, True):
        master, slave = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "evalkit", "score", str(BART), "--refs", str(REFS)]
            + ["-m", "slow.py", "--no-save", "--no-cache", "--workers", "1"]
            + ["-q"] * quiet,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=slave,
            check=True,
        )
        os.close(slave)
        try:
            shown = os.read(master, 100_000).decode()
        except OSError:
            shown = ""
        os.close(master)
        assert ("BART: slow" in shown) is not quiet
        assert b"slow" in done.stdout


@pytest.mark.parametrize("name", sorted(catalogue.entries("metrics")))
def test_show_metric(name: str, evalkit_command: Command) -> None:
    shown = json.loads(evalkit_command("show", "metric", name, "--json").stdout)
    assert shown["metric"] == name
    assert {"outputs", "parameters", "reference", "reads", "interval"} <= set(shown)
    text = evalkit_command("show", "metric", name).stdout
    assert all(one["name"] in text for one in shown["parameters"])


def test_list(evalkit_command: Command) -> None:
    assert "chrF" in evalkit_command("list", "metrics").stdout
    assert "translation" in evalkit_command("list", "protocols").stdout
    done = evalkit_command("list", "studies")
    assert done.returncode == 0


def test_show_protocol(evalkit_command: Command) -> None:
    assert "bleu, chrf, ter" in evalkit_command("show", "protocol", "translation").stdout


def test_cache_clear(tmp_path: Path, evalkit_command: Command) -> None:
    own = {"EVALKIT_CACHE": str(tmp_path / "cache")}
    evalkit_command("score", BART, "--refs", REFS, "-m", "bleu", "--no-save", env=own)
    assert list((tmp_path / "cache" / "evalkit-tables").iterdir())
    done = evalkit_command("cache", "clear", env=own)
    assert "freed" in done.stderr
    assert not (tmp_path / "cache" / "evalkit-tables").exists()


def test_a_new_metric_is_one_file_and_its_golden_file(tmp_path: Path) -> None:
    """In a checkout the template passes every law unasked."""
    checkout = tmp_path / "checkout"
    shutil.copytree(
        ROOT, checkout, ignore=shutil.ignore_patterns(".*", "__pycache__", "statistics")
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("evalkit", "new", "metric", "word_recall")
    assert (checkout / "metrics" / "word_recall.py").is_file()
    assert (checkout / "tests" / "golden" / "metrics" / "word_recall.json").is_file()
    assert "word_recall" in run("evalkit", "list", "metrics")
    passed = run("pytest", "-q", "tests/test_laws.py", "tests/test_golden.py", "-k", "word_recall")
    assert "19 passed" in passed, passed
    run("ruff", "check", "metrics/word_recall.py")
    run("mypy", "metrics/word_recall.py")


def test_a_new_metric_of_ones_own(tmp_path: Path, evalkit_command: Command) -> None:
    evalkit_command("new", "metric", "mine")
    done = evalkit_command("score", BART, "--refs", REFS, "-m", "./mine.py:ignore_case=true")
    assert done.returncode == 0, done.stderr
    assert "mine:ignore_case=True" in done.stdout
    again = evalkit_command("new", "metric", "mine")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_catalogue_of_ones_own(tmp_path: Path, evalkit_command: Command) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.evalkit]\ncatalogue = ["eval"]\n')
    evalkit_command("new", "metric", "mine")
    evalkit_command("new", "protocol", "my_task")
    assert (tmp_path / "eval" / "metrics" / "mine.py").is_file()
    assert "mine" in evalkit_command("list", "metrics").stdout
    protocol = tmp_path / "eval" / "protocols" / "my_task.toml"
    protocol.write_text(protocol.read_text().replace('"bleu"', '"mine"'))
    done = evalkit_command("score", BART, "--refs", REFS, "-p", "my_task", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout
    assert "chrf:word_order=2" in done.stdout


def test_a_bug_is_70(tmp_path: Path) -> None:
    probe = (
        "import evalkit.verbs.score_files as s, evalkit.cli.app as a\n"
        "def broken(*_): raise RuntimeError('boom')\n"
        "s.score_files = broken\n"
        "raise SystemExit(a.run(['score', 'x', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 70
    assert json.loads(done.stdout)["error"]["kind"] == "bug"
    assert "boom" in done.stderr


def test_without_a_verb_the_help_is_shown(evalkit_command: Command) -> None:
    for verb in ((), ("cache",)):
        done = evalkit_command(*verb)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: evalkit")
        assert "Commands:" in done.stdout
    assert evalkit_command("list", "metric").stdout == evalkit_command("list", "metrics").stdout


@pytest.mark.parametrize("columns", [200, 70, 40])
def test_narrow_terminals_show_every_number_whole(columns: int) -> None:
    import io

    from rich.console import Console

    from evalkit.report.terminal import score_table

    texts = ["a b c", "d e f g", "h i"] * 10
    result = evalkit.score(
        texts, ["a b d", "d e f g", "h"] * 10, ["bleu", "chrf:word_order=2"], slices={"k": texts}
    )
    screen = Console(file=io.StringIO(), width=columns)
    screen.print(score_table([result], columns))
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    for record in result.scores:
        assert f"{record['value']:.2f}" in shown
        if record["interval"]:
            bounds = record["interval"]
            assert f"[{bounds['low']:.2f}, {bounds['high']:.2f}]" in shown


def test_what_replaces_a_result_is_said(tmp_path: Path, evalkit_command: Command) -> None:
    """Other options replace, other inputs never do, and the message says which input differs."""
    common = ("--refs", REFS, "--set", "s")
    evalkit_command("score", BART, *common, "-m", "bleu", "-m", "exact_match")
    done = evalkit_command(
        "score", BART, *common, "-m", "bleu", "--slice", "id", "--cluster", "none"
    )
    assert "no record has a field" in done.stderr
    done = evalkit_command("score", BART, *common, "-m", "bleu", "--level", "0.9")
    assert done.returncode == 0
    assert "BART: the result with exact_match was replaced" in done.stderr
    done = evalkit_command("score", f"BART={T5}", *common, "-m", "bleu")
    assert done.returncode == 2
    assert "holds the result of other predictions" in done.stderr
    run = evalkit.load(tmp_path / "results" / "s" / "BART").run
    assert run["request"]["level"] == 0.9
