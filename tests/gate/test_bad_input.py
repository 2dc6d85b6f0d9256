"""Whatever is wrong with rules, results or baselines: one line with the place, exit 2."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalkit.cli.app import run
from evalkit.verbs.gating.baseline import write_baseline
from tests.gate.made import ACCURACY, gate_file, labels, scored

GOOD = labels(60, 0.8, 1)
AT_LEAST = f'{ACCURACY}kind = "at_least"\nvalue = 0.5'
X = 'kind = "at_least"\nvalue = "x"'
NOT_WORSE = f'{ACCURACY}kind = "not_worse_than_baseline"\n'
GATE = ("gate", "results/s/system", "--rules", "gate.toml")


@dataclass
class Case:
    """prepare(folder) writes what is wrong; the folder holds results, a baseline and gate.toml."""

    name: str
    says: str
    table: str = AT_LEAST
    prepare: Callable[[Path], object] = lambda folder: None
    command: tuple[str, ...] = GATE
    where: str | None = None


def writes(name: str, text: str | bytes) -> Callable[[Path], object]:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / name).write_bytes(content)


def cuts(name: str) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return prepare


def edits(folder: Path) -> None:
    """A value in result.json that its table does not give."""
    path = folder / "results" / "s" / "system" / "result.json"
    document = json.loads(path.read_text())
    document["scores"][0]["value"] = 0.99
    path.write_text(json.dumps(document))


def other_baseline(**more: object) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        write_baseline(scored(GOOD, "other", **more), folder / "evalkit-baseline")

    return prepare


def no_baseline(folder: Path) -> None:
    (folder / "evalkit-baseline" / "result.json").unlink()


def broken_twin(folder: Path) -> None:
    scored(GOOD, "twin").save(folder / "results")
    (folder / "results" / "s" / "twin" / "run.json").write_text("{}")
    cuts("results/s/twin/result.json")(folder)


def other_set(folder: Path) -> None:
    scored(GOOD[:30], "small", set="t").save(folder / "results")


SYSTEM = "results/s/system"
CASES = [
    Case("no rules at all", "there are no rules", command=("gate", SYSTEM)),
    Case("no such rules", "cannot be read", command=(*GATE[:2], "--rules", "x.toml")),
    Case("empty rules", r"holds no \[\[gate\]\] table", prepare=writes("gate.toml", "")),
    Case("not TOML", "not valid TOML", prepare=writes("gate.toml", "[[gate")),
    Case("not UTF-8", "not valid UTF-8", prepare=writes("gate.toml", b"\xff\xfe")),
    Case("a table", "array of tables", prepare=writes("gate.toml", f"[gate]\n{AT_LEAST}")),
    Case("other tables", '"gates"; did you mean "gate"', prepare=writes("gate.toml", "[[gates]]")),
    Case("no kind", "kind is missing", ACCURACY, where="gate.toml:1"),
    Case(
        "unknown kind",
        'no kind of rule is called "at_lest"; did you mean "at_least"',
        f'{ACCURACY}kind = "at_lest"\nvalue = 0.5',
        where="gate.toml:3",
    ),
    Case(
        "unknown key",
        'no key is called "vlaue"; did you mean "value"',
        f'{ACCURACY}kind = "at_least"\nvlaue = 0.5',
        where="gate.toml:4",
    ),
    Case(
        "a key of another kind",
        "margin does not belong to at_least",
        f"{AT_LEAST}\nmargin = 0.1",
        where="gate.toml:5",
    ),
    Case("no metric", "lacks its metric", 'kind = "at_least"\nvalue = 1', where="gate.toml:1"),
    Case("no value", "at_least lacks its value", f'{ACCURACY}kind = "at_least"'),
    Case("no margin", "lacks its margin", NOT_WORSE, where="gate.toml:1"),
    Case(
        "margin with the wrong sign",
        "margin: a margin is a loss, written without sign: margin = 0.02$",
        f"{NOT_WORSE}margin = -0.02",
        where="gate.toml:4",
    ),
    Case("margin of nothing", "0 would let only a better", f"{NOT_WORSE}margin = 0"),
    Case(
        "a margin in words",
        'margin: a number is wanted, not "small"$',
        f'{NOT_WORSE}margin = "small"',
        where="gate.toml:4",
    ),
    Case(
        "a gain with a sign",
        "margin: a margin is a gain, written without sign: margin = 1$",
        f'{ACCURACY}kind = "better_than_baseline"\nmargin = -1',
    ),
    Case("a value in words", 'value: a number is wanted, not "x"$', f"{ACCURACY}{X}"),
    Case("a level in words", 'level: a number is wanted, not "x"$', f'{AT_LEAST}\nlevel = "x"'),
    Case(
        "a switch", "value: a number is wanted, not true$", f"{ACCURACY}{X}".replace('"x"', "true")
    ),
    Case("unknown on", 'on: bound or value, not "x"$', f'{AT_LEAST}\non = "x"'),
    Case("a name of numbers", "name: a text in quotes is wanted, not 3$", f"{AT_LEAST}\nname = 3"),
    Case("value of no number", "finite", f'{ACCURACY}kind = "at_most"\nvalue = nan'),
    Case("a share of nothing", "share", f'{ACCURACY}kind = "share_of_ceiling"\nvalue = -1'),
    Case("negative tolerance", "negative", f'{ACCURACY}kind = "exact"\ntolerance = -1'),
    Case("level of 95", "level: a share such as 0.95", f"{AT_LEAST}\nlevel = 95"),
    Case("level of 95 asked", "a share such as 0.95", command=(*GATE, "--level", "95")),
    Case(
        "unknown outcome",
        'inconclusive: report, pass or fail, not "ignore"$',
        f'{AT_LEAST}\ninconclusive = "ignore"',
        where="gate.toml:5",
    ),
    Case("a slice of numbers", "slice: wants a field", f"{AT_LEAST}\nslice = 3"),
    Case("half a slice", "slice: wants a field", f'{AT_LEAST}\nslice = {{ field = "domain" }}'),
    Case(
        "second table",
        "lacks its value",
        f'{AT_LEAST}\n[[gate]]\n{ACCURACY}kind = "at_most"',
        where="gate.toml:5",
    ),
    Case(
        "unknown metric",
        'no metric "acuracy"; did you mean "accuracy"',
        AT_LEAST.replace("accuracy", "acuracy"),
        where="gate.toml:1",
    ),
    Case("unknown output", 'has no output "AP"', f'{AT_LEAST}\noutput = "AP"'),
    Case(
        "unknown slice field",
        'no slices by "domian"; did you mean "domain"',
        f'{AT_LEAST}\nslice = "domian"',
    ),
    Case(
        "unknown slice value",
        'no slice domain="nws"; did you mean "news"',
        f'{AT_LEAST}\nslice = {{ field = "domain", value = "nws" }}',
    ),
    Case("no ceiling", "holds no ceiling", f'{ACCURACY}kind = "share_of_ceiling"\nvalue = 0.9'),
    Case("no raters", "agreement", 'metric = "alpha"\nkind = "agreement_at_least"\nvalue = 0.7'),
    Case("no baseline", "wants a baseline", f"{NOT_WORSE}margin = 0.1", no_baseline),
    Case(
        "missing baseline",
        r"no result here to pair with; .* RESULT --baseline results/s/nobody --update-baseline "
        r"keeps one there; did you mean results/s/system\?$",
        f"{NOT_WORSE}margin = 0.1",
        command=(*GATE, "--baseline", "results/s/nobody"),
    ),
    Case(
        "baseline of other ids",
        'only the baseline has "x0", "x1", "x10" and 57 more; only system has "1", "10", "11"',
        f"{NOT_WORSE}margin = 0.1",
        other_baseline(ids=[f"x{i}" for i in range(60)]),
    ),
    Case(
        "baseline of other references",
        "different (references|fit)",
        f"{NOT_WORSE}margin = 0.1",
        other_baseline(references=["a", "b"] * 30),
    ),
    Case(
        "baseline of other metrics",
        "has no table of accuracy",
        f"{NOT_WORSE}margin = 0.1",
        other_baseline(metrics=["f1"]),
    ),
    Case(
        "no such result",
        "no such result; there are results/s/system$",
        command=("gate", "zzz"),
    ),
    Case("a system", r"did you mean results/s/system\?$", command=("gate", "system")),
    Case("a system, misspelt", r"did you mean results/s/system\?$", command=("gate", "sistem")),
    Case("set and system", r"did you mean results/s/system\?$", command=("gate", "s/system/")),
    Case("no set", r"did you mean results/s/system\?$", command=("gate", "results/system")),
    Case("a set", r"did you mean results/s\?$", command=("gate", "s")),
    Case(
        "a system of two sets",
        r"did you mean results/s/system or results/t/system\?$",
        prepare=lambda folder: scored(GOOD, set="t").save(folder / "results"),
        command=("gate", "system"),
    ),
    Case(
        "no results at all",
        "no such result; evalkit score writes one$",
        command=("gate", "system"),
        prepare=lambda at: hide(at),
    ),
    Case(
        "a baseline by its system",
        r"no result here to pair with; .*; did you mean results/s/system\?$",
        f"{NOT_WORSE}margin = 0.1",
        command=(*GATE, "--baseline", "system"),
    ),
    Case(
        "truncated baseline",
        "not valid JSON: .*; git checkout evalkit-baseline, or evalkit gate RESULT "
        "--update-baseline$",
        f"{NOT_WORSE}margin = 0.1",
        prepare=cuts("evalkit-baseline/result.json"),
        where="evalkit-baseline/result.json",
    ),
    Case(
        "truncated table of the baseline",
        "; git checkout evalkit-baseline, or evalkit gate RESULT --update-baseline$",
        f"{NOT_WORSE}margin = 0.1",
        prepare=cuts("evalkit-baseline/tables/accuracy.npz"),
    ),
    Case(
        "a result as baseline, truncated",
        "not valid JSON: [^;]*$",
        f"{NOT_WORSE}margin = 0.1",
        prepare=broken_twin,
        command=(*GATE, "--baseline", "results/s/twin"),
    ),
    Case("no results", "which result", command=("gate",), prepare=lambda at: hide(at)),
    Case("an empty folder", "holds no result", command=("gate", "empty")),
    Case("different sets", "one set at a time", prepare=other_set, command=("gate", "results")),
    Case("truncated result", "not valid JSON", prepare=cuts(f"{SYSTEM}/result.json")),
    Case("corrupted result", "result.json", prepare=writes(f"{SYSTEM}/result.json", b"\xff{}")),
    Case("truncated table", "not a table", prepare=cuts(f"{SYSTEM}/tables/accuracy.npz")),
    Case("truncated examples", "damaged", prepare=cuts(f"{SYSTEM}/examples.jsonl.gz")),
    Case("edited result", "says that accuracy accuracy is 0.99, but its table", prepare=edits),
    Case("unwritable JUnit", "cannot be written", command=(*GATE, "--junit", "gate.toml/x.xml")),
    Case(
        "settings of another name",
        r'\[tool.evalkit\] has no key "gates"; did you mean "gate"',
        command=GATE[:2],
        prepare=writes("pyproject.toml", "[[tool.evalkit.gates]]"),
    ),
    Case(
        "a rule in pyproject.toml",
        "a margin is a loss, written without sign: margin = 1$",
        command=GATE[:2],
        prepare=writes(
            "pyproject.toml",
            f"[tool.evalkit]\ncatalogue = []\n[[tool.evalkit.gate]]\n{NOT_WORSE}margin = -1\n",
        ),
        where="pyproject.toml:6",
    ),
    Case(
        "two results for a baseline",
        "one result becomes the baseline",
        command=("gate", "results", "--update-baseline"),
        prepare=lambda folder: scored(GOOD[::-1], "second").save(folder / "results"),
    ),
    Case(
        "a baseline over something else",
        "holds something else",
        command=("gate", SYSTEM, "--update-baseline", "--baseline", "thesis"),
        prepare=writes("thesis/thesis.tex", "years of work"),
    ),
]


def hide(folder: Path) -> None:
    (folder / "results").rename(folder / "elsewhere")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    domains = ["news", "web"] * 30
    result = scored(GOOD, slices={"domain": domains})
    result.save(tmp_path / "results")
    write_baseline(scored(GOOD, "base"), tmp_path / "evalkit-baseline")
    for name in ("empty", "thesis"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_line_and_exit_2(
    case: Case, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate_file(workplace, case.table)
    case.prepare(workplace)
    code = run(list(case.command))
    said = capsys.readouterr()
    assert code == 2, said
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("evalkit: error: ")
    assert re.search(case.says, lines[0]), lines[0]
    if case.where is not None:
        assert f"{case.where}:" in lines[0]


def test_the_good_case_is_good(workplace: Path) -> None:
    gate_file(workplace, AT_LEAST, f"{NOT_WORSE}margin = 0.1")
    assert run(list(GATE)) == 0


def test_an_error_is_the_one_json_object(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gate_file(workplace, f"{NOT_WORSE}margin = -1")
    assert run([*GATE, "--json"]) == 2
    error = json.loads(capfd.readouterr().out)["error"]
    assert (error["kind"], error["where"]) == ("protocol", "gate.toml:4")


def test_a_summary_that_cannot_be_written_is_an_error(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate_file(workplace, AT_LEAST)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(workplace / "gate.toml" / "summary.md"))
    assert run(list(GATE)) == 2
