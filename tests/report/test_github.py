"""Markdown that renders as meant, and annotations that are one command each."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

import pytest

from evalkit.errors import plain
from evalkit.report import github
from evalkit.report.gate_words import subject
from tests.report.verdicts import BARE, HOSTILE, MIXED, document, rule

markdown_it = pytest.importorskip("markdown_it", reason="markdown-it-py comes with rich")


def rendered(text: str) -> list[Any]:
    """Tokens as GitHub's parser sees them: CommonMark, tables, strike-through."""
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens: list[Any] = parser.parse(text)
    return tokens


def cells(tokens: list[Any]) -> list[list[str]]:
    """The text of each row's cells; AssertionError where a cell holds more than text."""
    rows: list[list[str]] = []
    for before, token in itertools.pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if before.type in ("th_open", "td_open"):
            rows[-1].append(only_text(token))
    return rows


def only_text(token: Any) -> str:
    assert {child.type for child in token.children} <= {"text", "text_special"}
    return "".join(child.content for child in token.children)


def test_the_summary_of_three_rules() -> None:
    text = github.summary(MIXED)
    tokens = rendered(text)
    assert text.startswith(
        "### evalkit gate: ❌ fail\n\n`news`: B against A, look 3\n\n"
        "3 checks: 1 failed, 1 inconclusive, 1 passed."
    )
    assert cells(tokens) == [
        ["rule", "system", "slice", "n", "value", "difference", "bounds", "wanted", "verdict"],
        [
            *("chrf not worse than baseline, margin 0.5", "B", "", "1,000", "45.25", "-0.12"),
            *("[-0.25, +0.12]", "> -0.5", "✅ pass"),
        ],
        [
            *("ter at most 40", "B", "domain=news", "1,000", "45.25", "-0.12"),
            *("[-0.25, +0.12]", "> -0.5", "❌ fail"),
        ],
        [
            *("bleu at least 30", "B", "", "1,000", "45.25", "", "[-0.25, 0.12]", "> -0.5"),
            "⚠️ inconclusive",
        ],
    ]
    assert "Bounds: one-sided 95 % each." in text
    assert "about 3,400 examples would settle it" in text
    assert sum(token.type == "list_item_open" for token in tokens) == 2
    assert text.endswith("settle it\n")


def test_empty_columns_are_left_out() -> None:
    rows = cells(rendered(github.summary(document(BARE))))
    assert rows == [["rule", "verdict"], ["n", "✅ pass"]]
    assert github.summary(document()) == (
        "### evalkit gate: ✅ pass\n\n`news`: B against A\n\nNo rules.\n"
    )


def test_what_an_inconclusive_rule_counts_as_is_said() -> None:
    text = github.summary(document(rule("inconclusive", counts_as="pass")))
    assert "⚠️ inconclusive (counts as pass)" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_in_the_summary(name: str) -> None:
    """Under a parser that would also take raw HTML and bare links."""
    hostile = rule(
        "fail", name=name, system=name, reason=name, slice={"field": name, "value": name}
    )
    made = document(hostile, rule()) | {"systems": [name], "baseline": name}
    text = github.summary(made)
    tokens = rendered(text)
    wanted = [plain(one).strip() for one in (name, name, f"{name}={name}")]
    header, row, _ = cells(tokens)
    shown = dict(zip(header, row, strict=True))
    assert [shown["rule"], shown["system"], shown["slice"]] == wanted
    kinds = {token.type for token in tokens} | {
        child.type for token in tokens for child in token.children or ()
    }
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "s_open"}
    assert [
        child.content
        for one in tokens
        for child in one.children or ()
        if child.type == "code_inline"
    ] == ["news"]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h3"]
    assert sum(token.type == "list_item_open" for token in tokens) == 1
    (item,) = (token for token in tokens if token.content.startswith("**"))
    said = "".join(child.content for child in item.children)
    assert said.startswith(f"{subject(hostile).strip()}: ❌ fail: ")
    assert [child.type for child in item.children if child.type.startswith("strong")] == [
        *("strong_open", "strong_close"),
    ]
    page = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert "<script" not in page
    assert "www.example" not in text


