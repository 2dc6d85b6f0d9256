"""Bad input of every kind: one line with the place and the way out, exit 2, nothing written."""

from __future__ import annotations

import bz2
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import Command

PREDS: list[dict[str, object]] = [{"id": str(i), "prediction": f"a b c {i}"} for i in range(1, 11)]
REFS: list[dict[str, object]] = [
    {"id": str(i), "references": [f"a b c d {i}"]} for i in range(1, 11)
]
MANY: list[dict[str, object]] = [
    {"id": i, "prediction": f"{i * 7919 % 10007}"} for i in range(9000)
]
SCORE = ("score", "preds.jsonl", "--refs", "refs.jsonl", "--metric", "bleu")


def lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def changed(records: list[dict[str, object]], number: int, **fields: object) -> str:
    """The records with fields of line `number` replaced; None deletes a field."""
    copy = [dict(record) for record in records]
    copy[number - 1].update(fields)
    return lines(copy)


@dataclass
class Case:
    """prepare(folder) writes what is wrong over two good files."""

    name: str
    where: str
    says: str
    prepare: Callable[[Path], object] = lambda folder: None
    command: tuple[str, ...] = SCORE


def writes(name: str, content: str | bytes) -> Callable[[Path], object]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / name).write_bytes(data)


def plain(predictions: str, references: str) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        (folder / "preds.txt").write_text(predictions)
        (folder / "refs.txt").write_text(references)

    return prepare


def other_result(folder: Path) -> None:
    place = folder / "results" / "s" / "preds"
    place.mkdir(parents=True)
    inputs = {"predictions": "other", "references": "other", "examples": 10}
    stored = {"schema": 1, "inputs": inputs, "scores": [], "warnings": []}
    stored |= {"system": "preds", "set": "s"}
    (place / "result.json").write_text(json.dumps(stored))


def foreign_folder(folder: Path) -> None:
    place = folder / "results" / "s" / "preds"
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("years of work")


def zstd(name: str, content: str, cut: int = 0) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        zstandard = pytest.importorskip("zstandard", reason="reading .zst needs the extra io")
        packed = zstandard.compress(content.encode())
        (folder / name).write_bytes(packed[: len(packed) - cut])

    return prepare


def parquet(**columns: list[object]) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        pa = pytest.importorskip("pyarrow", reason="reading Parquet needs the extra io")
        write = pytest.importorskip("pyarrow.parquet").write_table
        write(pa.table(columns), folder / "preds.parquet")

    return prepare


BOX: dict[str, object] = {"image_id": 7, "category_id": 3, "bbox": [60, 50, 9, 9], "score": 0.5}
OBJECT: dict[str, object] = {**BOX, "id": 1, "area": 80}
INSTANCES: dict[str, object] = {
    "images": [{"id": 7, "width": 100, "height": 80}],
    "annotations": [OBJECT],
    "categories": [{"id": 3, "name": "car"}],
}


def boxes(*detections: dict[str, object], **instances: object) -> Callable[[Path], object]:
    """COCO's files, where parts are not as they should be."""

    def prepare(folder: Path) -> None:
        (folder / "results.json").write_text(json.dumps(list(detections)))
        (folder / "instances.json").write_text(json.dumps({**INSTANCES, **instances}))

    return prepare


