"""Time evalkit beside its peers and write docs/benchmarks.md.

`python -m benchmarks.report [SECTION …] [--runs 5] [--write]`: the figures of a section come from
one run, in fresh processes that take turns; other sections stay as they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from importlib import import_module, metadata
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
SECTIONS = {
    "text": "Translation metrics",
    "captions": "CIDEr",
    "meteor": "METEOR",
    "bertscore": "BERTScore",
    "detection": "Detection",
    "comparing": "Comparing two systems",
}
INTRODUCTION = """# Benchmarks

Fresh processes that take turns, medians; each section is one run, with the versions that it ran on,
made by `python -m benchmarks.report --write`. The machine is shared and noisy: trust the ratios,
not the seconds.
"""


def section(name: str, runs: int) -> str:
    """Heading, versions and tables."""
    module = import_module(f"benchmarks.{name}")
    lines: list[str] = module.section(runs)
    libraries = ("numpy", "scipy", *getattr(module, "LIBRARIES", ("sacrebleu", "numba")))
    versions = ", ".join(f"{one} {metadata.version(one)}" for one in libraries)
    machine = f"{os.cpu_count()} processors, {platform.machine()}"
    place = f"Python {platform.python_version()}, {versions}; {machine}."
    return "\n".join([f"## {SECTIONS[name]}", "", place, "", *lines, ""])


def sections(text: str) -> dict[str, str]:
    """The sections that a page has, by their heading."""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): part for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="default: all")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    kept = sections(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {}
    made = {name: section(name, arguments.runs) for name in arguments.sections or SECTIONS}
    if not arguments.write:
        print("\n".join(made.values()))
        return
    found = {name: made.get(name) or kept.get(title) for name, title in SECTIONS.items()}
    PAGE.write_text(
        "\n".join([INTRODUCTION, *(part.strip() + "\n" for part in found.values() if part)]),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