def test_the_worst_rules_come_first_where_there_are_too_many() -> None:
    many = [rule(name=f"rule {number}") for number in range(2000)]
    text = github.summary(document(*many, rule("fail", name="the last")))
    rows = cells(rendered(text))
    assert len(rows) == 501
    assert rows[1][0] == "the last"
    assert "1,501 more checks in the output of `evalkit gate --json`." in text
    assert len(text.encode()) < 2**20


def unescaped(text: str) -> str:
    """As the runner's ActionCommand does."""
    for code, one in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, one)
    return text


COMMAND = re.compile(r"::(error|warning) title=([^:,\r\n]*)::([^\r\n]*)")


def test_annotations_name_what_does_not_pass() -> None:
    error, warning = github.annotations(MIXED)
    reason = "with 95 %25 confidence the difference is at least -0.25"
    title = "evalkit gate%3A ter at most 40%2C system B%2C domain=news"
    assert error == f"::error title={title}::fail: {reason}"
    assert warning.startswith("::warning title=evalkit gate%3A bleu at least 30%2C system B::inc")
    assert list(github.annotations(document(rule()))) == []


@pytest.mark.parametrize(
    ("counts_as", "command"), [("fail", "error"), ("pass", "warning"), ("inconclusive", "warning")]
)
def test_an_inconclusive_rule_is_annotated_as_it_counts(counts_as: str, command: str) -> None:
    (line,) = github.annotations(document(rule("inconclusive", counts_as=counts_as)))
    assert line.startswith(f"::{command} ")


@pytest.mark.parametrize("name", [*HOSTILE, "`", "``a` b```", "a|b`", "\\`"])
def test_the_set_is_a_code_span_whatever_its_name(name: str) -> None:
    text = github.summary(document(rule()) | {"set": name})
    (line,) = (one for one in rendered(text) if "against A" in one.content)
    code, rest = line.children
    assert (code.type, code.content) == ("code_inline", plain(name).strip() or "no name")
    assert rest.content == ": B against A, look 3"


def test_several_systems_and_looks_are_counted() -> None:
    many = document(rule(look=4), rule(look=5)) | {"systems": list("BCDEF"), "baseline": None}
    assert "`news`: B, C, D and 2 more against fixed limits, looks 4 to 5\n" in github.summary(many)


@pytest.mark.parametrize(
    "line",
    [
        "::error::x",
        "  ::add-mask::x",
        "\x1b[1m::stop-commands::x",
        "a ##[error]x",
        "###[add-mask]x",
        "##[##[error]x",
        "fine\n::set-output name=a::b\nfine",
    ],
)
def test_no_line_is_a_command(line: str) -> None:
    """As ActionCommand.cs looks: `::` after leading space, `##[` anywhere."""
    text = github.inert(line)
    assert "##[" not in text
    assert not any(
        re.sub(r"\x1b\[[0-9;]*m", "", one).lstrip().startswith("::") for one in text.splitlines()
    )
    assert text.replace(" ", "") == line.replace(" ", "")


def test_what_is_no_command_stays() -> None:
    text = " rule  a::b #[x] ## [y]\n: :c\n"
    assert github.inert(text) == text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_inside_their_annotation(name: str) -> None:
    hostile = rule("fail", name=name, system=name, reason=name)
    (line,) = github.annotations(document(hostile))
    found = COMMAND.fullmatch(line)
    assert found is not None
    assert unescaped(found[2]) == f"evalkit gate: {subject(hostile)}"
    assert unescaped(found[3]) == f"fail: {plain(name).strip() or 'no reason given'}"
    assert len(line.splitlines()) == 1
    line.encode()


def test_more_than_ten_annotations_are_counted() -> None:
    lines = list(github.annotations(document(*[rule("fail", name=f"{i}") for i in range(30)])))
    assert len(lines) == 10
    assert lines[-1] == "::error title=evalkit gate::21 more checks: fail"
    assert html.unescape(lines[0]) == lines[0]
