"""A result: what one system scored on one set."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from evalkit.errors import MissingDependencyError
from evalkit.table import Table

SCHEMA = 1


@dataclass(frozen=True, repr=False)
class Result:
    """`document` is result.json; `tables` by label; `examples` one record per example; `run` what
    varies from run to run (files, times, versions)."""

    document: Mapping[str, Any]
    tables: Mapping[str, Table] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] = ()
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def system(self) -> str:
        return str(self.document["system"])

    @property
    def set(self) -> str:
        return str(self.document["set"])

    @property
    def scores(self) -> list[dict[str, Any]]:
        return list(self.document["scores"])

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return list(self.document["warnings"])

    def value(
        self, metric: str, output: str | None = None, slice: Mapping[str, str] | None = None
    ) -> float:
        """Of a metric by label, or by name where that is clear; KeyError where there is none.

        output: the headline by default; slice: {"field": …, "value": …}, the whole set by default.
        """
        here = [record for record in self.scores if record["slice"] == slice]
        named = [record for record in here if metric in (record["label"], record["metric"])]
        labels = {record["label"] for record in named}
        if metric in labels:
            labels = {metric}
        for record in here:
            if record["label"] in labels and output in (None, record["output"]):
                if len(labels) > 1:
                    raise KeyError(f"{metric} could be any of {sorted(labels)}")
                if record["value"] is None:
                    raise KeyError(f"{metric} is {record['status']}: {record['reason']}")
                return float(record["value"])
        known = sorted({record["label"] for record in self.scores})
        raise KeyError(
            f"no score of {' '.join(filter(None, (metric, output)))} here; there are {known}"
        )

    def __repr__(self) -> str:
        values = " ".join(
            f"{_named(record)}={record['value']:.2f}"
            for record in self.scores
            if record["slice"] is None and record["value"] is not None and not record["detail"]
        )
        return f"<Result {self.system!r} on {self.set!r}: {values}>"

    def to_dict(self) -> dict[str, Any]:
        return dict(self.document)

    def to_json(self) -> str:
        """The bytes of result.json."""
        return encode(self.document).decode()

    def to_pandas(self) -> Any:
        """One row per score, the interval's fields as `interval_low` and so on."""
        try:
            import pandas
        except ImportError:
            raise MissingDependencyError("to_pandas needs pandas>=2: pip install pandas") from None
        return pandas.DataFrame([_flat(record) for record in self.scores])

    def _repr_html_(self) -> str:
        head = "<tr><th>metric</th><th>slice</th><th>n</th><th>value</th><th>interval</th></tr>"
        body = "".join(_html_row(record) for record in self.scores)
        caption = f"<caption>{html.escape(self.system)} on {html.escape(self.set)}</caption>"
        return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"

    def save(self, folder: str | Path, *, replace: bool = False) -> Path:
        """Write `<folder>/<set>/<system>/`; ResultError where it holds a result of other inputs."""
        from evalkit.results.folder import check, write

        check(Path(folder), self.document, replace=replace)
        return write(Path(folder), [self], replace=replace)[0]


def table_file(label: str) -> str:
    """`tables/chrf.npz`; where a file name cannot hold the label, a hash keeps it apart."""
    kept = "".join(one if one.isalnum() or one in "._=-" else "_" for one in label)[:100]
    if kept != label:
        kept += f"-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
    return f"tables/{kept}.npz"


def encode(document: Any) -> bytes:
    """Sorted keys, indented, one final newline."""
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=1) + b"\n"


def _named(record: Mapping[str, Any]) -> str:
    own = record["output"] == record["metric"]
    return str(record["label"]) if own else f"{record['label']} {record['output']}"


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in record.items() if key not in ("interval", "slice")}
    chosen = record["slice"] or {}
    flat["slice_field"], flat["slice_value"] = chosen.get("field"), chosen.get("value")
    for key, value in (record["interval"] or {}).items():
        flat[f"interval_{key}"] = value
    return flat


def _html_row(record: Mapping[str, Any]) -> str:
    chosen, bounds = record["slice"], record["interval"]
    cells = (
        record["label"]
        if record["output"] == record["metric"]
        else f"{record['label']} {record['output']}",
        f"{chosen['field']}={chosen['value']}" if chosen else "",
        str(record["n"]),
        record["status"] if record["value"] is None else f"{record['value']:.4g}",
        f"[{bounds['low']:.4g}, {bounds['high']:.4g}]"
        if bounds
        else str(record.get("interval_reason")),
    )
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
