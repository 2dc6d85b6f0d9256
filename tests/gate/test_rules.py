"""Which rules count, and what an inconclusive one does to the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit.cli.app import run
from tests.gate.made import ACCURACY, gate_file, labels

GOOD = labels(400, 0.85, 1)
PROTOCOL = 'title = "t"\nreads = "labels"\nmetrics = ["accuracy"]\n'


def at_least(value: float) -> str:
    return f'{ACCURACY}kind = "at_least"\nvalue = {value}\n'


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result of a protocol that has a rule of its own: at least 0.1."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(f"{PROTOCOL}[[gate]]\n{at_least(0.1)}")
    for name, values in (("refs", ["a"] * 400), ("preds", GOOD)):
        lines = (json.dumps({"id": str(i), "label": one}) for i, one in enumerate(values))
        Path(f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    score = ["score", "preds.jsonl", "--refs", "refs.jsonl", "-p", "./mine.toml", "--set", "s"]
    assert run([*score, "--no-cache"]) == 0
    return tmp_path


def threshold(capfd: pytest.CaptureFixture[str], *flags: str) -> tuple[float, str]:
    capfd.readouterr()
    assert run(["gate", "results/s/preds", "--json", *flags]) == 0
    said = capfd.readouterr()
    (rule,) = json.loads(said.out)["rules"]
    return rule["threshold"], said.err.partition("rules: ")[2].splitlines()[0]


def test_a_file_goes_before_pyproject_and_that_before_the_protocol(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One place at a time: the rules of the others do not count."""
    number, place = threshold(capfd)
    assert (number, place.partition(",")[0]) == (0.1, "the protocol mine")
    project = workplace / "pyproject.toml"
    project.write_text("[tool.evalkit]\ncatalogue = []\n")
    assert threshold(capfd) == (0.1, place)
    project.write_text(f"[[tool.evalkit.gate]]\n{at_least(0.2)}")
    assert threshold(capfd) == (0.2, str(project))
    gate_file(workplace, at_least(0.3))
    assert threshold(capfd) == (0.2, str(project))
    assert threshold(capfd, "--rules", "gate.toml") == (0.3, "gate.toml")


@pytest.mark.parametrize(
    ("said", "code", "verdict"),
    [
        ("", 3, "inconclusive"),
        ('inconclusive = "report"', 3, "inconclusive"),
        ('inconclusive = "pass"', 0, "pass"),
        ('inconclusive = "fail"', 1, "fail"),
    ],
)
def test_what_an_inconclusive_rule_does(
    said: str, code: int, verdict: str, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gate_file(workplace, at_least(0.85) + said, at_least(0.1))
    capfd.readouterr()
    assert run(["gate", "results/s/preds", "--rules", "gate.toml", "--json"]) == code
    document = json.loads(capfd.readouterr().out)
    assert document["verdict"] == verdict
    assert [row["verdict"] for row in document["rules"]] == ["inconclusive", "pass"]
    assert document["rules"][0]["counts_as"] == verdict
    counted = f"the rule counts this as a {verdict}"
    assert (counted in document["rules"][0]["reason"]) == (verdict != "inconclusive")
