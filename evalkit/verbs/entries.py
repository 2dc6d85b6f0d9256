"""`list`, `show` and `new`: what the catalogue holds, and a template for one more."""

from __future__ import annotations

import ast
import keyword
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalkit import catalogue
from evalkit import protocol as protocols
from evalkit.errors import ResultError, UsageError

SINGULAR = {"metrics": "metric", "protocols": "protocol", "studies": "study"}

METRIC = '''"""{title}: what it measures, in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalkit.metric import Fitted, MeanMetric, Output
from evalkit.records.example import Example


@dataclass(frozen=True)
class {class_name}(MeanMetric):
    """ignore_case: compare case-folded."""

    ignore_case: bool = False

    outputs: ClassVar = (Output("{name}", scale=(0, 1), higher_is_better=True),)
    reads: ClassVar = "text"
    reference: ClassVar = "the paper, or the program and its version, that defines it"

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[tuple[float, int]]:
        """(the example's value, 1): here, the share of reference words that are predicted."""
        for example in examples:
            predicted = set(self._words(example.prediction))
            wanted = self._words(example.references[0])
            yield sum(word in predicted for word in wanted) / max(len(wanted), 1), 1

    def _words(self, text: str) -> list[str]:
        return (text.casefold() if self.ignore_case else text).split()
'''

GOLDEN = """{{
  "derivation": "2 of 3 reference words, then 1 of 1: (2/3 + 1) / 2",
  "parameters": {{}},
  "examples": [
    {{"prediction": "the cat", "references": ["the black cat"]}},
    {{"prediction": "dog", "references": ["dog"]}}
  ],
  "values": {{"{name}": 0.8333333333333334}}
}}
"""

PROTOCOL = """title = "{title}: what the task is"
reads = "text"
reference = "the paper that fixes these choices"
metrics = ["bleu", "chrf:word_order=2"]
# cluster = "doc"
# slices = ["domain"]
"""


def titles(kind: str) -> list[tuple[str, str]]:
    """(name, first line) of every entry."""
    return [(name, _title(path)) for name, path in catalogue.entries(kind).items()]


def _title(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return str(tomllib.loads(text).get("title", ""))


def kind_of(word: str) -> str:
    """`metric` or `metrics` -> `metrics`; UsageError where it is none."""
    for kind in catalogue.KINDS:
        if word in (kind, SINGULAR[kind]):
            return kind
    what = f'what is "{word}"?' if word else "which?"
    raise UsageError(f"{what} there are {', '.join(catalogue.KINDS)}")


def show(kind: str, name: str) -> dict[str, Any]:
    """Every fact about a metric or a protocol."""
    if not name:
        found = [SINGULAR[one] for one in catalogue.KINDS if kind in catalogue.entries(one)]
        hint = f"; did you mean: evalkit show {found[0]} {kind}" if found else ""
        raise UsageError(f"show what? e.g. evalkit show metric bleu{hint}")
    match kind_of(kind):
        case "metrics":
            return dict(catalogue.describe(catalogue.metric_class(name)))
        case "protocols":
            protocol = protocols.load(name)
            facts = asdict(protocol) | {"gate": [rule.title for rule in protocol.gate]}
            return {"protocol": facts.pop("name"), **facts}
        case _:
            raise UsageError("no study can be shown yet")


def new(kind: str, name: str) -> list[Path]:
    """Write the template; in a checkout of evalkit a metric's golden file as well."""
    kind = SINGULAR[kind_of(kind)]
    if kind == "study":
        raise UsageError("a metric or a protocol can be made")
    if not name.isidentifier() or name != name.lower() or keyword.iskeyword(name):
        raise UsageError(
            f'"{name}" cannot name a {kind}; lower case and underscores, e.g. my_{kind}'
        )
    if name in catalogue.entries(f"{kind}s"):
        raise UsageError(f'a {kind} called "{name}" exists already')
    title = name.replace("_", " ").capitalize()
    parts = {
        "name": name,
        "title": title,
        "class_name": "".join(word.capitalize() for word in name.split("_")),
    }
    place = _place(f"{kind}s")
    if kind == "protocol":
        return [_write(place / f"{name}.toml", PROTOCOL.format(**parts))]
    written = [_write(place / f"{name}.py", METRIC.format(**parts))]
    golden = Path("tests") / "golden" / "metrics"
    if place == Path("metrics") and golden.is_dir():
        written.append(_write(golden / f"{name}.json", GOLDEN.format(**parts)))
    return written


def _place(kind: str) -> Path:
    """One's own catalogue, if ./pyproject.toml names one; in a checkout its folder; else here."""
    own = catalogue.folders(kind)[1:]
    if own:
        return own[0]
    here = Path(kind)
    checkout = here.is_dir() and here.resolve() == catalogue.folder(kind).resolve()
    return here if checkout else Path()


def _write(path: Path, content: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(content)
    except FileExistsError:
        raise ResultError("exists already; choose another name or delete it", str(path)) from None
    except OSError as error:
        raise ResultError(f"cannot be written: {error.strerror}", str(path)) from None
    return path


def usage(path: Path) -> str:
    """How `score` takes a new entry: by name where the catalogue has it, else by path."""
    kind = "metrics" if path.suffix == ".py" else "protocols"
    flag = "--metric" if path.suffix == ".py" else "--protocol"
    known = path.resolve() in {one.resolve() for one in catalogue.entries(kind).values()}
    return f"evalkit score … {flag} {path.stem if known else f'./{path}'}"
