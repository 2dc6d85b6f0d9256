"""Parquet reads as the same records in JSON lines; whatever it cannot say like these is said."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import DataError
from evalkit.records.example import System
from evalkit.records.parquet import BATCH
from evalkit.records.reading import ReadOptions, read_systems
from tests.conftest import Command

pa = pytest.importorskip("pyarrow", reason="reading Parquet needs the extra io")
pq = pytest.importorskip("pyarrow.parquet")

Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows | None = None, **columns: Any) -> str:
    table = pa.table(columns) if rows is None else pa.Table.from_pylist(rows)
    pq.write_table(table, path)
    return str(path)


def lines(path: Path, rows: Rows) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def read(source: str, *refs: str, kind: str | None = None, **fields: str) -> System:
    (system,) = read_systems([source], refs, ReadOptions(fields), kind)
    return system


TEXTS: Rows = [
    {
        "id": i,
        "prediction": f"naïve {i} — 日本\u2028x",
        "references": [f"a {i}", "", "b"][: 1 + i % 3],
        "doc": f"d{i // 4}",
        "domain": None if i % 5 == 0 else f"m{i % 2}",
        "seconds": i / 4,
        "long": i % 2 == 0,
    }
    for i in range(40)
]
IMAGES: Rows = [
    {
        "id": f"{i}.jpg",
        "width": 640,
        "height": 480,
        "boxes": [
            {"bbox": [10.5 * j, 20.0, 30.0, 40.0], "label": "car", "score": 0.9 - j / 8}
            for j in range(i % 3)
        ],
        "objects": [{"bbox": [10.0, 20.0, 30.0, 40.0], "label": "car", "area": 800.0}],
    }
    for i in range(12)
]
DETECTIONS: Rows = [
    {"image_id": i % 9, "bbox": [10.0, 20.0, 30.0 + i, 40.0], "category_id": 3, "score": i / 40}
    for i in range(40)
]
OBJECTS: Rows = [
    {
        "id": i,
        "objects": [
            {"bbox": [10.0, 20.0, 30.0, 40.0], "category_id": 3, "area": 7.0, "iscrowd": i % 2}
        ],
    }
    for i in range(9)
]
LABELS: Rows = [
    {
        "id": i,
        "prediction": {"cat": 0.25, "dog": 0.75} if i % 2 else {"cat": 0.5, "bird": 0.5},
        "references": ["cat", "dog", "bird"][i % 3],
    }
    for i in range(12)
]
SAME: dict[str, tuple[Rows, Rows, tuple[str, ...]]] = {
    "texts": (TEXTS, [], ("-m", "bleu", "--slice", "domain", "--slice", "long")),
    "boxes by image": (IMAGES, [], ("-m", "coco_ap")),
    "boxes by box": (DETECTIONS, OBJECTS, ("-m", "coco_ap")),
    "probabilities": (LABELS, [], ("-m", "accuracy")),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_records_give_the_same_bytes(
    tmp_path: Path, evalkit_command: Command, name: str
) -> None:
    rows, references, more = SAME[name]
    found = []
    for suffix, made in (("jsonl", lines), ("parquet", write)):
        files = [made(tmp_path / f"a.{suffix}", rows)]
        if references:
            files += ["--refs", made(tmp_path / f"r.{suffix}", references)]
        common = ("--workers", 1, "--resamples", 100, "--out", tmp_path / suffix, "--no-cache")
        done = evalkit_command("score", *files, *more, *common)
        assert done.returncode == 0, done.stderr
        found.append(next((tmp_path / suffix).rglob("result.json")).read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint64"])
def test_ids_are_whole_numbers_of_any_width(tmp_path: Path, kind: str) -> None:
    ids = pa.array([1, 2], getattr(pa, kind)())
    system = read(write(tmp_path / "a.parquet", id=ids, mt=["x", "y"], ref=["x", "z"]))
    assert [one.id for one in system.examples] == ["1", "2"]


def test_what_arrow_says_in_other_types(tmp_path: Path) -> None:
    moment = datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.UTC)
    path = write(
        tmp_path / "a.pq",
        id=pa.array([decimal.Decimal(7), decimal.Decimal(8)], pa.decimal128(38, 0)),
        mt=pa.array(["x", "y"]).dictionary_encode(),
        refs=pa.array([["x"], ["y", "z"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        doc=pa.array(["d", "e"], pa.large_string()),
        price=pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
        day=pa.array([datetime.date(2026, 3, 1), None]),
        at=pa.array([moment, None], pa.timestamp("ms", tz="Europe/Berlin")),
        local=pa.array([1, None], pa.timestamp("ns")),
        took=pa.array([5, None], pa.duration("s")),
        tags=pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    )
    one, two = read(path).examples
    assert (one.id, one.prediction, one.references, one.cluster) == ("7", "x", ("x",), "d")
    assert (two.id, two.prediction, two.references, two.cluster) == ("8", "y", ("y", "z"), "e")
    assert one.fields == {
        "doc": "d",
        "price": 1.5,
        "day": "2026-03-01",
        "at": "2026-03-01 12:30:00.000Z",
        "local": "1970-01-01 00:00:00.000000001",
        "took": 5,
        "tags": {"a": 1},
    }
    assert set(two.fields.values()) == {"e", None}


def test_bytes_are_text_where_they_have_a_meaning_and_stay_behind_elsewhere(tmp_path: Path) -> None:
    image = {"bytes": b"\x89PNG", "path": "a.png"}
    path = write(
        tmp_path / "a.parquet",
        mt=pa.array(["ä".encode(), b"y"]),
        ref=pa.array([[b"x"], [b"y"]]),
        city=pa.array([b"Bern", b"Bonn"]),
        image=pa.array([image, image]),
    )
    one, _ = read(path, cluster="city").examples
    assert (one.prediction, one.references, one.cluster) == ("ä", ("x",), "Bern")
    assert one.fields == {"city": "Bern"}
    path = write(tmp_path / "b.parquet", mt=pa.array([b"x", b"\xff"]), ref=["x", "y"])
    with pytest.raises(DataError, match=r'column "mt" is not valid UTF-8') as caught:
        read(path)
    assert caught.value.where == f"{path}:2"


def test_ids_of_128_bits(tmp_path: Path) -> None:
    name = uuid.UUID(int=7)
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([name.bytes], pa.binary(16)))
    path = write(tmp_path / "a.parquet", id=ids, mt=["x"], ref=["x"])
    if pq.read_schema(path).field("id").type == pa.uuid():
        assert read(path).examples[0].id == str(name)


def test_rows_are_numbered_over_batches_and_row_groups(tmp_path: Path) -> None:
    count = 2 * BATCH + 10
    rows: Rows = [{"id": i, "mt": "x", "ref": "x"} for i in range(count)]
    rows[-1]["mt"] = None
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=BATCH + 3)
    with pytest.raises(DataError, match="the prediction is null") as caught:
        read(str(path))
    assert caught.value.where == f"{path}:{count}"
    rows[-1].update(mt="x", id=3)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100)
    with pytest.raises(DataError, match=rf'id "3" already appeared at {path}:4') as caught:
        read(str(path))
    assert caught.value.where == f"{path}:{count}"


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    """With checksums of its pages, which pyarrow writes when asked."""
    path = tmp_path / "a.parquet"
    texts = [f"text {i}" for i in range(50)]
    table = pa.table({"id": list(range(50)), "mt": texts, "ref": texts})
    pq.write_table(table, path, write_page_checksum=True)
    expected, content = read(str(path)), bytearray(path.read_bytes())
    for i in range(0, len(content), 7):
        damaged = content.copy()
        damaged[i] ^= 0x55
        path.write_bytes(damaged)
        try:
            found = read(str(path))
        except DataError as error:
            assert str(path) in str(error)
        else:
            same = found.predictions_digest == expected.predictions_digest
            assert same or b"ARROW:schema" in content[i - 2000 : i + 2000], i
