"""A baseline that lives in the repository: what pairing needs, without any text."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import ResultError
from evalkit.interrupts import interrupts_blocked
from evalkit.results import Result, encode
from evalkit.results.result import table_file
from evalkit.results.swapping import aside_of, locked, tidy

BASELINE = "evalkit-baseline"
OWN = {"result.json", "tables", "examples.jsonl.gz", "run.json"}


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
