"""JUnit XML that a parser reads and the schema of Jenkins' xUnit plug-in allows."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from evalkit.errors import plain
from evalkit.report.junit import junit
from tests.report.verdicts import BARE, HOSTILE, MIXED, document, rule

# junit-10.xsd of the Jenkins xUnit plug-in: (attributes wanted, other attributes, children).
SCHEMA = {
    "testsuites": ((), ("name", "time", "tests", "failures", "errors"), ("testsuite",)),
    "testsuite": (
        ("name", "tests", "failures", "errors"),
        (
            *("group", "time", "skipped", "timestamp", "hostname", "id", "package", "file"),
            *("log", "url", "version"),
        ),
        ("testsuite", "properties", "testcase", "system-out", "system-err"),
    ),
    "properties": ((), (), ("property",)),
    "property": (("name", "value"), (), ()),
    "testcase": (
        ("name",),
        ("time", "classname", "group"),
        ("skipped", "errors", "failure", "system-out", "system-err"),
    ),
    "failure": ((), ("type", "message"), ()),
    "skipped": ((), ("type", "message"), ()),
    "system-out": ((), (), ()),
}
HOLDS_TEXT = ("failure", "skipped", "system-out")


def parsed(text: str) -> ElementTree.Element:
    """By way of bytes, as a server reads it; checked against the schema."""
    root = ElementTree.fromstring(text.encode("utf-8"))
    assert root.tag == "testsuites"
    for element in root.iter():
        wanted, may, children = SCHEMA[element.tag]
        assert set(wanted) <= set(element.attrib) <= {*wanted, *may}
        assert {child.tag for child in element} <= set(children)
        if element.tag not in HOLDS_TEXT:
            assert not (element.text or "").strip()
        assert not (element.tail or "").strip()
    for suite in (root, *root.iter("testsuite")):
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure")))
        assert suite.attrib["errors"] == "0"
    for suite in root.iter("testsuite"):
        assert int(suite.attrib["skipped"]) == len(list(suite.iter("skipped")))
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)
    return root


def test_pass_fail_and_inconclusive() -> None:
    root = parsed(junit(MIXED))
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    passed, failed, skipped = root.iter("testcase")
    assert [child.tag for child in passed] == ["system-out"]
    assert failed.get("name") == "ter at most 40, system B, domain=news"
    failure, unclear = failed.find("failure"), skipped.find("skipped")
    assert failure is not None
    assert unclear is not None
    assert failure.get("type") == "fail"
    assert "value: 45.25" in (failure.text or "")
    message = "inconclusive: with 95 % confidence the difference is at least -0.25; "
    assert unclear.get("message") == message + "about 3,400 examples would settle it"


def test_the_figures_are_properties() -> None:
    suite = parsed(junit(document(rule())))[0]
    found = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert found == {
        "verdict": "pass",
        "kind": "not_worse_than_baseline",
        "metric": "chrf",
        "output": "chrf",
        "value": "45.25",
        "difference": "-0.125",
        "threshold": "-0.5",
        "bound": "-0.25",
        "p": "0.5",
        "p_adjusted": "1",
        "n": "1000",
        "interval": "[-0.25, 0.125]",
        "interval_level": "0.9",
        "interval_method": "bootstrap-t",
    }


@pytest.mark.parametrize(
    ("counts_as", "tags"),
    [("fail", ["failure"]), ("pass", []), ("inconclusive", ["skipped"])],
)
def test_an_inconclusive_rule_is_what_it_counts_as(counts_as: str, tags: list[str]) -> None:
    (case,) = parsed(junit(document(rule("inconclusive", counts_as=counts_as)))).iter("testcase")
    assert [child.tag for child in case] == [*tags, "system-out"]
    if tags:
        assert case[0].get("type") == "inconclusive"


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_hostile_names_stay_names(name: str, verdict: str) -> None:
    hostile = rule(
        verdict,
        name=name,
        system=name,
        metric=name,
        output=name,
        reason=name,
        kind=name,
        slice={"field": name, "value": name},
    )
    root = parsed(junit(document(hostile, hostile)))
    first, second = root.iter("testcase")
    text = plain(name)
    assert first.get("name") == f"{text.strip() or 'rule'}, system {text}, {text}={text}"
    assert second.get("name") == f"{first.get('name')} (2)"
    if verdict != "pass":
        assert first[0].get("message") == f"{verdict}: {text.strip() or 'no reason given'}"


def test_equal_names_are_told_apart() -> None:
    twice = document(rule(name="a", system=None), rule(name="a (2)", system=None))
    twice["rules"].append(rule(name="a", system=None))
    names = [case.get("name") for case in parsed(junit(twice)).iter("testcase")]
    assert names == ["a", "a (2)", "a (3)"]


def test_no_rules_and_bare_rules() -> None:
    assert len(parsed(junit(document()))) == 0
    (case,) = parsed(junit(document(BARE))).iter("testcase")
    assert case.get("name") == "n"


def test_equal_documents_give_equal_bytes() -> None:
    assert junit(MIXED) == junit(MIXED)
    assert junit(MIXED).startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites')
    assert junit(MIXED).endswith("</testsuites>\n")
