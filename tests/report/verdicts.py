"""Gate documents to report on, also from hostile hands."""

from __future__ import annotations

from typing import Any

HOSTILE = (
    'a "quoted" & <b>bold</b> name',
    "<script>alert(1)</script>",
    "a | b || c",
    "line one\nline two\r\nline three",
    "::error::injected",
    "%0A::add-mask::x",
    "title=x,file=/etc/passwd::message",
    "null\x00, vertical tab \x0b, escape \x1b[31m, delete \x7f, next line \x85",
    "lone surrogates \ud800 \udfff",
    "not characters \ufffe \uffff \U0001fffe",
    "turned \u202e around, zero\u200bwidth, separators \u2028 \u2029",
    "[link](https://example.org) ![image](x.png) `code` **bold** _it_ ~~struck~~ $x^2$",
    "\\| \\\\ &lt; &amp;#124; <!-- comment",
    "]]> <![CDATA[",
    "# heading",
    "- [ ] task",
    "1. one",
    "www.example.org https://example.org user@example.org",
    "   ",
    "",
    "Ünïcödé 漢字 🙂",
)


def rule(verdict: str = "pass", **more: Any) -> dict[str, Any]:
    return {
        "name": "chrf not worse than baseline, margin 0.5",
        "kind": "not_worse_than_baseline",
        "metric": "chrf",
        "output": "chrf",
        "slice": None,
        "system": "B",
        "n": 1000,
        "scale": [0, 100],
        "higher_is_better": True,
        "look": 3,
        "threshold": -0.5,
        "value": 45.25,
        "bound": -0.25,
        "difference": -0.125,
        "interval": {"low": -0.25, "high": 0.125, "level": 0.9, "method": "bootstrap-t"},
        "verdict": verdict,
        "reason": "with 95 % confidence the difference is at least -0.25",
        "examples_wanted": None,
        "p": 0.5,
        "p_adjusted": 1.0,
        **more,
    }


def document(*rules: dict[str, Any]) -> dict[str, Any]:
    verdicts = {one.get("counts_as", one["verdict"]) for one in rules}
    worst = next((one for one in ("fail", "inconclusive") if one in verdicts), "pass")
    return {
        "schema": 1,
        "kind": "gate",
        "verdict": worst,
        "set": "news",
        "systems": ["B"],
        "baseline": "A",
        "rules": list(rules),
    }


MIXED = document(
    rule(),
    rule("fail", name="ter at most 40", slice={"field": "domain", "value": "news"}),
    rule("inconclusive", name="bleu at least 30", difference=None, examples_wanted=3400),
)
BARE = {"name": "n", "kind": "exact", "verdict": "pass", "reason": "", "metric": "bleu"}
