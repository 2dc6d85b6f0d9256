"""A comparison: systems against a baseline on one set, by every metric, output and slice."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalkit.errors import MissingDependencyError
from evalkit.results.result import encode


@dataclass(frozen=True, repr=False)
class Comparison:
    """`document` is what `evalkit compare --json` prints."""

    document: Mapping[str, Any]

    @property
    def baseline(self) -> str:
        return str(self.document["baseline"])

    @property
    def systems(self) -> list[str]:
        """The others, in the order given."""
        return list(self.document["systems"])

    @property
    def differences(self) -> list[dict[str, Any]]:
        return list(self.document["differences"])

    @property
    def rankings(self) -> list[dict[str, Any]]:
        return list(self.document["rankings"])

    def difference(
        self, metric: str, output: str | None = None, system: str | None = None
    ) -> dict[str, Any]:
        """The record of a metric (label or name) on the whole set; KeyError where there is none.

        output: the headline by default; system: the first that is not the baseline.
        """
        for record in self.differences:
            named = metric in (record["label"], record["metric"])
            asked = output in (None, record["output"]) and system in (None, record["system"])
            if record["slice"] is None and named and asked:
                return record
        known = sorted({record["label"] for record in self.differences})
        raise KeyError(f"no difference of {metric} here; there are {known}")

    def __repr__(self) -> str:
        shown = " ".join(
            f"{record['system']}:{record['label']}={record['difference']:+.2f}"
            for record in self.differences
            if record["slice"] is None and record["status"] == "ok" and not record["detail"]
        )
        return f"<Comparison with {self.baseline!r}: {shown}>"

    def to_dict(self) -> dict[str, Any]:
        return dict(self.document)

    def to_json(self) -> str:
        return encode(self.document).decode()

    def to_pandas(self) -> Any:
        """One row per difference; the fields of its parts as `interval_low`, `test_p` and so on."""
        try:
            import pandas
        except ImportError:
            raise MissingDependencyError("to_pandas needs pandas>=2: pip install pandas") from None
        return pandas.DataFrame([_flat(record) for record in self.differences])

    def _repr_html_(self) -> str:
        headings = ("metric", "slice", "system", "difference", "interval", "p", "verdict")
        head = "".join(f"<th>{one}</th>" for one in headings)
        body = "".join(_html_row(record) for record in self.differences if not record["detail"])
        caption = f"<caption>against {html.escape(self.baseline)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def name_of(record: Mapping[str, Any]) -> str:
    """`bleu`; `rouge rouge1` where a metric has several outputs."""
    own = record["output"] == record["metric"]
    return str(record["label"]) if own else f"{record['label']} {record['output']}"


def slice_of(record: Mapping[str, Any]) -> str:
    """`domain=news`, or nothing for the whole set."""
    part = record["slice"]
    return "" if part is None else f"{part['field']}={part['value']}"


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if key == "slice":
            flat["slice_field"] = value["field"] if value else None
            flat["slice_value"] = value["value"] if value else None
        elif isinstance(value, Mapping):
            flat.update({f"{key}_{name}": one for name, one in value.items()})
        else:
            flat[key] = value
    return flat


def _html_row(record: Mapping[str, Any]) -> str:
    bounds, test = record["interval"], record["test"]
    ok = record["status"] == "ok"
    cells = (
        name_of(record),
        slice_of(record),
        record["system"],
        f"{record['difference']:+.4g}" if ok else record["status"],
        f"[{bounds['low']:+.4g}, {bounds['high']:+.4g}]" if bounds else "",
        f"{test['p_adjusted']:.3g}" if test else "",
        record["verdict"] or "",
    )
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
