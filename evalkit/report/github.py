"""A gate's verdicts for GitHub: a step summary in Markdown, and annotations.

Names come from files that anyone may have written; none of them may become markup or a command.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evalkit.errors import counted, plain
from evalkit.report import gate_words as words
from evalkit.report.gate_words import Rule, counts_as, said, subject

SIGNS = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "⚠️ inconclusive"}
ORDER = ("fail", "inconclusive", "pass")
MOST_ROWS = 500  # a summary may have 1 MiB
MOST_ANNOTATIONS = 10  # of a kind and step; GitHub drops the others
COMMANDS = {"fail": "error", "inconclusive": "warning"}
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~&$:@#!])|(?<=www)(\.)", re.IGNORECASE)
_COMMAND = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*:):", re.MULTILINE)
_COLUMNS: tuple[tuple[str, str, Callable[[Rule], str]], ...] = (
    ("rule", "---", lambda rule: plain(str(rule["name"]))),
    ("system", "---", lambda rule: plain(str(rule.get("system") or ""))),
    ("slice", "---", lambda rule: words.slice_name(rule) or ""),
    ("n", "--:", lambda rule: f"{rule['n']:,}" if "n" in rule else ""),
    ("value", "--:", words.value),
    ("difference", "--:", words.difference),
    ("bounds", "--:", words.bounds),
    ("wanted", "--:", words.wanted),
)


def summary(document: Mapping[str, Any]) -> str:
    """The verdict, of what, a table of the rules, and why each that does not pass does not.

    GitHub-flavoured Markdown for GITHUB_STEP_SUMMARY, with a final newline. The worst first where
    there are more than 500 checks, and the number of those left out.
    """
    rules: Sequence[Rule] = document["rules"]
    shown = rules
    if len(rules) > MOST_ROWS:
        shown = sorted(rules, key=lambda rule: ORDER.index(rule["verdict"]))[:MOST_ROWS]
    name, against = words.headline(document)
    lines = [f"### evalkit gate: {SIGNS[document['verdict']]}", ""]
    lines += [f"{_code(name)}: {_escaped(against)}", "", _tally(rules), ""]
    if shown:
        lines += [*_table(shown), ""]
    if len(shown) < len(rules):
        left = counted(len(rules) - len(shown), "more check")
        lines += [f"{left} in the output of `evalkit gate --json`.", ""]
    if note := words.bounds_note(shown):
        lines += [note, ""]
    reasons = [
        f"- **{_escaped(subject(rule))}**: {_sign(rule)}: {_escaped(said(rule))}"
        for rule in shown
        if rule["verdict"] != "pass"
    ]
    return "\n".join([*lines, *reasons]).rstrip("\n") + "\n"


def annotations(document: Mapping[str, Any]) -> Iterator[str]:
    """One line `::error title=…::…` per rule that fails, `::warning …` per inconclusive one.

    By what the verdict counts as. GitHub shows ten of a kind, so the tenth line of more says how
    many there are.
    """
    for kind, command in COMMANDS.items():
        mine = [rule for rule in document["rules"] if _raised(rule) == kind]
        most = len(mine) if len(mine) <= MOST_ANNOTATIONS else MOST_ANNOTATIONS - 1
        for rule in mine[:most]:
            title = f"evalkit gate: {subject(rule)}"
            message = f"{rule['verdict']}: {said(rule)}"
            yield f"::{command} title={_property(title)}::{_data(message)}"
        if left := len(mine) - most:
            yield f"::{command} title=evalkit gate::{counted(left, 'more check')}: {kind}"


def _raised(rule: Rule) -> str:
    """A rule that passes although it is inconclusive still warns."""
    counted_as = counts_as(rule)
    return str(rule["verdict"]) if counted_as == "pass" else counted_as


def _sign(rule: Rule) -> str:
    sign, counted_as = SIGNS[rule["verdict"]], counts_as(rule)
    return sign if counted_as == rule["verdict"] else f"{sign} (counts as {counted_as})"


def _tally(rules: Sequence[Rule]) -> str:
    counts = {kind: sum(rule["verdict"] == kind for rule in rules) for kind in ORDER}
    said_of = {"fail": "failed", "inconclusive": "inconclusive", "pass": "passed"}
    parts = [f"{counts[kind]:,} {said_of[kind]}" for kind in ORDER if counts[kind]]
    return f"{counted(len(rules), 'check')}: {', '.join(parts)}." if rules else "No rules."


def _table(rules: Sequence[Rule]) -> Iterator[str]:
    """Without the columns that would be empty."""
    columns = [one for one in _COLUMNS if any(one[2](rule) for rule in rules)]
    yield _row([*(name for name, _, _ in columns), "verdict"])
    yield _row([*(line for _, line, _ in columns), "---"])
    for rule in rules:
        yield _row([*(_escaped(cell(rule)) for _, _, cell in columns), _sign(rule)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def inert(text: str) -> str:
    """Output in which the runner finds no command: `::` first in a line, or `##[` anywhere.

    As ActionCommand.cs of actions/runner looks for them: after any leading space.
    """
    return _COMMAND.sub(r"\1 :", text).replace("##[", "## [")


def _code(text: str) -> str:
    """A code span that holds just this text (CommonMark 0.31, section 6.1)."""
    shown = plain(text).strip() or "no name"
    longest = max((len(one) for one in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}" if longest else f"{fence}{shown}{fence}"


def _escaped(text: str) -> str:
    """Text that stays text in a cell or in a line of Markdown."""
    return _MARKUP.sub(r"\\\1\2", plain(text).strip())


def _data(text: str) -> str:
    """As @actions/core's command.ts does with a message."""
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """As @actions/core's command.ts does with a property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
