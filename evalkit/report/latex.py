"""A grid as a LaTeX table (booktabs), whatever its texts hold."""

from __future__ import annotations

import unicodedata

from evalkit.errors import plain
from evalkit.report.grid import Grid

_NAMED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": r"\textendash{}",
    "\N{REPLACEMENT CHARACTER}": "?",
}


def escaped(text: str) -> str:
    """As text: no command, no comment, no end of a cell or a row."""
    made = "".join(_one(one) for one in unicodedata.normalize("NFC", plain(text)))
    return made.replace("--", "-{}-").replace("--", "-{}-")


def _one(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    return f"\\{character}" if character in "&%$#_{}" else character


def written(grid: Grid) -> str:
    """A `table` that wants `\\usepackage{booktabs}`; the notes stand below it."""
    columns = "".join("r" if one.right else "l" for one in grid.columns)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(grid.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(escaped(one.heading) for one in grid.columns) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(grid.rows):
        if number in grid.breaks:
            lines.append(r"\midrule")
        lines.append(" & ".join(map(escaped, row)) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {escaped(note)}" for note in grid.notes]
    return "\n".join((*lines, r"\end{table}")) + "\n"
