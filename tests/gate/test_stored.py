"""From stored tables back to the metrics that made them, or the way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import evalkit
from evalkit.errors import MetricError, ResultError
from evalkit.verbs.stored import slice_mask, slice_masks, stored_metric, units_of
from tests.gate.made import scored

MINE = """\
\"\"\"The share of predictions as long as the reference.\"\"\"

from dataclasses import dataclass
from evalkit.metric import MeanMetric, Output


@dataclass(frozen=True)
class Mine(MeanMetric):
    slack: int = 0

    outputs = (Output("mine"),)
    reads = "text"
    reference = "none"

    def rows(self, examples, fitted):
        for one in examples:
            off = abs(len(one.prediction) - len(one.references[0]))
            yield [float(off <= self.slack), 1.0]
"""
TEXTS = [f"a b c {i}" for i in range(20)]
CHANGED = [text if i % 3 else f"{text}!" for i, text in enumerate(TEXTS)]


@pytest.mark.parametrize(
    "spec", ["bleu", "chrf:word_order=2", "wer", "cider", "exact_match", "rouge_l"]
)
def test_a_metric_gives_the_stored_values_again(spec: str, tmp_path: Path) -> None:
    result = scored(CHANGED, references=TEXTS, metrics=[spec])
    result = evalkit.load(result.save(tmp_path))
    for label, table in result.tables.items():
        metric = stored_metric(table.header)
        assert metric.label == label
        ones = np.ones((1, len(table.ids)), np.uint8)
        values = metric.scorer(table).measure(ones, errors=False)[0][0]
        assert values.tolist() == [record["value"] for record in result.scores]


def test_a_command_is_not_run_again(tmp_path: Path) -> None:
    program = tmp_path / "x.sh"
    program.write_text('#!/bin/sh\nwhile read -r line; do echo "${#line}"; done\n')
    program.chmod(0o755)
    result = scored(CHANGED, references=TEXTS, metrics=[f"command:{program}"])
    program.unlink()
    (table,) = result.tables.values()
    ones = np.ones((1, len(table.ids)), np.uint8)
    metric = stored_metric(table.header)
    assert metric.scorer(table).measure(ones, errors=False)[0][0, 0] == result.scores[0]["value"]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    result = scored(CHANGED, references=TEXTS, metrics=[f"{path}:slack=1"])
    header = result.tables["mine:slack=1"].header
    with pytest.raises(MetricError, match=r"--metric ./mine.py"):
        stored_metric(header)
    assert stored_metric(header, [str(path)]).parameters == {"slack": 1}
    path.write_text(MINE.replace("<=", "<"))
    with pytest.raises(MetricError, match="not the one that the result was scored with"):
        stored_metric(header, [str(path)])


def test_parameters_that_are_no_more(tmp_path: Path) -> None:
    header = scored(CHANGED, references=TEXTS, metrics=["chrf"]).tables["chrf"].header
    with pytest.raises(MetricError, match="parameters have changed"):
        stored_metric(replace(header, parameters={"gone": 1}))


def test_slices_and_units_are_those_that_were_scored() -> None:
    fields = {"long": [True, False] * 10, "doc": [1, 2, 3, None] * 5}
    result = scored(CHANGED, references=TEXTS, metrics=["bleu"], slices=fields)
    counts = {
        (name["field"], name["value"]): int(mask.sum())
        for name, mask in slice_masks(result)
        if name is not None and mask is not None
    }
    told = {
        (one["slice"]["field"], one["slice"]["value"]): one["n"]
        for one in result.scores
        if one["slice"] is not None
    }
    assert counts == told
    table = result.tables["bleu"]
    part = units_of(result, table, slice_mask(result, "long", "true"))
    assert part.names == tuple(id for i, id in enumerate(table.ids) if int(id) % 2)


def test_examples_of_another_result() -> None:
    clustered = scored(CHANGED, references=TEXTS, metrics=["bleu"], cluster=["d"] * 20)
    other = scored(CHANGED[:9], references=TEXTS[:9], metrics=["bleu"])
    with pytest.raises(ResultError, match="not those of the table"):
        units_of(clustered, other.tables["bleu"])
