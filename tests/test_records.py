"""One corpus in every format reads the same; names, aliases, encodings."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.errors import DataError, EvalkitError
from evalkit.records.example import System
from evalkit.records.joining import Partners
from evalkit.records.reading import ReadOptions, read_systems

PREDICTIONS = ["naïve — 日本", "it's 5 < 6", "", 'a "quoted", comma', "x\u2028y\x85z"]
REFERENCES = [["one", "two"], ["it's"], ["z"], ["a"], ["x y", "z"]]


def read(folder: Path, *files: str, refs: tuple[str, ...] = (), **options: object) -> list[System]:
    made = ReadOptions(**options)  # type: ignore[arg-type]
    return read_systems(
        [str(folder / one) for one in files], [str(folder / one) for one in refs], made
    )


def records(*, references: bool) -> list[dict[str, object]]:
    return [
        {"id": i, "prediction": prediction} | ({"references": texts} if references else {})
        for i, (prediction, texts) in enumerate(zip(PREDICTIONS, REFERENCES, strict=True), 1)
    ]


def jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture
def expected(tmp_path: Path) -> System:
    (tmp_path / "expected.jsonl").write_text(jsonl(records(references=True)), encoding="utf-8")
    return read(tmp_path, "expected.jsonl")[0]


def same(found: System, expected: System) -> None:
    assert found.predictions_digest == expected.predictions_digest
    assert found.references_digest == expected.references_digest


def test_plain_text_one_file_per_reference(tmp_path: Path, expected: System) -> None:
    """Only \\n ends a line, an empty line is no such reference, trailing white space is cut."""
    (tmp_path / "a.txt").write_bytes("\n".join(PREDICTIONS).encode() + b"  \n")
    (tmp_path / "r0").write_bytes(b"one\nit's\nz\na\nx y\n")
    (tmp_path / "r1").write_bytes(b"two\r\n\r\n \r\n\r\nz\r\n")
    same(read(tmp_path, "a.txt", refs=("r0", "r1"))[0], expected)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", [True, False])
def test_line_ends_and_byte_order_marks(
    tmp_path: Path, expected: System, newline: str, mark: str, end: bool
) -> None:
    content = jsonl(records(references=True)).replace("\n", newline)
    content = mark + (content if end else content.removesuffix(newline))
    (tmp_path / "a.jsonl").write_bytes(content.encode())
    same(read(tmp_path, "a.jsonl")[0], expected)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed(tmp_path: Path, expected: System, suffix: str) -> None:
    content = jsonl(records(references=True)).encode()
    if suffix == ".zst":
        zstandard = pytest.importorskip("zstandard", reason="reading .zst needs the extra io")
        packed = b"".join(zstandard.compress(part) for part in (content[:50], content[50:]))
    else:
        packed = gzip.compress(content)
    (tmp_path / f"a.jsonl{suffix}").write_bytes(packed)
    (system,) = read(tmp_path, f"a.jsonl{suffix}")
    assert system.name == "a"
    same(system, expected)
    (tmp_path / f"a.jsonl{suffix}").write_bytes(packed[:-9])
    with pytest.raises(DataError, match=r"damaged|cut off"):
        read(tmp_path, f"a.jsonl{suffix}")


def test_csv_and_tsv(tmp_path: Path) -> None:
    content = io.StringIO()
    writer = csv.writer(content)
    writer.writerow(["segment_id", "mt", "ref_a", "ref_b", "domain"])
    writer.writerows([["1", 'a "b"\nc', "x", "", "news"], ["2", "d, e", "y", "z", "chat"]])
    (tmp_path / "a.csv").write_text(content.getvalue(), encoding="utf-8")
    fields = {"references": "ref_a,ref_b"}
    (system,) = read(tmp_path, "a.csv", fields=fields)
    assert [one.prediction for one in system.examples] == ['a "b"\nc', "d, e"]
    assert [one.references for one in system.examples] == [("x",), ("y", "z")]
    assert system.examples[1].fields["domain"] == "chat"
    (tmp_path / "b.tsv").write_text('id\tmt\tref\n1\t"a\tx\n2\tb\ty\n', encoding="utf-8")
    assert read(tmp_path, "b.tsv")[0].examples[0].prediction == '"a'


def test_errors_after_a_multi_line_csv_row_name_the_right_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,mt,ref\n1,"a\nb",x\n1,c,y\n', encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.csv")
    assert caught.value.where == f"{tmp_path / 'a.csv'}:4"
    assert "a.csv:2" in caught.value.message


@pytest.mark.parametrize(
    "alias", ["id", "image_id", "sample_id", "segment_id", "seg_id", "item_id"]
)
@pytest.mark.parametrize("text", ["prediction", "hypothesis", "hyp", "mt", "output", "caption"])
def test_aliases(tmp_path: Path, alias: str, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(jsonl([{alias: 7, text: "x", "target": "y"}]))
    (example,) = read(tmp_path, "a.jsonl")[0].examples
    assert (example.id, example.prediction, example.references) == ("7", "x", ("y",))


@pytest.mark.parametrize(
    "name", ["references", "reference", "refs", "ref", "target", "caption", "text"]
)
def test_aliases_in_a_reference_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jsonl").write_text(jsonl([{"id": 7, "caption": "x"}]))
    (tmp_path / "r.jsonl").write_text(jsonl([{"id": "7", name: ["y", "z"]}]))
    (example,) = read(tmp_path, "a.jsonl", refs=("r.jsonl",))[0].examples
    assert (example.prediction, example.references) == ("x", ("y", "z"))


def test_a_chosen_field_settles_the_doubt(tmp_path: Path) -> None:
    row = {"id": 1, "image_id": 9, "mt": "a", "output": "b", "ref": "c", "note": "d"}
    (tmp_path / "a.jsonl").write_text(jsonl([row]))
    fields = {"id": "image_id", "prediction": "output"}
    (example,) = read(tmp_path, "a.jsonl", fields=fields)[0].examples
    assert (example.id, example.prediction) == ("9", "b")
    assert example.fields == {"id": 1, "mt": "a", "note": "d"}


def test_without_ids_the_line_number_is_the_id(tmp_path: Path, expected: System) -> None:
    rows = [{key: row[key] for key in row if key != "id"} for row in records(references=True)]
    (tmp_path / "a.jsonl").write_text(jsonl(rows), encoding="utf-8")
    same(read(tmp_path, "a.jsonl")[0], expected)


def test_line_numbers_join_ids_only_where_these_are_line_numbers(tmp_path: Path) -> None:
    """A shuffled reference file must not be joined by line to predictions without ids."""
    (tmp_path / "a.jsonl").write_text(jsonl([{"mt": "x"}, {"mt": "y"}]))
    (tmp_path / "a.txt").write_text("x\ny\n")
    ids = [("1", "2"), ("2", "1"), ("0", "1")]
    for name in ("a.jsonl", "a.txt"):
        for order in ids:
            rows: list[dict[str, object]] = [{"id": id, "ref": f"r{id}"} for id in order]
            (tmp_path / "r.jsonl").write_text(jsonl(rows))
            if order == ("1", "2"):
                (system,) = read(tmp_path, name, refs=("r.jsonl",))
                assert [one.references for one in system.examples] == [("r1",), ("r2",)]
                continue
            with pytest.raises(DataError, match=r"no ids here.*--field id=FIELD") as caught:
                read(tmp_path, name, refs=("r.jsonl",))
            assert str(caught.value.where).endswith(name)


def test_systems_by_file_by_name_and_by_field(tmp_path: Path) -> None:
    for name in ("x/out.jsonl", "y/out.jsonl", "z.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(jsonl(records(references=True)), encoding="utf-8")
    rows = [row | {"system": name} for row in records(references=True) for name in ("B", "A")]
    (tmp_path / "many.jsonl").write_text(jsonl(rows), encoding="utf-8")
    found = read_systems(
        [
            str(tmp_path / "x/out.jsonl"),
            str(tmp_path / "y/out.jsonl"),
            f"mine={tmp_path / 'z.jsonl'}",
            str(tmp_path / "many.jsonl"),
        ],
        [],
        ReadOptions(),
    )
    assert [system.name for system in found] == ["x-out", "y-out", "mine", "B", "A"]


def test_a_missing_prediction_is_empty_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(jsonl(records(references=False)[:3]), encoding="utf-8")
    (tmp_path / "r.jsonl").write_text(jsonl(records(references=True)), encoding="utf-8")
    (system,) = read(
        tmp_path,
        "a.jsonl",
        refs=("r.jsonl",),
        partners=Partners(allow_missing=True),
        fields={"references": "references"},
    )
    assert system.missing == 2
    assert [one.prediction for one in system.examples][3:] == ["", ""]


def test_fields_of_both_files_travel_and_the_predictions_win(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(jsonl([{"id": 1, "mt": "x", "domain": "p", "seconds": 3}]))
    (tmp_path / "r.jsonl").write_text(jsonl([{"id": 1, "ref": "x", "domain": "r", "doc": "d"}]))
    (example,) = read(tmp_path, "a.jsonl", refs=("r.jsonl",))[0].examples
    assert example.cluster == "d"
    assert example.fields == {"domain": "p", "seconds": 3, "doc": "d"}


@given(content=st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_the_answer_is_records_or_an_evalkit_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("a.jsonl", "a.csv", "a.tsv", "a.txt", "a.jsonl.gz"):
        (folder / name).write_bytes(content)
        try:
            read(folder, name)
        except EvalkitError as error:
            assert name in str(error)


@given(
    row=st.dictionaries(
        st.sampled_from(["id", "prediction", "mt", "reference", "refs", "system", "doc", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
            max_leaves=3,
        ),
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_record_the_answer_is_an_example_or_an_evalkit_error(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "a.jsonl").write_text(jsonl([row, row]), encoding="utf-8", errors="surrogatepass")
    try:
        read(folder, "a.jsonl")
    except EvalkitError as error:
        assert "a.jsonl" in str(error)
