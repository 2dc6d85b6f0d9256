"""Arrows point one way, the engine names no entry, and nothing heavy is loaded early."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "evalkit"
LAYERS = (
    ("errors", "interrupts"),
    ("parameters",),
    ("records",),
    ("table",),
    ("panels",),
    ("metric",),
    ("catalogue",),
    ("rules",),
    ("protocol",),
    ("java",),
    ("text", "labels", "vision", "neural", "adapters", "stats"),
    ("tables",),
    ("results",),
    ("verbs",),
    ("report",),
    ("cli",),
)
ROOM = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = (
    *("torch", "transformers", "scipy", "pandas", "numba", "numpy", "sacrebleu"),
    *("pyarrow", "fsspec", "zstandard", "aiohttp"),
)


def modules() -> list[Path]:
    return sorted(ENGINE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "evalkit" and len(parts) > 1 and parts[1] in ROOM else None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ENGINE)))
def test_arrows_point_one_way(path: Path) -> None:
    own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own is None:
        return
    for name in imports(path):
        if (theirs := room(name)) is not None and theirs != own:
            assert ROOM[theirs] < ROOM[own], f"{path.name} ({own}) imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ENGINE)))
def test_the_engine_imports_no_catalogue_file(path: Path) -> None:
    bad = re.compile(r"evalkit\.(metrics|protocols|human_eval)\b")
    assert not [name for name in imports(path) if bad.match(name)]


@pytest.mark.parametrize("path", sorted((ROOT / "metrics").glob("*.py")), ids=lambda one: one.stem)
def test_catalogue_files_import_the_engine_and_never_each_other(path: Path) -> None:
    assert not [name for name in imports(path) if name.startswith(("evalkit.metrics", "metrics"))]


def test_every_room_has_a_layer() -> None:
    rooms = {path.relative_to(ENGINE).parts[0].removesuffix(".py") for path in modules()}
    assert rooms - {"__init__", "__main__"} == set(ROOM)


@pytest.mark.parametrize("module", ["evalkit", "evalkit.cli"])
def test_nothing_heavy_is_loaded(module: str) -> None:
    probe = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not [one for one in HEAVY if one in json.loads(done.stdout)]


def test_help_costs_less_than_three_tenths_of_a_second() -> None:
    """User and system time of the best of five, so that other work on the machine counts less."""
    probe = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'evalkit', '--help'], check=True,"
        " stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", probe], cwd=ROOT)) for _ in range(5)
    ]
    assert min(seconds) < 0.3


def test_no_text_tells_anyone_to_install_us_from_an_index() -> None:
    install = re.compile(r"(pip|uv|pipx|conda)[^\n|&;]*\b(install|add)\b[^\n|&;]*\bevalkit(?!\w*/)")
    for path in text_files():
        found = install.search(path.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{path}: {found and found[0]}"


def text_files() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".xml", "") and path.is_file():
            yield path


def test_help_shows_at_most_fifteen_options() -> None:
    short, every = (help_text(flag) for flag in ("--help", "--help-all"))
    options = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", short, re.MULTILINE)
    assert 10 <= len(options) - 1 <= 15  # --help itself aside
    assert "--bootstrap" in every
    assert "--bootstrap" not in short


def help_text(flag: str) -> str:
    command = [sys.executable, "-m", "evalkit", "score", flag]
    return subprocess.check_output(command, cwd=ROOT, text=True)
