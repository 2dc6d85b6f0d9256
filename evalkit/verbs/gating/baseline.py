"""A baseline that lives in the repository: what pairing needs, without any text."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import ResultError
from evalkit.interrupts import interrupts_blocked
from evalkit.results import Result, encode
from evalkit.results.reading import read_document
from evalkit.results.result import table_file
from evalkit.results.swapping import aside_of, locked, tidy

BASELINE = "evalkit-baseline"
OWN = {"result.json", "tables", "examples.jsonl.gz", "run.json"}
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One value of the whole set; before, after: its records in the old and the new result."""

    before: Record
    after: Record

    @property
    def way(self) -> str:
        """`better`, `worse` or `unmoved`, by the values alone."""
        moved = self.after["value"] - self.before["value"]
        if not moved:
            return "unmoved"
        return "better" if (moved > 0) == self.after["higher_is_better"] else "worse"


@dataclass(frozen=True)
class Kept:
    """The baseline now; before: the document that it replaced, None where there was none.

    changes: what both have of the same examples and references; None where these differ.
    """

    place: Path
    system: str
    before: Record | None = None
    changes: list[Change] | None = None

    def document(self) -> dict[str, Any]:
        """What --json prints."""
        changes = [
            {
                "label": one.after["label"],
                "output": one.after["output"],
                "before": one.before["value"],
                "value": one.after["value"],
                "higher_is_better": one.after["higher_is_better"],
            }
            for one in self.changes or []
        ]
        return {
            "schema": 1,
            "kind": "baseline",
            "baseline": str(self.place),
            "system": self.system,
            "before": None if self.before is None else self.before["system"],
            "changes": changes,
        }


def keep_baseline(result: Result, target: Path) -> Kept:
    """Write it, and what it changes; errors as for write_baseline."""
    before = None
    with suppress(ResultError):  # a damaged one is replaced
        before = read_document(target)
    place = write_baseline(result, target)
    if before is None:
        return Kept(place, result.system)
    return Kept(place, result.system, before, _changes(before, result.document))


def _changes(before: Record, after: Record) -> list[Change] | None:
    same = ("references", "examples")
    if any(before["inputs"].get(key) != after["inputs"].get(key) for key in same):
        return None
    old = {(one["label"], one["output"]): one for one in _whole(before)}
    found = [(old.get((one["label"], one["output"])), one) for one in _whole(after)]
    return [Change(earlier, now) for earlier, now in found if earlier is not None]


def _whole(document: Record) -> list[Record]:
    """Its values on the whole set, without details."""
    return [
        one
        for one in document["scores"]
        if one["slice"] is None and one["value"] is not None and not one.get("detail")
    ]


def write_baseline(result: Result, target: Path) -> Path:
    """result.json, the tables, and ids with clusters and slices where there are some.

    Predictions, references, warnings (they quote examples) and run.json stay out; class names stay
    where a metric counts by class. Equal results give equal bytes; the old baseline is replaced
    whole. ResultError where the folder holds anything else.
    """
    _refuse_foreign(target)
    aside = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = aside_of(target)
        (aside.path / "new" / "tables").mkdir(parents=True)
        _write_files(aside.path / "new", result)
        with interrupts_blocked(), locked(target.parent):
            tidy(target)
            aside.put()
    except OSError as error:
        raise ResultError(f"cannot be written: {error.strerror}", str(target)) from None
    finally:
        if aside is not None:
            aside.drop()
    return target


def _refuse_foreign(target: Path) -> None:
    if not target.exists():
        return
    foreign = sorted({one.name for one in target.iterdir()} - OWN) if target.is_dir() else ["it"]
    empty = target.is_dir() and not any(target.iterdir())
    if foreign or not (empty or (target / "result.json").is_file()):
        shown = f" ({', '.join(foreign[:3])})" if target.is_dir() and foreign else ""
        raise ResultError(
            f"holds something else{shown}; name another folder: --baseline FOLDER", str(target)
        )


def _write_files(folder: Path, result: Result) -> None:
    (folder / "result.json").write_bytes(encode({**result.document, "warnings": []}))
    for label, table in result.tables.items():
        with (folder / table_file(label)).open("wb") as stream:
            table.save(stream)
    fields = {record["slice"]["field"] for record in result.scores if record["slice"] is not None}
    clustered = result.document["inputs"].get("clusters") is not None
    if fields or clustered:
        lines = [_needed(example, fields, clustered=clustered) for example in result.examples]
        (folder / "examples.jsonl.gz").write_bytes(
            gzip.compress(b"".join(lines), compresslevel=9, mtime=0)
        )


def _needed(example: Mapping[str, Any], fields: set[str], *, clustered: bool) -> bytes:
    kept = {
        "id": example["id"],
        "cluster": example["cluster"] if clustered else None,
        "fields": {key: value for key, value in example["fields"].items() if key in fields},
    }
    return msgspec.json.encode(kept, order="sorted") + b"\n"
