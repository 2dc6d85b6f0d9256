"""What would make a gate pass, fail or speak wrongly, and must not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from evalkit.cli.app import run
from evalkit.results import Result
from evalkit.stats.sequential import alpha_of_look
from evalkit.verbs.looks import SCHEMA
from tests.gate.made import ACCURACY, gate_file, labels, scored, worse

NOT_WORSE = f'{ACCURACY}kind = "not_worse_than_baseline"\nmargin = 0.02'
AT_LEAST = f'{ACCURACY}kind = "at_least"\nvalue = 0.5'
GOOD = labels(200, 0.85, 1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gated(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    """Exit code, document and stderr."""
    capfd.readouterr()
    code = run(["gate", *arguments, "--json"])
    shown = capfd.readouterr()
    return code, json.loads(shown.out), shown.err


def pair(capfd: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    arguments = ("results/s/new", "-b", "results/s/base", "--rules", "gate.toml")
    _, document, said = gated(capfd, *arguments, *more)
    assert "rules" in document, said
    row: dict[str, Any] = document["rules"][0]
    return row


def clustered(sizes: list[int]) -> list[str]:
    return [f"{number:03d}" for number, size in enumerate(sizes) for _ in range(size)]


def test_clusters_of_unequal_size_are_not_bet_on(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """40 large clusters slightly better, 200 of one example much worse: no change overall."""
    sizes = [30] * 40 + [1] * 200
    base = ["b"] * 600 + ["a"] * 600 + ["a"] * 200
    new = ["a"] * 80 + ["b"] * 520 + ["a"] * 600 + ["a"] * 120 + ["b"] * 80
    for name, given in (("base", base), ("new", new)):
        scored(given, name, cluster=clustered(sizes)).save("results")
    gate_file(place, NOT_WORSE)
    row = pair(capfd, "--sequential")
    assert row["difference"] == 0
    assert row["wealth"] is None
    assert row["verdict"] != "fail"


def test_clusters_of_one_size_are_bet_on(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, given in (("base", ["a"] * 400), ("new", labels(400, 0.5, 2))):
        scored(given, name, cluster=clustered([4] * 100)).save("results")
    gate_file(place, NOT_WORSE)
    row = pair(capfd, "--sequential")
    assert row["verdict"] == "fail"
    assert row["reason"].startswith(f"bets against the rule won {row['wealth']:.4g} times")


def test_another_seed_wins_the_same_wealth(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gate_file(place, NOT_WORSE)
    wealth = []
    for seed in (1, 2):
        for name, given in (("base", GOOD), ("new", worse(GOOD, 20))):
            folder = Path("results") / "s" / name
            shutil.rmtree(folder, ignore_errors=True)
            scored(given, name, seed=seed).save("results")
        wealth.append(pair(capfd, "--sequential")["wealth"])
    assert wealth[0] == wealth[1] > 0


@pytest.mark.parametrize("loss", ["whole", "parts", "aside"])
def test_no_result_is_dropped(place: Path, capfd: pytest.CaptureFixture[str], loss: str) -> None:
    scored(GOOD, "good").save("results")
    folder = scored(["b"] * 200, "bad").save("results")
    gate_file(place, AT_LEAST)
    if loss == "parts":
        (folder / "result.json").unlink()
        shutil.rmtree(folder / "tables")
    elif loss == "whole":
        (folder / "result.json").unlink()
    else:
        aside = folder.with_name(".bad.01234567")
        aside.mkdir()
        folder.rename(aside / "old")
    for named in ("results", "results/s", "results/s/bad"):
        code, document, _ = gated(capfd, named, "--rules", "gate.toml")
        assert code == (1 if loss == "aside" else 2), named
        assert ("error" in document) == (loss != "aside")


def looked(path: Path, result: Result, times: int) -> None:
    """So many looks of others at the set."""
    references = result.document["inputs"]["references"]
    lines = [
        {
            "schema": SCHEMA,
            "set": references,
            "baseline": "b",
            "predictions": f"p{number}",
            "system": "x",
            "rule": "r",
            "number": number,
            "alpha": 0.01,
            "wealth": 1.0,
            "alarm": False,
        }
        for number in range(1, times + 1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("metric", ["bleu", "f1"])
def test_a_late_look_can_fail_or_says_that_it_cannot(
    place: Path, capfd: pytest.CaptureFixture[str], metric: str
) -> None:
    texts = [f"the cat {i} sat on the mat" for i in range(60)]
    bad = [text.replace("cat", "dog" if i % 5 else "cat") for i, text in enumerate(texts)]
    more: dict[str, Any] = {"references": texts, "metrics": ["bleu"]}
    if metric == "f1":
        texts, bad = ["a", "b"] * 100, ["a", "b", "b", "b", "a", "a"] * 33 + ["a", "b"]
        more = {"references": texts, "metrics": ["f1"]}
    base = scored(texts, "base", **more)
    base.save("results")
    scored(bad, "new", **more).save("results")
    gate_file(place, f'metric = "{metric}"\nkind = "not_worse_than_baseline"\nmargin = 0.01')
    looked(place / "looks", base, 99)
    row = pair(capfd, "--sequential", "--looks", "looks")
    assert row["look"] == 100
    assert row["alpha"] == alpha_of_look(100, 0.05)
    assert row["verdict"] == "fail"
    assert "by Student's t" in row["reason"]


def test_an_unreachable_level_is_said(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit.verbs.gating.evidence import Evidence

    monkeypatch.setattr(Evidence, "tail", lambda self, claim: None)
    texts = [f"the cat {i} sat on the mat" for i in range(60)]
    more: dict[str, Any] = {"references": texts, "metrics": ["bleu"]}
    base = scored(texts, "base", **more)
    base.save("results")
    scored([text[::-1] for text in texts], "new", **more).save("results")
    gate_file(place, 'metric = "bleu"\nkind = "not_worse_than_baseline"\nmargin = 1')
    looked(place / "looks", base, 99)
    row = pair(capfd, "--sequential", "--looks", "looks")
    assert row["verdict"] == "inconclusive"
    assert "no difference, however bad, can fail" in row["reason"]


@pytest.mark.parametrize(("base", "new", "tolerance"), [(80, 70, 0.1), (80, 57, 0.23)])
def test_a_difference_of_just_the_tolerance_is_within_it(
    place: Path, capfd: pytest.CaptureFixture[str], base: int, new: int, tolerance: float
) -> None:
    for name, right in (("base", base), ("new", new)):
        scored(["a"] * right + ["b"] * (100 - right), name).save("results")
    gate_file(place, f'{ACCURACY}kind = "exact"\ntolerance = {tolerance}')
    assert pair(capfd)["verdict"] == "pass"
    gate_file(place, f'{ACCURACY}kind = "exact"\ntolerance = {tolerance - 0.001}')
    assert pair(capfd)["verdict"] == "fail"


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("content", [b"not ours", b'{"schema":2', b"a\nb", b"{}\n", b"{"])
def test_a_foreign_file_is_not_written_to(
    place: Path, capfd: pytest.CaptureFixture[str], content: bytes, sequential: bool
) -> None:
    for name, given in (("base", GOOD), ("new", worse(GOOD, 1))):
        scored(given, name).save("results")
    gate_file(place, AT_LEAST)
    own = place / "own.txt"
    own.write_bytes(content)
    (place / "link").symlink_to(own)
    os.mkfifo(place / "pipe")
    flags = ["--sequential"] if sequential else []
    for name in ("own.txt", "link", "pipe"):
        more = ("--rules", "gate.toml", "--looks", name, *flags)
        code, _, said = gated(capfd, "results/s/new", *more)
        assert code == (2 if sequential else 0)
        assert sequential or "this look is not counted" in said
    assert own.read_bytes() == content


def test_a_look_that_cannot_be_kept_does_not_end_the_gate(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit.errors import ResultError
    from evalkit.verbs.looks import Looks

    def full(self: Looks, line: bytes) -> None:
        raise ResultError("the look cannot be kept: no space")

    monkeypatch.setattr(Looks, "_write", full)
    scored(GOOD, "new").save("results")
    gate_file(place, AT_LEAST)
    code, _, said = gated(capfd, "results/s/new", "--rules", "gate.toml")
    assert code == 0
    assert "this look is not counted: the look cannot be kept: no space" in said
    assert gated(capfd, "results/s/new", "--rules", "gate.toml", "--sequential")[0] == 2


def test_junit_is_written_whole_or_not_at_all(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(GOOD, "new").save("results")
    gate_file(place, AT_LEAST)
    arguments = ("results/s/new", "--rules", "gate.toml", "--junit", "out/x.xml")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "gate.toml" / "no"))
    assert gated(capfd, *arguments)[0] == 2
    assert not (place / "out").exists()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert gated(capfd, *arguments)[0] == 0
    assert [one.name for one in (place / "out").iterdir()] == ["x.xml"]
    assert gated(capfd, *arguments[:-1], "results")[0] == 2
    assert gated(capfd, *arguments[:-1], "/dev/null")[0] == 0


@pytest.mark.parametrize("name", ["##[error]x", "::error::x", " ::error::x"])
def test_no_output_holds_a_command(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    scored(GOOD, "new").save("results")
    gate_file(place, f"{AT_LEAST}\nname = {json.dumps(name)}")
    capfd.readouterr()
    codes = [
        run(["gate", "results/s/new", "--rules", "gate.toml"]),
        run(["gate", "results/s/new", "--rules", "gate.toml", "--json"]),
        run(["gate", "results/s/new", "--rules", name]),
        run(["gate", name, "--rules", "gate.toml", "--json"]),
        run(["gate", f"--{name}"]),
    ]
    assert codes == [0, 0, 2, 2, 2]
    shown = capfd.readouterr()
    assert "##[" not in shown.out + shown.err
    lines = (shown.out + shown.err).splitlines()
    assert not [line for line in lines if line.strip().startswith("::")]
    if name.startswith("##"):
        run(["gate", "results/s/new", "--rules", "gate.toml", "--json"])
        assert json.loads(capfd.readouterr().out)["rules"][0]["name"] == name


def test_protocol_files_that_differ_decide_nothing(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder, least in (("one", 0.5), ("two", 0.1)):
        (place / folder).mkdir()
        text = 'title = "labels"\nreads = "labels"\nmetrics = ["accuracy"]\n'
        gates = f'[[gate]]\n{ACCURACY}kind = "at_least"\nvalue = {least}\n'
        (place / folder / "p.toml").write_text(text + gates)
        flags = ["--set=s", f"--protocol={folder}/p.toml", "--json"]
        rows = [{"prediction": one, "label": "a"} for one in GOOD]
        (place / f"{folder}.jsonl").write_text(
            "".join(json.dumps({"id": f"{i:03d}", **row}) + "\n" for i, row in enumerate(rows))
        )
        assert run(["score", f"{folder}={folder}.jsonl", *flags]) == 0, capfd.readouterr()
    code, document, _ = gated(capfd, "results/s")
    assert code == 2
    assert "its files differ (one/p.toml, two/p.toml)" in document["error"]["message"]
    assert "--rules FILE" in document["error"]["message"]
    code, _, said = gated(capfd, "results/s/one")
    assert code == 0
    assert "rules: the protocol p, one/p.toml" in said


@pytest.mark.parametrize(
    "text",
    [
        f"[[gate]]\n{AT_LEAST}\nlevel = 0.99999",
        f"[[gate]]\n{ACCURACY}kind = 'at_least'\nvalue = 1{'0' * 400}",
        f"[[gate]]\n{ACCURACY}kind = 'at_least'\nvalue = 1{'0' * 5000}",
        f"[[gate]]\n{ACCURACY}kind = 'at_least'\nvalue = {'[' * 5000}{']' * 5000}",
        "tool = 3",
        "tool.evalkit = 3",
        "tool.evalkit.gate = 3",
    ],
    ids=["level", "large", "huge", "deep", "tool", "evalkit", "gate"],
)
@pytest.mark.parametrize("name", ["gate.toml", "pyproject.toml"])
def test_hostile_rules_are_one_line(
    place: Path, capfd: pytest.CaptureFixture[str], text: str, name: str
) -> None:
    scored(GOOD, "new").save("results")
    own = name == "gate.toml"
    (place / name).write_text(text if own else text.replace("[[gate", "[[tool.evalkit.gate"))
    more = ("--rules", name) if own else ()
    code, document, said = gated(capfd, "results/s/new", *more)
    assert code == 2
    assert len(said.splitlines()) == 1
    assert len(said) < 400
    assert document["error"]["message"]


def test_a_level_that_resamples_cannot_tell_is_refused(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scored(GOOD, "new").save("results")
    gate_file(place, AT_LEAST)
    arguments = ("results/s/new", "--rules", "gate.toml", "--level")
    assert gated(capfd, *arguments, "0.99991")[0] == 2
    assert gated(capfd, *arguments, "0.9999")[0] == 0
