"""The examples whose own value moved the most between the baseline and a system, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evalkit.errors import MetricError, UsageError, did_you_mean
from evalkit.results.comparison import name_of
from evalkit.verbs.comparing.entrants import Entrant
from evalkit.verbs.comparing.options import CompareOptions
from evalkit.verbs.stored import stored_metric

Record = dict[str, Any]


def moved(
    entrants: Sequence[Entrant], labels: Sequence[str], options: CompareOptions
) -> Iterator[Record]:
    """Per system the `most_moved` examples that lost the most, then those that gained the most.

    UsageError where there is no such value, MetricError where single examples have none.
    """
    if options.moved is None:
        return
    first = entrants[0].runs[0]
    record = _named(options.moved, [one for one in first.scores if one["label"] in labels])
    table = first.tables[record["label"]]
    output = table.header.outputs.index(record["output"])
    metric = stored_metric(table.header)
    base = metric.scorer(table).each()
    if base is None:
        raise MetricError(
            f"{record['label']} has no values of single examples: it is not a sum over them, "
            "or has very many outputs"
        )
    for other in entrants[1:]:
        system = other.runs[0]
        each = metric.scorer(system.tables[record["label"]]).each()
        assert each is not None
        gained = (each - base)[:, output]
        if not record["higher_is_better"]:
            gained = -gained
        order = np.argsort(gained, kind="stable")
        order = order[~np.isnan(gained[order])]
        lost = [i for i in order[: options.most_moved] if gained[i] < 0]
        won = [i for i in order[::-1][: options.most_moved] if gained[i] > 0]
        for way, numbers in (("worse", lost), ("better", won)):
            for i in numbers:
                yield {
                    "value": name_of(record),
                    "system": other.name,
                    "moved": way,
                    "id": table.ids[i].decode(),
                    "baseline_value": float(base[i, output]),
                    "system_value": float(each[i, output]),
                    **_texts(first.examples, system.examples, i),
                }


def _named(asked: str, records: Sequence[Record]) -> Record:
    for record in records:
        if asked in (name_of(record), record["label"], record["metric"]):
            return record
    known = {name_of(record) for record in records if not record["detail"]}
    raise UsageError(f'no value is called "{asked}"{did_you_mean(asked, known)}')


def _texts(baseline: Sequence[Any], system: Sequence[Any], position: int) -> Record:
    """None where a result keeps no texts."""
    theirs = baseline[position] if baseline else {}
    ours = system[position] if system else {}
    return {
        "baseline_prediction": theirs.get("prediction"),
        "prediction": ours.get("prediction"),
        "references": theirs.get("references"),
    }