BOXES = ("score", "results.json", "--refs", "instances.json", "--metric", "coco_ap")
PLAIN = ("score", "preds.txt", "--refs", "refs.txt", "--metric", "bleu")
ALONE = ("score", "preds.jsonl", "--metric", "bleu")
ZSTD = ("score", "preds.jsonl.zst", "--refs", "refs.jsonl")
PARQUET = ("score", "preds.parquet", "--refs", "refs.jsonl")
CASES = [
    Case(
        "missing file",
        "nowhere.jsonl",
        "no such file",
        command=("score", "nowhere.jsonl", "--refs", "refs.jsonl"),
    ),
    Case(
        "a folder",
        "results",
        "is a folder",
        lambda folder: (folder / "results").mkdir(),
        ("score", "results", "--refs", "refs.jsonl"),
    ),
    Case("empty file", "preds.jsonl", "the file is empty", writes("preds.jsonl", "")),
    Case("empty references", "refs.jsonl", "the file is empty", writes("refs.jsonl", "")),
    Case(
        "truncated gzip",
        "preds.jsonl.gz",
        "damaged after line .*; copy or make it again",
        writes("preds.jsonl.gz", gzip.compress(lines(MANY).encode())[:-40]),
        ("score", "preds.jsonl.gz", "--refs", "refs.jsonl"),
    ),
    Case(
        "not gzip at all",
        "preds.jsonl.gz",
        "damaged",
        writes("preds.jsonl.gz", lines(PREDS)),
        ("score", "preds.jsonl.gz", "--refs", "refs.jsonl"),
    ),
    Case(
        "truncated zstd",
        "preds.jsonl.zst",
        r"damaged after line \d+ \(cut off\); copy or make it again",
        zstd("preds.jsonl.zst", lines(MANY), cut=40),
        ZSTD,
    ),
    Case(
        "not zstd at all",
        "preds.jsonl.zst",
        "damaged after line 0 .*copy or make it again",
        writes("preds.jsonl.zst", lines(PREDS)),
        ZSTD,
    ),
    Case(
        "nothing in zstd", "preds.jsonl.zst", "the file is empty", zstd("preds.jsonl.zst", ""), ZSTD
    ),
    Case(
        "an error in a packed file",
        "preds.jsonl.zst:2",
        "not valid JSON",
        zstd("preds.jsonl.zst", lines(PREDS[:1]) + "{\n"),
        ZSTD,
    ),
    Case(
        "bzip2",
        "preds.jsonl",
        "a bzip2 file; unpack it first",
        writes("preds.jsonl", bz2.compress(lines(PREDS).encode())),
    ),
    Case(
        "no Parquet",
        "preds.parquet",
        "not a Parquet file, or a damaged one .*copy or make it again",
        writes("preds.parquet", lines(PREDS)),
        PARQUET,
    ),
    Case(
        "an empty file of Parquet",
        "preds.parquet",
        "the file is empty",
        writes("preds.parquet", ""),
        PARQUET,
    ),
    Case(
        "Parquet without rows",
        "preds.parquet",
        "no records in this file",
        parquet(id=[], prediction=[]),
        PARQUET,
    ),
    Case(
        "Parquet with other columns",
        "preds.parquet:1",
        r'no prediction in this record \(its fields: "id", "sentence"\).*--field prediction=FIELD',
        parquet(id=["1"], sentence=["x"]),
        PARQUET,
    ),
    Case(
        "Parquet with a null",
        "preds.parquet:2",
        "the prediction is null",
        parquet(id=["1", "2"], prediction=["x", None]),
        PARQUET,
    ),
    Case(
        "Parquet with numbers for ids",
        "preds.parquet:1",
        "the id must be a string or a whole number, not 1.5",
        parquet(id=[1.5], prediction=["x"]),
        PARQUET,
    ),
    Case(
        "Parquet by another name",
        "preds.txt",
        "not text but a Parquet file; name it .parquet, or say --format parquet",
        lambda folder: (
            parquet(id=[*range(300)], prediction=["\u00e9"] * 300)(folder),
            (folder / "preds.parquet").rename(folder / "preds.txt"),
        ),
        ("score", "preds.txt", "--refs", "refs.jsonl"),
    ),
    Case(
        "nothing on standard input",
        "<stdin>",
        "nothing on standard input, which can be read only once",
        command=("score", "-", "--refs", "refs.jsonl"),
    ),
    Case(
        "standard input twice",
        "",
        "standard input, which can be read only once; name a file",
        command=("score", "-", "--refs", "-"),
    ),
    Case(
        "an unknown file system",
        "",
        'https3://bucket/preds.jsonl: no file system is called "https3"; did you mean "https"',
        command=("score", "https3://bucket/preds.jsonl", "--refs", "refs.jsonl"),
    ),
    Case(
        "no driver for a file system",
        "s3://bucket/preds.jsonl",
        "s3:// needs s3fs: pip install s3fs",
        lambda folder: find_spec("s3fs") and pytest.skip("s3fs is installed"),
        ("score", "s3://bucket/preds.jsonl", "--refs", "refs.jsonl"),
    ),
    Case(
        "a URL that leads nowhere",
        "memory://bucket/preds.jsonl",
        "no such file; check the address",
        command=("score", "memory://bucket/preds.jsonl", "--refs", "refs.jsonl"),
    ),
    Case(
        "references of a URL that leads nowhere",
        "file:///nowhere/refs.jsonl",
        "no such file",
        command=("score", "preds.jsonl", "--refs", "file:///nowhere/refs.jsonl"),
    ),
    Case(
        "invalid UTF-8",
        "preds.jsonl:2",
        r"not valid UTF-8 \(byte 0xe9.*iconv",
        writes(
            "preds.jsonl",
            lines(PREDS[:1]).encode() + '{"id": "2", "prediction": "é"}\n'.encode("latin1"),
        ),
    ),
    Case(
        "a JSON array",
        "preds.jsonl:1",
        "JSON array.*--format json",
        writes("preds.jsonl", json.dumps(PREDS)),
    ),
    Case(
        "an indented JSON array",
        "preds.jsonl:1",
        "JSON array.*--format json",
        writes("preds.jsonl", json.dumps(PREDS, indent=1)),
    ),
    Case(
        "not JSON",
        "preds.jsonl:11",
        "not valid JSON",
        writes("preds.jsonl", lines(PREDS) + "{oops\n"),
    ),
    Case(
        "not an object",
        "preds.jsonl:11",
        "must be a JSON object",
        writes("preds.jsonl", lines(PREDS) + "7\n"),
    ),
    Case(
        "a blank line in the middle",
        "preds.jsonl:2",
        "blank line.*delete it",
        writes("preds.jsonl", lines(PREDS[:1]) + "\n" + lines(PREDS[1:])),
    ),
    Case(
        "a duplicate id",
        "preds.jsonl:11",
        'id "3" already appeared at preds.jsonl:3',
        writes("preds.jsonl", lines([*PREDS, {"id": 3, "prediction": "x"}])),
    ),
    Case(
        "a duplicate id among the references",
        "refs.jsonl:11",
        'id "3" already appeared at refs.jsonl:3',
        writes("refs.jsonl", lines([*REFS, REFS[2]])),
    ),
    Case(
        "an id without reference",
        "preds.jsonl:11",
        'id "x" has no reference in refs.jsonl',
        writes("preds.jsonl", lines([*PREDS, {"id": "x", "prediction": "x"}])),
    ),
    Case(
        "a reference without prediction",
        "refs.jsonl:4",
        'id "4" has no prediction in preds.jsonl, nor have 2 more; --allow-missing',
        writes("preds.jsonl", lines([*PREDS[:3], *PREDS[6:]])),
    ),
    Case("no references anywhere", "preds.jsonl", "no references anywhere.*--refs", command=ALONE),
    Case(
        "references in some records only",
        "preds.jsonl:2",
        'id "2" has no references',
        writes("preds.jsonl", lines([{**PREDS[0], "reference": "a"}, *PREDS[1:]])),
        ALONE,
    ),
    Case(
        "two aliases of one field",
        "preds.jsonl:5",
        'both "prediction" and "output" could be the prediction.*--field prediction=prediction',
        writes("preds.jsonl", changed(PREDS, 5, output="x")),
    ),
    Case(
        "two aliases of the id",
        "preds.jsonl:5",
        'both "id" and "image_id".*--field id=id',
        writes("preds.jsonl", changed(PREDS, 5, image_id=5)),
    ),
    Case(
        "a null prediction",
        "preds.jsonl:6",
        'the prediction is null; write ""',
        writes("preds.jsonl", changed(PREDS, 6, prediction=None)),
    ),
    Case(
        "a number for a text",
        "preds.jsonl:7",
        "must be text, not 3.5",
        writes("preds.jsonl", changed(PREDS, 7, prediction=3.5)),
    ),
    Case(
        "a list for a text",
        "preds.jsonl:7",
        "must be text",
        writes("preds.jsonl", changed(PREDS, 7, prediction=["a"])),
    ),
    Case(
        "a null reference",
        "refs.jsonl:7",
        "a reference must be text, not null",
        writes("refs.jsonl", changed(REFS, 7, references=["a", None])),
    ),
    Case(
        "an empty list of references",
        "refs.jsonl:7",
        "the list of references is empty",
        writes("refs.jsonl", changed(REFS, 7, references=[])),
    ),
    Case(
        "an id that is a list",
        "preds.jsonl:2",
        "the id must be a string or a whole number",
        writes("preds.jsonl", changed(PREDS, 2, id=[1])),
    ),
    Case(
        "an id that is missing",
        "preds.jsonl:11",
        "no id in this record.*--field id=FIELD",
        writes("preds.jsonl", lines([*PREDS, {"prediction": "x"}])),
    ),
    Case(
        "no prediction field",
        "preds.jsonl:1",
        "no prediction in this record.*--field prediction=FIELD",
        writes("preds.jsonl", lines([{"id": "1", "answer": "x"}])),
    ),
    Case(
        "fewer lines",
        "preds.txt",
        "2 lines, but refs.txt has 3.*one length",
        plain("a\nb\n", "a\nb\nc\n"),
        PLAIN,
    ),
    Case(
        "more lines",
        "preds.txt",
        "3 lines, but refs.txt has 2.*one length",
        plain("a\nb\nc\n", "a\nb\n"),
        PLAIN,
    ),
    Case(
        "reference files of two lengths",
        "more.txt",
        "1 lines, but refs.txt has 2",
        lambda folder: (plain("a\nb\n", "a\nb\n")(folder), (folder / "more.txt").write_text("x\n")),
        (*PLAIN, "--refs", "more.txt"),
    ),
    Case(
        "an empty line in every reference file",
        "refs.txt:2",
        "this example has no reference",
        plain("a\nb\n", "a\n\n"),
        PLAIN,
    ),
    Case(
        "JSON lines under another name",
        "preds.txt:1",
        "looks like JSON lines.*--format",
        plain(lines(PREDS), "a\n"),
        PLAIN,
    ),
    Case(
        "a TSV row of another length",
        "preds.tsv:3",
        "1 columns where the first line names 2",
        writes("preds.tsv", "id\tprediction\n1\ta\n2\n"),
        ("score", "preds.tsv", "--refs", "refs.jsonl"),
    ),
    Case(
        "a CSV with an open quote",
        "preds.csv:2",
        "not valid CSV",
        writes("preds.csv", 'id,prediction\n1,"a\n'),
        ("score", "preds.csv", "--refs", "refs.jsonl"),
    ),
    Case(
        "an unknown metric",
        "",
        'no metric is called "blue"; did you mean "bleu"',
        command=(*SCORE[:-1], "blue"),
    ),
    Case(
        "an unknown parameter",
        "",
        'no parameter is called "tokenise"; did you mean "tokenize"',
        command=(*SCORE[:-1], "bleu:tokenise=zh"),
    ),
    Case(
        "an unknown tokenizer",
        "",
        'no tokenizer is called "13b"; did you mean "13a"',
        command=(*SCORE[:-1], "bleu:tokenize=13b"),
    ),
    Case(
        "a parameter of another type",
        "",
        'word_order wants int, not "two"',
        command=(*SCORE[:-1], "chrf:word_order=two"),
    ),
    Case(
        "a metric file that is not there",
        "mine.py",
        "cannot be read",
        command=(*SCORE[:-1], "./mine.py"),
    ),
    Case(
        "a metric file that does not compile",
        "mine.py:2",
        "SyntaxError",
        writes("mine.py", "x = 1\ndef f(:\n"),
        (*SCORE[:-1], "mine.py"),
    ),
    Case(
        "a metric file without a metric",
        "mine.py",
        "0 metric classes",
        writes("mine.py", "x = 1\n"),
        (*SCORE[:-1], "mine.py"),
    ),
    Case(
        "a metric named twice",
        "",
        'the metric "bleu" is named twice',
        command=(*SCORE, "-m", "bleu"),
    ),
    Case(
        "an unknown protocol",
        "",
        'no protocol is called "translaton"; did you mean "translation"',
        command=("score", "preds.jsonl", "--refs", "refs.jsonl", "--protocol", "translaton"),
    ),
    Case(
        "an unknown protocol key",
        "mine.toml:4",
        'no key is called "metric"; did you mean "metrics"',
        writes("mine.toml", 'title = "x"\nreads = "text"\nmetrics = ["bleu"]\nmetric = "ter"\n'),
        ("score", "preds.jsonl", "--refs", "refs.jsonl", "--protocol", "mine.toml"),
    ),
    Case(
        "a protocol value of another type",
        "mine.toml:4",
        "resamples: Expected `int`, got `str`",
        writes(
            "mine.toml", 'title = "x"\nreads = "text"\nmetrics = ["bleu"]\nresamples = "many"\n'
        ),
        ("score", "preds.jsonl", "--refs", "refs.jsonl", "--protocol", "mine.toml"),
    ),
    Case(
        "a protocol with an unknown metric",
        "mine.toml:3",
        'no metric is called "blue"',
        writes("mine.toml", 'title = "x"\nreads = "text"\nmetrics = ["blue"]\n'),
        ("score", "preds.jsonl", "--refs", "refs.jsonl", "--protocol", "mine.toml"),
    ),
    Case(
        "a slice field that no record has",
        "preds.jsonl",
        'no record has a field "domian"; did you mean "domain"',
        writes("preds.jsonl", changed(PREDS, 1, domain="news")),
        (*SCORE, "--slice", "domian"),
    ),
    Case(
        "a slice field that is a list",
        "preds.jsonl",
        'field "domain" is a list',
        writes("preds.jsonl", changed(PREDS, 1, domain=["news"])),
        (*SCORE, "--slice", "domain"),
    ),
    Case(
        "a cluster field that no record has",
        "preds.jsonl",
        'no record has a field "doc"',
        command=(*SCORE, "--cluster", "doc"),
    ),
    Case(
        "clusters in some records only",
        "preds.jsonl",
        'id "10" has no cluster, but others have',
        writes("preds.jsonl", changed(PREDS, 1, doc="a")),
    ),
    Case(
        "an unknown field name",
        "",
        '--field: no field is called "idd"; did you mean "id"',
        command=(*SCORE, "--field", "idd=x"),
    ),
    Case(
        "a chosen field that no record has",
        "preds.jsonl",
        '--field id=keyy: no record has a field "keyy"',
        command=(*SCORE, "--field", "id=keyy"),
    ),
    Case(
        "a chosen column that is not there",
        "preds.tsv",
        '--field references=bb: no record has a field "bb"',
        writes("preds.tsv", "id\tmt\ta\tb\n1\tx\ty\tz\n"),
        ("score", "preds.tsv", "--field", "references=a,bb"),
    ),
    Case(
        "two columns for the id", "", "only references can", command=(*SCORE, "--field", "id=a,b")
    ),
    Case(
        "blank lines alone", "preds.jsonl", "no records in this file", writes("preds.jsonl", "\n\n")
    ),
    Case(
        "a header alone",
        "preds.tsv",
        "no records in this file",
        writes("preds.tsv", "id\tmt\n"),
        ("score", "preds.tsv", "--refs", "refs.jsonl"),
    ),
    Case(
        "a record nested too deeply",
        "preds.jsonl:1",
        "nested too deeply",
        writes("preds.jsonl", '{"id": ' + "[" * 6000 + "]" * 6000 + "}\n"),
    ),
    Case(
        "a parameter given twice",
        "",
        "chrf: beta is given twice",
        command=(*SCORE[:-1], "chrf:beta=1,beta=3"),
    ),
    Case(
        "a smoothing value that is not a number",
        "",
        "smooth_value must be a finite number",
        command=(*SCORE[:-1], "bleu:smooth_method=floor,smooth_value=nan"),
    ),
    Case(
        "a protocol with a level in percent",
        "mine.toml:4",
        "the level is a share",
        writes("mine.toml", 'title = "x"\nreads = "text"\nmetrics = ["bleu"]\nlevel = 95\n'),
        ("score", "preds.jsonl", "--refs", "refs.jsonl", "--protocol", "mine.toml"),
    ),
    Case(
        "a protocol that reads something else",
        "mine.toml:3",
        "bleu reads text, but the protocol reads boxes",
        writes("mine.toml", 'title = "x"\nreads = "boxes"\nmetrics = ["bleu"]\n'),
        ("score", "preds.jsonl", "--refs", "refs.jsonl", "--protocol", "mine.toml"),
    ),
    Case(
        "a level beyond the resamples",
        "",
        "needs at least 4,000,000",
        command=(*SCORE, "--level", "0.999999"),
    ),
    Case(
        "a metric that leaves",
        "mine.py:1",
        "SystemExit",
        writes("mine.py", "raise SystemExit(0)\n"),
        (*SCORE[:-1], "mine.py"),
    ),
    Case(
        "a metric without outputs",
        "mine.py",
        "does not say its outputs, reads, reference",
        writes(
            "mine.py",
            "from evalkit.metric import MeanMetric\n"
            "class Mine(MeanMetric):\n    def rows(self, examples, fitted):\n        return []\n",
        ),
        (*SCORE[:-1], "mine.py"),
    ),
    Case(
        "one name for two sets",
        "",
        "--set s: these systems have different references",
        lambda folder: [
            (folder / f"{name}.jsonl").write_text(lines([{**PREDS[0], "ref": name}]))
            for name in "ab"
        ],
        ("score", "a.jsonl", "b.jsonl", "--set", "s"),
    ),
    Case("an unknown format", "", 'no format is called "xml"', command=(*SCORE, "--format", "xml")),
    Case(
        "an unknown interval",
        "",
        'no interval is called "studentised"',
        command=(*SCORE, "--interval", "studentised"),
    ),
    Case(
        "a level in percent",
        "",
        "the level is a share such as 0.95",
        command=(*SCORE, "--level", "95"),
    ),
    Case("too few resamples", "", "at least 100", command=(*SCORE, "--resamples", "10")),
    Case(
        "a required metric that is not asked for",
        "",
        "--require spice: not among",
        command=(*SCORE, "--require", "spice"),
    ),
    Case(
        "two systems of one name",
        "",
        'two systems are called "a".*NAME=FILE',
        command=("score", "a=preds.jsonl", "a=refs.jsonl", "--refs", "refs.jsonl"),
    ),
    Case(
        "a system name that leads elsewhere",
        "",
        "cannot name a folder.*NAME=FILE",
        command=("score", "..=preds.jsonl", "--refs", "refs.jsonl"),
    ),
    Case(
        "a set name that leads elsewhere",
        "",
        "cannot name a folder.*--set NAME",
        command=(*SCORE, "--set", "../x"),
    ),
    Case(
        "an output folder that is a file",
        "refs.jsonl",
        "cannot be written; choose another folder with --out",
        command=(*SCORE, "--out", "refs.jsonl"),
    ),
    Case(
        "a folder that holds another result",
        "results/s/preds",
        "holds the result of other references.*--replace",
        other_result,
        (*SCORE, "--set", "s"),
    ),
    Case(
        "a folder that holds something else",
        "results/s/preds",
        "is no result",
        foreign_folder,
        (*SCORE, "--set", "s", "--replace"),
    ),
    Case(
        "a score that is not a number",
        "results.json[1]",
        "the score must be a finite number, not nan",
        boxes(BOX, {**BOX, "score": float("nan")}),
        BOXES,
    ),
    Case(
        "a detection without a score",
        "results.json[1]",
        'no "score" in this detection',
        boxes(BOX, {**BOX, "score": None}),
        BOXES,
    ),
    Case(
        "an infinite coordinate",
        "results.json[0]",
        "the coordinates must be finite numbers",
        boxes({**BOX, "bbox": [0, 0, float("inf"), 1]}),
        BOXES,
    ),
    Case(
        "a box of negative width",
        "results.json[0]",
        r"the width is negative \(-9\)",
        boxes({**BOX, "bbox": [60, 50, -9, 9]}),
        BOXES,
    ),
    Case(
        "corners where width and height are declared",
        "results.json",
        "1 of 1 boxes leave their image.*--box-format xyxy",
        boxes({**BOX, "bbox": [60, 50, 69, 59]}),
        BOXES,
    ),
    Case(
        "a category that the references do not have",
        "results.json[1]",
        r"1 box of 2 with a category that instances.json does not have: 90; .*3 \(car\)",
        boxes(BOX, {**BOX, "category_id": 90}),
        BOXES,
    ),
    Case(
        "an image that the references do not have",
        "results.json[1]",
        "1 of 2 ids are not in instances.json: 8",
        boxes(BOX, {**BOX, "image_id": 8}),
        BOXES,
    ),
    Case(
        "detections in another set",
        "results.json[0]",
        r"no id here \(8\) is in instances.json.*different sets",
        boxes({**BOX, "image_id": 8}),
        BOXES,
    ),
    Case(
        "two annotations of one id",
        "instances.json: annotations[1]",
        r"annotation id 1 already appeared at instances.json: annotations\[0\]",
        boxes(BOX, annotations=[OBJECT, OBJECT]),
        BOXES,
    ),
    Case(
        "no annotation at all",
        "instances.json",
        "no box in any reference",
        boxes(BOX, annotations=[]),
        BOXES,
    ),
    Case(
        "a label that is no name",
        "results.json[0]",
        '"category_id" must be a text or a whole number, not 1.5',
        boxes({**BOX, "category_id": 1.5}),
        BOXES,
    ),
    Case(
        "a crowd that is neither 0 nor 1",
        "instances.json: annotations[0]",
        "crowd must be 0 or 1, not 7",
        boxes(BOX, annotations=[{**OBJECT, "iscrowd": 7}]),
        BOXES,
    ),
    Case(
        "a mask of another size",
        "results.json[0]",
        "run lengths of 8 x 10 pixels",
        boxes({**BOX, "segmentation": {"size": [8, 10], "counts": "P2"}}),
        BOXES,
    ),
    Case(
        "annotations where detections are wanted",
        "instances.json",
        "a COCO file of annotations, but detections are wanted",
        boxes(BOX),
        ("score", "instances.json", "--refs", "instances.json", "--metric", "coco_ap"),
    ),
    Case("an unknown flag", "", "No such option", command=(*SCORE, "--refrences", "x")),
    Case("an unknown verb", "", "No such command", command=("scor", "preds.jsonl")),
]


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case: Case, tmp_path: Path, evalkit_command: Command) -> None:
    (tmp_path / "preds.jsonl").write_text(lines(PREDS))
    (tmp_path / "refs.jsonl").write_text(lines(REFS))
    case.prepare(tmp_path)
    before = listing(tmp_path)
    done = evalkit_command(*case.command, "--json", input="")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    message = line.removeprefix("evalkit: error: ")
    assert message != line
    assert message.startswith(f"{case.where}: " if case.where else "")
    assert re.search(case.says, message), message
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"kind", "message", "where"}
    assert error["message"] in message
    assert listing(tmp_path) == before


def test_a_folder_without_write_permission(tmp_path: Path, evalkit_command: Command) -> None:
    (tmp_path / "preds.jsonl").write_text(lines(PREDS))
    (tmp_path / "refs.jsonl").write_text(lines(REFS))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    import os

    if os.access(locked, os.W_OK):
        pytest.skip("this user (root) may write everywhere")
    done = evalkit_command(*SCORE, "--out", "locked")
    assert done.returncode == 2
    assert "cannot be written; choose another folder with --out" in done.stderr
    assert not list(locked.iterdir())
