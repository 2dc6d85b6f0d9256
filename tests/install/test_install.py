"""The same command from a wheel, from an editable install and from a plain checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUMMARIES = ROOT / "examples" / "summaries"
SCORE = [
    "score",
    str(SUMMARIES / "preds" / "BART.jsonl"),
    "--refs",
    str(SUMMARIES / "refs.jsonl"),
    "--metric",
    "bleu",
    "--workers",
    "2",
    "--no-cache",
    "--json",
]


def run(*command: object, cwd: Path, **more: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more
    done = subprocess.run(
        [str(one) for one in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def value(stdout: str) -> dict[str, object]:
    (score,) = json.loads(stdout)["results"][0]["scores"]
    assert score["interval"]["low"] < score["value"] < score["interval"]["high"]
    return dict(score)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that would be committed, so that no build folder of ours is in the way."""
    target = tmp_path_factory.mktemp("copy") / "checkout"
    ignore = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, target, ignore=ignore)
    return target


@pytest.fixture(scope="module")
def from_checkout(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("plain")
    return value(run(sys.executable, "-m", "evalkit", *SCORE, cwd=folder, PYTHONPATH=str(ROOT)))


def environment(folder: Path, *packages: object) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "-q", "-c", constraints, *packages, cwd=folder)
    return python


@pytest.mark.network
def test_wheel_in_an_empty_folder(
    copy: Path, tmp_path: Path, from_checkout: dict[str, object]
) -> None:
    run(sys.executable, "-m", "build", "-w", "-n", "-o", tmp_path / "dist", copy, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    python = environment(tmp_path / "venv", wheel)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert value(run(python.parent / "evalkit", *SCORE, cwd=empty)) == from_checkout
    listed = run(python, "-m", "evalkit", "list", "metrics", "--json", cwd=empty)
    assert {"bleu", "chrf", "ter", "exact_match"} <= {
        entry["name"] for entry in json.loads(listed)["metrics"]
    }
    packages = run(python, "-c", TOP_LEVEL, cwd=empty)
    assert packages.split() == ["evalkit"]
    core_only(python.parent / "evalkit", empty)


LEXICAL = ("bleu", "chrf", "cider", "coco_bleu", "rouge", "rouge_l", "wer", "cer", "length")
HINTS = {
    "meteor": "pip install pycocoevalcap==1.2",
    "spice": "pip install pycocoevalcap==1.2",
    "cider:tokenize=ptb-java": "pip install pycocoevalcap==1.2",
    "bertscore": "pip install",
    "rouge:stemmer=true": "pip install nltk",
    "torchmetrics:text.BLEUScore": "pip install",
}


def core_only(command: Path, folder: Path) -> None:
    """Without torch, Java's jars and the extras: what is lexical runs, the rest says what to do."""
    assert "Usage" in run(command, "--help", cwd=folder)
    score = [*SCORE[:4], "--no-cache", "--no-save", "--json", "--interval", "none"]
    asked = [part for name in LEXICAL for part in ("--metric", name)]
    found = json.loads(run(command, *score, *asked, cwd=folder))["results"][0]["scores"]
    assert {one["metric"] for one in found if one["status"] == "ok"} == set(LEXICAL)
    for spec, hint in HINTS.items():
        both = [*score, "--metric", "length", "--metric", spec]
        records = json.loads(run(command, *both, cwd=folder))["results"][0]["scores"]
        (reason, *_) = [one["reason"] for one in records if one["status"] == "unavailable"]
        assert hint in reason
        assert "\n" not in reason


TOP_LEVEL = """
import importlib.metadata as metadata
files = metadata.distribution("evalkit-harness").files
print(*sorted({file.parts[0] for file in files if file.parts[0].isidentifier()}))
"""


@pytest.mark.network
def test_editable_install(copy: Path, tmp_path: Path, from_checkout: dict[str, object]) -> None:
    python = environment(tmp_path / "venv", "setuptools", "-e", copy)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert value(run(python.parent / "evalkit", *SCORE, cwd=empty)) == from_checkout


def test_another_projects_metrics_folder_is_not_taken(tmp_path: Path) -> None:
    """Without our pyproject.toml beside it, a folder called `metrics` is somebody else's."""
    shutil.copytree(ROOT / "evalkit", tmp_path / "evalkit")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "bleu.py").write_text("raise SystemExit('not ours')")
    probe = "import evalkit, importlib.util as u; print(u.find_spec('evalkit.metrics'))"
    assert run(sys.executable, "-c", probe, cwd=tmp_path).strip() == "None"
