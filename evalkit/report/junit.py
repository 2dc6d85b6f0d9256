"""A gate's verdicts as JUnit XML, for servers that show tests.

JUnit knows no "inconclusive": it becomes a skipped test with its reason, which Jenkins, GitLab and
Azure show apart from passed and failed ones; a failure only where the rule counts it as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from evalkit.report.gate_words import Rule, counts_as, figures, said, subject

CLASS = "evalkit.gate"


def junit(document: Mapping[str, Any]) -> str:
    """A suite with one test per rule, because the schemas allow properties to suites only.

    Valid under the schema of Jenkins' xUnit plug-in (junit-10.xsd), which is the strictest that is
    in use. Names keep printable characters; others become U+FFFD. The figures are in the test's
    output too, which more servers show.
    """
    rules: Sequence[Rule] = document["rules"]
    root = ElementTree.Element("testsuites", name="evalkit gate")
    for name, rule in zip(_distinct([subject(rule) for rule in rules]), rules, strict=True):
        _add_suite(root, name, rule)
    failures = str(len(root.findall("*/*/failure")))
    root.attrib |= {"tests": str(len(rules)), "failures": failures, "errors": "0"}
    ElementTree.indent(root, " ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_suite(root: ElementTree.Element, name: str, rule: Rule) -> None:
    outcome = _outcome(rule)
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=name,
        tests="1",
        failures=str(int(outcome == "failure")),
        errors="0",
        skipped=str(int(outcome == "skipped")),
    )
    shown = [("verdict", str(rule["verdict"])), *figures(rule)]
    properties = ElementTree.SubElement(suite, "properties")
    for key, text in shown:
        ElementTree.SubElement(properties, "property", name=key, value=text)
    case = ElementTree.SubElement(suite, "testcase", name=name, classname=CLASS)
    lines = "\n".join(f"{key}: {text}" for key, text in shown)
    if outcome is not None:
        found = ElementTree.SubElement(case, outcome, type=str(rule["verdict"]))
        found.set("message", f"{rule['verdict']}: {said(rule)}")
        if outcome == "failure":
            found.text = lines
    output = ElementTree.SubElement(case, "system-out")
    output.text = f"{said(rule)}\n{lines}"


def _outcome(rule: Rule) -> str | None:
    """The element that says so; none for a pass."""
    return {"pass": None, "fail": "failure"}.get(counts_as(rule), "skipped")


def _distinct(names: Sequence[str]) -> list[str]:
    """Servers merge tests of one name, so the second becomes `name (2)`."""
    taken: dict[str, None] = {}
    for name in names:
        number, own = 1, name
        while own in taken:
            number += 1
            own = f"{name} ({number})"
        taken[own] = None
    return list(taken)
