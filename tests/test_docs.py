"""Every console line of the README and the docs runs, and prints what they say it prints."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalkit.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "summaries" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALLS = re.compile(r"-m venv|pip install")


@dataclass
class Step:
    command: str
    output: list[str]


def blocks(page: Path, language: str) -> Iterator[str]:
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if found[1] == language:
            yield found[2]


def steps(block: str) -> Iterator[Step]:
    step: Step | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if step is not None:
                yield step
            step = Step(line[2:], [])
        elif step is not None:
            step.output.append(line.rstrip())
    if step is not None:
        yield step


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH in which `evalkit` is this checkout and `python` this interpreter."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "evalkit").write_text(
        f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} "
        '-m evalkit "$@"\n'
    )
    (folder / "evalkit").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_console_lines(page: Path, tmp_path: Path, tools: Path) -> None:
    """In a folder that holds a copy of the examples; installing is tests/install's business."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
    }
    for block in blocks(page, "console"):
        for step in steps(block):
            command = step.command.replace(".venv/bin/evalkit", "evalkit")
            if INSTALLS.search(command):
                command = command.rpartition("&&")[2].strip()
                if not command.startswith("evalkit"):
                    continue
            elif "-m pytest" in command or command.startswith("python -m benchmarks"):
                continue
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )
            wrong = "evalkit: error:" in "\n".join(step.output)
            assert (done.returncode != 0) == wrong, f"{command}\n{done.stderr}"
            printed = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
            missing = [line for line in step.output if line not in ("", "…", *printed)]
            assert not missing, f"{command}\nprints\n" + "\n".join(printed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks(page: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    if not code:
        return
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_verb_has_its_page() -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    groups = {group.name for group in app.registered_groups}
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    for verb in verbs | groups:
        assert re.search(rf"^#+ .*`evalkit {verb}\b", text, re.MULTILINE), f"no heading for {verb}"


def test_the_install_commands_use_the_constraints() -> None:
    commands = [
        line for block in blocks(ROOT / "README.md", "console") for line in block.splitlines()
    ]
    installs = [line for line in commands if "pip install" in line]
    assert len(installs) == 3
    assert all("-c constraints.txt" in line for line in installs)
    constraints = (ROOT / "constraints.txt").read_text()
    assert "torch==2.13.0\n" in constraints
    assert "://" not in constraints


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
