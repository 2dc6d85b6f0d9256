"""The composite action and the reusable workflow: what they run, and what they never do."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evalkit.cli.app import app
from tests.conftest import ROOT

yaml = pytest.importorskip("yaml", reason="PyYAML reads the workflows; it comes with extra human")

ACTION = ROOT / ".github" / "actions" / "evalkit-gate" / "action.yml"
WORKFLOW = ROOT / ".github" / "workflows" / "gate.yml"
SUMMARIES = ROOT / "examples" / "summaries"
BASH = shutil.which("bash")
FULL_SHA = re.compile(r"actions/[a-z-]+@[0-9a-f]{40}")
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def document(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def action_steps() -> dict[str, dict[str, Any]]:
    """By id; of those that run a script."""
    return {step["id"]: step for step in document(ACTION)["runs"]["steps"] if "run" in step}


def inputs(path: Path) -> set[str]:
    if path == ACTION:
        return set(document(path)["inputs"])
    return set(document(path)[True]["workflow_call"]["inputs"])  # YAML 1.1: `on` is a truth value


@pytest.mark.parametrize("path", [ACTION, WORKFLOW], ids=lambda path: path.name)
def test_scripts_hold_no_expressions(path: Path) -> None:
    """What an input says reaches bash as data in the environment, never as code."""
    steps = [*document(ACTION)["runs"]["steps"]] if path == ACTION else workflow_steps()
    for step in steps:
        assert "${{" not in step.get("run", "")
        assert "run" not in step or step["shell"] == "bash"
    assert "eval " not in path.read_text(encoding="utf-8")


def workflow_steps() -> list[dict[str, Any]]:
    return [step for job in document(WORKFLOW)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", [ACTION, WORKFLOW], ids=lambda path: path.name)
def test_what_is_never_used(path: Path) -> None:
    settings = json.dumps(document(path), default=str)
    for word in ("pull_request_target", "workflow_run", "secrets.", "github.token", "github.event"):
        assert word not in settings


@pytest.mark.parametrize("path", [ACTION, WORKFLOW], ids=lambda path: path.name)
def test_actions_of_others_are_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    for name, rest in used:
        if name.startswith(("./", "OWNER/")):
            continue
        assert FULL_SHA.fullmatch(name), name
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), f"{name} does not say its version"


def test_the_workflow_may_only_read() -> None:
    assert document(WORKFLOW)["permissions"] == {}
    for job in document(WORKFLOW)["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert "timeout-minutes" in job
    for step in workflow_steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", [ACTION, WORKFLOW], ids=lambda path: path.name)
def test_every_input_is_used_and_every_used_one_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = set(re.findall(r"\binputs\.([a-z-]+)", text))
    assert used == inputs(path)


def test_the_workflow_passes_what_the_action_takes() -> None:
    (step,) = (one for one in workflow_steps() if one.get("id") == "gate")
    assert step["uses"] == "./.evalkit/" + str(ACTION.parent.relative_to(ROOT).as_posix())
    assert set(step["with"]) <= inputs(ACTION)
    mine, theirs = document(WORKFLOW)[True]["workflow_call"]["inputs"], document(ACTION)["inputs"]
    for name in set(mine) & set(theirs):
        assert mine[name].get("default") == theirs[name].get("default"), name
    junit = document(ACTION)["inputs"]["junit"]["default"]
    (upload,) = (one for one in workflow_steps() if "upload-artifact" in one.get("uses", ""))
    assert upload["with"]["path"].split() == [junit, step["with"]["results"]]


def has_gate() -> bool:
    return "gate" in {one.name or one.callback.__name__ for one in app.registered_commands}  # type: ignore[union-attr]


@pytest.mark.parametrize("verb", ["score", "gate"])
def test_every_flag_exists(verb: str) -> None:
    if verb == "gate" and not has_gate():
        pytest.skip("this evalkit has no `evalkit gate` yet")
    script = action_steps()[verb]["run"]
    assert f'evalkit" {verb} ' in script
    used = set(re.findall(r"--[a-z-]+(?=[=) ])", script)) - {"--"}
    listed = subprocess.check_output(
        [sys.executable, "-m", "evalkit", verb, "--help-all"], cwd=ROOT, text=True
    )
    assert used
    assert used <= set(re.findall(r"--[a-z-]+", listed))


class Runner:
    """As much of GitHub's runner as the steps need: a workspace, its files, the environment."""

    def __init__(self, folder: Path) -> None:
        self.workspace, self.temporary = folder / "work space", folder / "temp"
        self.outputs, self.summary = folder / "outputs", folder / "summary.md"
        self.workspace.mkdir()
        self.tools = self.temporary / "evalkit" / "bin"
        self.tools.mkdir(parents=True)
        self.outputs.touch()
        self._results = ""

    def install_this_checkout(self) -> None:
        start = f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(ROOT))}\nexec "
        start += shlex.quote(sys.executable)
        self.tool("evalkit", f'{start} -m evalkit "$@"\n')
        self.tool("python", f'{start} "$@"\n')

    def tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script, encoding="utf-8")
        (self.tools / name).chmod(0o755)

    def run(
        self, step: str, given: Mapping[str, str], **more: str
    ) -> subprocess.CompletedProcess[str]:
        """A step with these inputs, the others at their defaults."""
        defaults = {
            name: one.get("default", "") for name, one in document(ACTION)["inputs"].items()
        }
        values = {f"inputs.{name}": text for name, text in {**defaults, **given}.items()}
        values["github.action_path"] = str(ACTION.parent)
        values["steps.score.outputs.results"] = self.output("results")
        own = {
            name: EXPRESSION.sub(lambda found: values[found[1]], text)
            for name, text in action_steps()[step]["env"].items()
        }
        environment = {
            **os.environ,
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_OUTPUT": str(self.outputs),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_ACTIONS": "true",
            "EVALKIT_CACHE": str(self.temporary / "cache"),
            **own,
            **more,
        }
        assert BASH is not None
        return subprocess.run(
            [BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", action_steps()[step]["run"]],
            cwd=self.workspace,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def output(self, name: str) -> str:
        found = re.findall(rf"^{name}=(.*)$", self.outputs.read_text(), re.MULTILINE)
        return found[-1] if found else ""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    if BASH is None:
        pytest.skip("no bash on this machine, and the steps are bash scripts")
    made = Runner(tmp_path)
    made.install_this_checkout()
    return made


def test_the_install_takes_the_checkout_and_its_constraints(runner: Runner) -> None:
    """With a python that only writes down what it was asked to do."""
    asked = runner.temporary / "asked"
    writes = f'#!/bin/sh\nprintf "%s\\n" "$0 $*" >> {shlex.quote(str(asked))}\n'
    runner.tool("python", writes)
    runner.tool("evalkit", writes)
    path = f"{runner.tools}{os.pathsep}{os.environ['PATH']}"
    done = runner.run("install", {"extras": "caption,neural"}, PATH=path)
    assert done.returncode == 0, done.stderr
    made, installed, version = asked.read_text().splitlines()
    assert made.endswith(f"python -m venv {runner.temporary}/evalkit")
    assert f"-c {ROOT}/constraints.txt {ROOT}[caption,neural]" in installed
    assert version.endswith("evalkit --version")
    runner.run("install", {}, PATH=path)
    assert asked.read_text().splitlines()[-2].endswith(f"{ROOT}/constraints.txt {ROOT}")


HOSTILE_FILE = "it's; touch gone $(touch gone) `touch gone`.jsonl"


def test_score_takes_lines_patterns_and_hostile_names(runner: Runner) -> None:
    shutil.copytree(SUMMARIES / "preds", runner.workspace / "preds")
    shutil.copy(SUMMARIES / "refs.jsonl", runner.workspace / "-r.jsonl")
    shutil.copy(SUMMARIES / "preds" / "T5.jsonl", runner.workspace / HOSTILE_FILE)
    (runner.workspace / "mine.toml").write_text(
        'title = "one metric"\nreads = "text"\nmetrics = ["exact_match"]\n'
    )
    given = {
        "predictions": f"preds/*.jsonl\n\nplain={HOSTILE_FILE}\n",
        "references": "-r.jsonl",
        "protocol": "./mine.toml",
    }
    done = runner.run("score", given)
    assert done.returncode == 0, done.stderr
    folder = Path(runner.output("results"))
    assert folder == runner.temporary / "evalkit-results"
    found = sorted(path.parent.name for path in folder.glob("*/*/result.json"))
    assert found == ["BART", "Lead-3", "T5", "plain"]
    assert not (runner.workspace / "gone").exists()
    stopped, *_, resumed = done.stdout.splitlines()
    assert re.fullmatch(r"::stop-commands::[0-9a-f]{32}", stopped)
    assert resumed == f"::{stopped.rpartition(':')[2]}::"


def test_score_fails_as_evalkit_does(runner: Runner) -> None:
    done = runner.run("score", {"predictions": "--help"})
    assert done.returncode == 2
    assert "--help: no such file" in done.stderr
    done = runner.run("score", {"predictions": "x", "results": "a\nverdict=pass"})
    assert done.returncode == 2
    assert runner.output("verdict") == ""


@pytest.mark.parametrize(
    ("code", "inconclusive", "ends", "verdict"),
    [
        (0, "fail", 0, "pass"),
        (1, "fail", 1, "fail"),
        (1, "pass", 1, "fail"),
        (3, "fail", 3, "inconclusive"),
        (3, "pass", 0, "inconclusive"),
        (2, "pass", 2, ""),
        (70, "pass", 70, ""),
        (0, "maybe", 2, ""),
    ],
)
def test_how_the_gate_ends(
    runner: Runner, code: int, inconclusive: str, ends: int, verdict: str
) -> None:
    """With an evalkit that only writes down its arguments and ends with a code."""
    (runner.temporary / "evalkit-scores.json").write_text(
        json.dumps({"results": [{"set": "s", "system": "a b"}, {"set": "s", "system": "ä"}]}),
        encoding="utf-8",
    )
    runner.outputs.write_text("results=/r\n")
    runner.tool("evalkit", f'#!/bin/sh\nprintf "<%s>" "$@"\nexit {code}\n')
    given = {
        "inconclusive": inconclusive,
        "baseline": "base line",
        "rules": "-rules.toml",
        "junit": "$(touch gone).xml",
        "sequential": "true",
    }
    done = runner.run("gate", given)
    assert done.returncode == ends, done.stderr
    assert runner.output("verdict") == verdict
    assert not (runner.workspace / "gone").exists()
    if inconclusive != "maybe":
        wanted = "<gate><--baseline=base line><--rules=-rules.toml><--junit=$(touch gone).xml>"
        assert f"{wanted}<--sequential><--></r/s/a b></r/s/ä>" in done.stdout


def test_the_whole_action(runner: Runner) -> None:
    """Score, then gate; the same predictions as baseline and as system pass."""
    if not has_gate():
        pytest.skip("this evalkit has no `evalkit gate` yet")
    (runner.workspace / "gates.toml").write_text(
        '[[gate]]\nkind = "at_least"\nmetric = "chrf"\nvalue = 20\n'
    )
    given = {
        "predictions": str(SUMMARIES / "preds" / "BART.jsonl"),
        "references": str(SUMMARIES / "refs.jsonl"),
        "rules": "gates.toml",
    }
    (runner.workspace / "p.toml").write_text(
        'title = "one metric"\nreads = "text"\nmetrics = ["chrf"]\n'
    )
    done = runner.run("score", {**given, "protocol": "./p.toml"})
    assert done.returncode == 0, done.stderr
    done = runner.run("gate", given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert runner.output("verdict") == "pass"
    assert "### evalkit gate: ✅ pass" in runner.summary.read_text(encoding="utf-8")
    assert "<testsuites" in (runner.workspace / "evalkit-gate.xml").read_text(encoding="utf-8")
    (runner.workspace / "gates.toml").write_text(
        '[[gate]]\nkind = "at_least"\nmetric = "chrf"\nvalue = 90\n'
    )
    done = runner.run("gate", given)
    assert done.returncode == 1
    assert runner.output("verdict") == "fail"
    assert done.stdout.splitlines()[-1].startswith("::error title=evalkit gate%3A")


@pytest.mark.parametrize(
    ("sequential", "results", "ends"),
    [("true", "", 2), ("true", "kept", 0), ("false", "", 0), ("True", "kept", 2), ("yes", "", 2)],
)
def test_the_inputs_are_checked(runner: Runner, sequential: str, results: str, ends: int) -> None:
    done = runner.run("check", {"sequential": sequential, "results": results})
    assert done.returncode == ends
    assert bool(done.stderr) == bool(ends)


def test_errors_of_the_gate_are_no_commands(runner: Runner) -> None:
    """Only its own annotations are, and they come after commands work again."""
    (runner.temporary / "evalkit-scores.json").write_text('{"results": [{"set":"s","system":"a"}]}')
    said = ["::error title=evalkit gate%3A a::fail", "::set-env name=X::y", "a ##[error]b"]
    lines = " ".join(shlex.quote(line) for line in said)
    runner.tool("evalkit", f'#!/bin/sh\nprintf "%s\\n" {lines} >&2\nexit 1\n')
    done = runner.run("gate", {})
    assert done.returncode == 1
    stop, *inside, resume, annotation = done.stdout.splitlines()
    assert stop.startswith("::stop-commands::")
    assert resume == f"::{stop.rpartition(':')[2]}::"
    assert (inside, annotation) == (said[1:], said[0])
    assert not done.stderr


def test_the_workflow_wants_a_commit_with_a_repository(tmp_path: Path) -> None:
    script = workflow_steps()[0]["run"]
    for repository, commit, ends in (("o/r", "", 2), ("o/r", "c", 0), ("", "", 0), ("", "c", 0)):
        environment = {**os.environ, "REPOSITORY": repository, "REF": commit}
        done = subprocess.run(
            [BASH or "bash", "-ec", script], env=environment, cwd=tmp_path, capture_output=True
        )
        assert done.returncode == ends


def test_no_artifact_replaces_the_checkout_of_evalkit() -> None:
    used = [step.get("uses", step.get("run", "")) for step in workflow_steps()]
    unpacked = next(i for i, one in enumerate(used) if "download-artifact" in one)
    cleared = next(i for i, one in enumerate(used) if "rm -rf .evalkit" in one)
    places = [step.get("with", {}).get("path") for step in workflow_steps()]
    assert unpacked < cleared < places.index(".evalkit")
