"""The table in the terminal: no word breaks, few digits, and no line that is a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evalkit.cli.app import run
from evalkit.report.gate import verdict_table
from evalkit.verbs.gate import GateRequest, gate
from tests.gate.made import ACCURACY, gate_file, labels, scored, worse

N = 1200
GOOD = labels(N, 0.85, 1)
DOMAINS = ["politics" if i % 2 else "sport" for i in range(N)]
LONG = "good enough for a first release to people who are patient, and then some"
RULES = (
    f'{ACCURACY}kind = "not_worse_than_baseline"\nmargin = 0.01\nslice = "domain"',
    f'{ACCURACY}kind = "at_least"\nvalue = 0.75\nname = "{LONG}"',
)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("gate")
    for name, by in (("base", 0), ("slightly", 9), ("much-worse-system", 300)):
        scored(worse(GOOD, by), name, slices={"domain": DOMAINS}).save(folder / "results")
    rules = gate_file(folder, *RULES)
    place = str(folder / "results" / "s")
    return gate(GateRequest((place,), baseline=f"{place}/base", rules=str(rules))).document


def printed(document: dict[str, Any], width: int) -> list[str]:
    console = Console(width=width, highlight=False, markup=False, emoji=False, color_system=None)
    with console.capture() as shown:
        console.print(verdict_table(document, width))
    return shown.get().splitlines()


@pytest.mark.parametrize("width", [60, 72, 80, 100, 200])
@pytest.mark.parametrize("systems", [1, 2])
def test_no_word_breaks(width: int, systems: int, document: dict[str, Any]) -> None:
    """Nor is anything left out, whatever fits beside it."""
    names = document["systems"][-systems:]
    rows = [row for row in document["rules"] if row["system"] in names]
    lines = printed({**document, "systems": names, "rules": rows}, width)
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    words = set(re.split(r"[\s,()]+", text.replace(": ", " ")))
    wanted = {"domain=politics", "domain=sport", "pass", "inconclusive", *names, *LONG.split()[:5]}
    assert wanted <= words
    table = text.partition("Bounds: one-sided 95 % each.")[0]
    verdicts = re.findall(r"\b(pass|fail|inconclusive)(?= |$)", table)
    assert verdicts == [row["verdict"] for row in rows]
    assert len(re.findall(r"\[[-+0-9.]+, [-+0-9.]+\]", table)) == len(rows)
    assert text.endswith(f"gate: {document['verdict']}")


def test_digits_are_those_of_score(document: dict[str, Any]) -> None:
    lines = printed(document, 200)
    assert lines[0] == "s: much-worse-system, slightly against base, looks 1 to 2"
    (row,) = (line for line in lines if re.search(r"slightly {2,}domain=sport", line))
    value, difference, low, high = re.findall(r"[-+]?\d\.\d+", row.partition("sport")[2])[:4]
    assert [len(one.partition(".")[2]) for one in (value, difference, low, high)] == [4] * 4
    assert (difference[0], low[0]) == ("-", "-")
    assert "> -0.01" in row


def test_a_bound_is_never_shown_as_its_threshold(document: dict[str, Any]) -> None:
    row = next(row for row in document["rules"] if row["difference"] is not None)
    near = {**row, "interval": {**row["interval"], "low": -0.010001}}
    lines = printed({**document, "rules": [near]}, 200)
    assert "[-0.010001, " in "\n".join(lines)


def test_names_are_no_commands_on_github(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The runner trims leading space and finds `##[` anywhere; the annotations are commands."""
    monkeypatch.chdir(tmp_path)
    name = "a ##[add-mask]a ::stop-commands::x " + "::error::x " * 20
    gate_file(tmp_path, f'{ACCURACY}kind = "at_least"\nvalue = 0.99\nname = "::error::{name}"')
    scored(worse(GOOD, 100)).save("results")
    command = ["gate", "results/s/system", "--rules", "gate.toml"]
    assert run(command) == 1
    plainly = capfd.readouterr().out
    assert [line for line in plainly.splitlines() if line.lstrip().startswith("::")]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run(command) == 1
    said = capfd.readouterr()
    assert "##[" not in said.out
    assert not [line for line in said.out.splitlines() if line.lstrip().startswith("::")]
    assert said.out.replace(" ", "").replace("\n", "") == plainly.replace(" ", "").replace("\n", "")
    (raised,) = (line for line in said.err.splitlines() if line.lstrip().startswith("::"))
    assert raised.startswith("::error title=evalkit gate%3A ")
