"""Labels, numbers, JSON documents and COCO files: what is read, and what is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import DataError, UsageError
from evalkit.records.example import System
from evalkit.records.joining import Partners
from evalkit.records.reading import ReadOptions, read_systems


def written(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(one) + "\n" for one in content))
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return str(path)


def read(preds: str, *refs: str, kind: str | None = None, **options: Any) -> System:
    (system,) = read_systems([preds], refs, ReadOptions(**options), kind)
    return system


def pairs(system: System) -> list[tuple[str, Any, tuple[Any, ...]]]:
    return [(one.id, one.prediction, one.references) for one in system.examples]


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"prediction": "a cat", "references": ["a dog"]}, "text"),
        ({"prediction": "a cat", "references": ["a dog"], "label": "animals"}, "text"),
        ({"prediction": "cat", "label": "dog"}, "labels"),
        ({"prediction": 1, "reference": 0}, "labels"),
        ({"prediction": True, "reference": False}, "labels"),
        ({"prediction": [0.25, 0.75], "label": 1}, "labels"),
        ({"probabilities": {"cat": 0.25, "dog": 0.75}, "label": "cat"}, "labels"),
        ({"pred": "cat", "gold": "dog"}, "labels"),
    ],
)
def test_the_first_record_tells_the_kind(tmp_path: Path, record: Any, kind: str) -> None:
    assert read(written(tmp_path, "a.jsonl", [record])).kind == kind


def test_labels_are_text_whole_numbers_or_probabilities(tmp_path: Path) -> None:
    records = [
        {"id": 1, "prediction": "cat", "label": "dog"},
        {"id": 2, "prediction": 7, "label": 7.0},
        {"id": 3, "prediction": False, "label": [True, "false"]},
        {"id": 4, "prediction": {"b": 0.25, "a": 0.75}, "label": "a"},
        {"id": 5, "prediction": [0.5, 0.5], "label": 1},
    ]
    assert pairs(read(written(tmp_path, "a.jsonl", records))) == [
        ("1", "cat", ("dog",)),
        ("2", "7", ("7",)),
        ("3", "false", ("true", "false")),
        ("4", {"a": 0.75, "b": 0.25}, ("a",)),
        ("5", {"0": 0.5, "1": 0.5}, ("1",)),
    ]


def test_a_label_beside_references_in_a_file_of_their_own_is_the_prediction(tmp_path: Path) -> None:
    preds = written(tmp_path, "p.jsonl", [{"id": 1, "label": "cat"}])
    refs = written(tmp_path, "r.jsonl", [{"id": 1, "label": "dog"}])
    assert pairs(read(preds, refs)) == [("1", "cat", ("dog",))]


@pytest.mark.parametrize(
    ("prediction", "says"),
    [
        ([0.4, 0.4], "add up to 0.8, not to 1"),
        ([1.5, -0.5], "between 0 and 1"),
        ({"a": "much"}, "between 0 and 1"),
        ({"a": True, "b": False}, "between 0 and 1"),
        ({}, "add up to 0"),
        (0.73, "probability of every label"),
        (None, "must be a label, not null.*--allow-missing"),
        ("", "must be a label"),
        ([["a"]], "between 0 and 1"),
    ],
)
def test_what_is_no_label(tmp_path: Path, prediction: Any, says: str) -> None:
    path = written(tmp_path, "a.jsonl", [{"id": 1, "prediction": prediction, "label": "a"}])
    with pytest.raises(DataError, match=f"a.jsonl:1: .*{says}"):
        read(path, kind="labels")


def test_numbers_also_from_tables(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "id\tprediction\tgold\n1\t0.5\t1e-3\n2\t-7\t3\n")
    assert pairs(read(path, kind="numbers")) == [("1", 0.5, (0.001,)), ("2", -7.0, (3.0,))]


@pytest.mark.parametrize("value", ["nan", "inf", "seven", True, None, [1.0]])
def test_what_is_no_number(tmp_path: Path, value: Any) -> None:
    path = written(tmp_path, "a.jsonl", [{"id": 1, "prediction": value, "gold": 1}])
    with pytest.raises(DataError, match="must be a finite number"):
        read(path, kind="numbers")


def test_no_number_stands_for_a_missing_one(tmp_path: Path) -> None:
    preds = written(tmp_path, "p.jsonl", [{"id": 1, "prediction": 1}])
    refs = written(tmp_path, "r.jsonl", [{"id": 1, "gold": 1}, {"id": 2, "gold": 1}])
    with pytest.raises(UsageError, match="no numbers stand for"):
        read(preds, refs, kind="numbers", partners=Partners(allow_missing=True))


COCO = {
    "info": {},
    "images": [{"id": 7}, {"id": 9}, {"id": 11}],
    "annotations": [
        {"image_id": 9, "id": 1, "caption": "a dog"},
        {"image_id": 7, "id": 2, "caption": "a cat"},
        {"image_id": 9, "id": 3, "caption": "the dog"},
    ],
}
RESULTS = [{"image_id": 9, "caption": "dog"}, {"image_id": 7, "caption": "cat"}]


@pytest.mark.parametrize("indent", [None, 2])
def test_coco_captions_and_results(tmp_path: Path, indent: int | None) -> None:
    refs = written(tmp_path, "captions.json", json.dumps(COCO, indent=indent))
    preds = written(tmp_path, "results.json", json.dumps(RESULTS, indent=indent))
    assert pairs(read(preds, refs)) == [
        ("7", "cat", ("a cat",)),
        ("9", "dog", ("a dog", "the dog")),
    ]


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"id": i, "prediction": "a", "ref": "b"}) + "\n" for i in (1, 2))
    assert len(read(written(tmp_path, "a.json", lines)).examples) == 2


def test_references_without_a_prediction_can_be_left_out(tmp_path: Path) -> None:
    refs = written(tmp_path, "captions.json", COCO)
    preds = written(tmp_path, "results.json", RESULTS[:1])
    with pytest.raises(DataError, match="--only-predicted leaves them out"):
        read(preds, refs)
    system = read(preds, refs, partners=Partners(only_predicted=True))
    assert (len(system.examples), system.unused, system.missing) == (1, 1, 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": 1', "not valid JSON"),
        ('{\n"a": 1}', "COCO annotations are wanted"),
        ("[1, 2]", r"a.json\[0\]: each element must be a JSON object, not 1"),
        ('[{"id": 1, "prediction": "a", "ref": "b"}, {"id": 2}]', r"a.json\[1\]: no prediction"),
        ('["' + "x" * 9 + '"', "not valid JSON"),
        ("7", "an array of JSON objects is wanted, not 7"),
        ("[]", "no records in this file"),
        ('{"annotations": [{"image_id": 1}]}', r'annotations\[0\]: no "caption"'),
        ('{"annotations": [3]}', r"annotations\[0\]: must be a JSON object"),
        ("[" * 200_000, "nested too deeply|not valid JSON"),
    ],
)
def test_bad_json_documents(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(written(tmp_path, "a.json", content))


def test_labels_that_cannot_match_are_an_error(tmp_path: Path) -> None:
    records = [{"id": i, "prediction": "CD"[i % 2], "label": "cd"[i % 2]} for i in range(9)]
    path = written(tmp_path, "a.jsonl", records)
    with pytest.raises(DataError, match='predictions say "C", "D"; references say "c", "d"'):
        read(path)


def test_labels_that_no_reference_has_are_named(tmp_path: Path) -> None:
    records = [{"id": i, "prediction": "xc"[i % 2], "label": "cd"[i % 2]} for i in range(9)]
    system = read(written(tmp_path, "a.jsonl", records))
    assert system.remarks == (("foreign-labels", 'predicted, but in no reference: "x"'),)


def test_probabilities_in_a_table(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "id\tprobs\tlabel\n1\t[0.1, 0.9]\t1\n2\t[x]\t0\n")
    assert [one.prediction for one in read(path).examples] == [{"0": 0.1, "1": 0.9}, "[x]"]


def test_numbers_without_a_metric_are_told_from_labels(tmp_path: Path) -> None:
    assert read(written(tmp_path, "a.jsonl", [{"prediction": 0.5, "gold": 1}])).kind == "numbers"
