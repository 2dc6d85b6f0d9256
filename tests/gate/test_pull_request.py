"""A repository with a committed baseline, and what its gate says of three changes."""

from __future__ import annotations

import json
import subprocess
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import Command
from tests.gate.made import labels, worse

N = 120
BEFORE = labels(N, 0.85, 5)
PROJECT = """\
[project]
name = "model"

[[tool.evalkit.gate]]
kind = "not_worse_than_baseline"
metric = "accuracy"
margin = 0.03

[[tool.evalkit.gate]]
name = "good enough <script>"
kind = "at_least"
metric = "accuracy"
value = 0.3
"""


def write_records(path: Path, values: list[str]) -> None:
    lines = (json.dumps({"id": str(i), "label": one}) for i, one in enumerate(values))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def repository(tmp_path: Path, evalkit_command: Command) -> Path:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / ".gitignore").write_text("results/\n")
    write_records(tmp_path / "refs.jsonl", ["a"] * N)
    score(evalkit_command, tmp_path, BEFORE, "before")
    kept = evalkit_command("gate", "results/s/before", "--update-baseline")
    assert kept.returncode == 0, kept.stderr
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main")
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "baseline")):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    listed = subprocess.check_output(["git", "ls-files"], cwd=tmp_path, text=True).split()
    assert "evalkit-baseline/result.json" in listed
    assert "evalkit-baseline/tables/accuracy.npz" in listed
    assert not [name for name in listed if name.startswith("results/")]
    return tmp_path


def score(command: Command, folder: Path, predictions: list[str], name: str) -> None:
    write_records(folder / f"{name}.jsonl", predictions)
    done = command(
        *("score", f"{name}.jsonl", "--refs", "refs.jsonl"),
        *("--metric", "accuracy", "--set", "s", "--no-cache"),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("by", "code", "verdict"),
    [(40, 1, "fail"), (3, 3, "inconclusive"), (0, 0, "pass")],
    ids=["worse", "slightly worse", "equal"],
)
def test_a_change_is_gated(
    by: int, code: int, verdict: str, repository: Path, evalkit_command: Command
) -> None:
    score(evalkit_command, repository, worse(BEFORE, by), "after")
    summary = repository / "summary.md"
    summary.write_text("of another step\n")
    environment = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    command = ("gate", "results/s/after", "--json", "--junit", "gate.xml")
    done = evalkit_command(*command, env=environment, cwd=repository)
    assert done.returncode == code, done.stderr
    document = json.loads(done.stdout)
    assert (document["verdict"], document["rules"][0]["verdict"]) == (verdict, verdict)
    assert document["rules"][1]["verdict"] == "pass"
    check_junit(repository / "gate.xml", document)
    check_summary(summary.read_text(), document)
    raised = [line for line in done.stderr.splitlines() if line.startswith("::")]
    starts = {"fail": "::error ", "inconclusive": "::warning "}
    assert len(raised) == (verdict != "pass")
    assert all(line.startswith(starts[verdict]) for line in raised)
    if verdict == "inconclusive":
        assert f"about {document['rules'][0]['examples_wanted']:,} examples" in done.stderr


def check_junit(path: Path, document: dict[str, Any]) -> None:
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    assert len(cases) == len(document["rules"])
    outcome = {"pass": None, "fail": "failure", "inconclusive": "skipped"}
    for case, rule in zip(cases, document["rules"], strict=True):
        found = [kind for kind in ("failure", "skipped", "error") if case.find(kind) is not None]
        wanted = outcome[rule["verdict"]]
        assert found == ([wanted] if wanted else [])
    if find_spec("junitparser") is not None:
        read = import_module("junitparser").JUnitXml.fromfile(str(path))
        failed = sum(rule["verdict"] == "fail" for rule in document["rules"])
        assert read.failures == failed


def check_summary(text: str, document: dict[str, Any]) -> None:
    """Appended, and Markdown in which a name stays a name."""
    assert text.startswith("of another step\n")
    assert document["verdict"] in text
    assert "<script>" not in text.replace("\\<", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(document["rules"])
    if find_spec("markdown_it") is not None:
        reader = import_module("markdown_it").MarkdownIt("commonmark").enable("table")
        page = reader.render(text)
        assert page.count("<tr>") == 1 + len(document["rules"])
        assert "<script>" not in page


def test_the_terminal_says_why(repository: Path, evalkit_command: Command) -> None:
    score(evalkit_command, repository, worse(BEFORE, 3), "after")
    done = evalkit_command("gate", "results/s/after", cwd=repository)
    assert done.returncode == 3
    assert "would settle it" in done.stdout
    assert done.stdout.splitlines()[-1] == "gate: inconclusive"


def test_rules_are_found_from_a_folder_below(repository: Path, evalkit_command: Command) -> None:
    """And not above the root of the repository."""
    score(evalkit_command, repository, worse(BEFORE, 40), "after")
    below = repository / "src"
    below.mkdir()
    command = ("gate", "../results/s/after", "--baseline", "../evalkit-baseline")
    assert evalkit_command(*command, cwd=below).returncode == 1
    subprocess.run(["git", "init", "-q"], cwd=below, check=True)
    done = evalkit_command(*command, cwd=below)
    assert done.returncode == 2
    assert "there are no rules" in done.stderr


def test_rules_of_the_protocol(tmp_path: Path, evalkit_command: Command) -> None:
    """`--rules` goes before it."""
    write_records(tmp_path / "refs.jsonl", ["a"] * N)
    write_records(tmp_path / "after.jsonl", BEFORE)
    protocol = (
        'title = "t"\nreads = "labels"\nmetrics = ["accuracy"]\n'
        '[[gate]]\nkind = "at_least"\nmetric = "accuracy"\nvalue = 0.99\n'
    )
    (tmp_path / "mine.toml").write_text(protocol)
    done = evalkit_command(
        *("score", "after.jsonl", "--refs", "refs.jsonl", "-p", "./mine.toml", "--set", "s")
    )
    assert done.returncode == 0, done.stderr
    done = evalkit_command("gate", "results/s/after")
    assert done.returncode == 1, done.stderr
    assert "rules: the protocol mine" in done.stderr
    (tmp_path / "gate.toml").write_text(
        '[[gate]]\nkind = "at_least"\nmetric = "accuracy"\nvalue = 0.5\n'
    )
    assert evalkit_command("gate", "results/s/after", "--rules", "gate.toml").returncode == 0


def test_a_rule_of_the_protocol_about_no_metric_of_it(
    tmp_path: Path, evalkit_command: Command
) -> None:
    (tmp_path / "mine.toml").write_text(
        'title = "t"\nreads = "labels"\nmetrics = ["accuracy"]\n'
        '[[gate]]\nkind = "at_least"\nmetric = "acuracy"\nvalue = 0.99\n'
    )
    done = evalkit_command("show", "protocol", "./mine.toml")
    assert done.returncode == 2
    assert 'mine.toml:4: no metric here is called "acuracy"; did you mean' in done.stderr
