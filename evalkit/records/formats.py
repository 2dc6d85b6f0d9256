"""From a source to records: JSON lines, JSON, plain text, TSV, CSV, Parquet."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from evalkit.errors import DataError, UsageError, did_you_mean
from evalkit.records import coco
from evalkit.records.addresses import plain_suffix
from evalkit.records.fields import shown
from evalkit.records.lines import read_lines
from evalkit.records.parquet import MAGIC, Record, read_parquet
from evalkit.records.source import Source

FORMATS = ("jsonl", "json", "text", "tsv", "csv", "parquet")
_BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".tsv": "tsv",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COCO = re.compile(rb'\{\s*"(info|licenses|images|annotations|categories|type)"\s*:')


def format_of(source: Source, chosen: str | None) -> str:
    """`chosen` wins, then the name; a pipe has none and is told by how it begins."""
    if chosen is not None:
        if chosen not in FORMATS:
            raise UsageError(f'no format is called "{chosen}"{did_you_mean(chosen, FORMATS)}')
        return chosen
    if source.nameless:
        return _format_of_bytes(source.peek())
    return _BY_SUFFIX.get(plain_suffix(source.address), "text")


def _format_of_bytes(head: bytes) -> str:
    """JSON lines, unless it begins as Parquet, as an array or as a COCO file does."""
    if head.startswith(MAGIC):
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return "json"
    line, newline, _ = text.partition(b"\n")
    begun = line.startswith(b"{") and line.rstrip()[-1:] in (b"{", b"[", b",")
    return "json" if begun or (_COCO.match(line) and not newline) else "jsonl"


def read_records(
    source: Source, chosen: str | None, text_field: str, named: Collection[str] = ()
) -> Iterator[tuple[int, Record]]:
    """(line number, record); a plain line becomes {`text_field`: the line}. chosen: the format.

    named: the fields that are no mere company.
    """
    match form := format_of(source, chosen):
        case "jsonl":
            return _json_lines(source)
        case "json":
            return _json_document(source)
        case "text":
            return _plain(source, text_field, certain=chosen is not None)
        case "parquet":
            return read_parquet(source, named)
        case _:
            return _delimited(source, form)


def place(source: Source, form: str, number: int) -> str:
    """`file:line`, `file:row` of Parquet; in a JSON array, which may have no lines, `file[index]`.

    form: also `images` or `annotations`, the arrays of a COCO file.
    """
    if form in ("images", "annotations"):
        return f"{source}: {form}[{number - 1}]"
    return f"{source}[{number - 1}]" if form == "json" else f"{source}:{number}"


def _json_lines(source: Source) -> Iterator[tuple[int, Record]]:
    return _json_lines_of(source, read_lines(source))


def _json_lines_of(
    source: Source, lines: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, Record]]:
    decoder = msgspec.json.Decoder()
    blank = 0
    for number, line in lines:
        where = f"{source}:{number}"
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            raise DataError("a blank line among the records; delete it", f"{source}:{blank}")
        try:
            record = decoder.decode(line)
        except RecursionError:
            raise DataError("nested too deeply to be a record", where) from None
        except msgspec.DecodeError as error:
            if number == 1 and line.lstrip().startswith("["):
                raise _array_error(where) from None
            hint = "; is it plain text? say --format text" if number == 1 else ""
            raise DataError(f"not valid JSON: {error}{hint}", where) from None
        if isinstance(record, list) and number == 1:
            raise _array_error(where)
        if not isinstance(record, dict):
            raise DataError(f"each line must be a JSON object, not {shown(record)}", where)
        yield number, record


def _array_error(where: str) -> DataError:
    return DataError(
        "a JSON array, but one JSON object per line is wanted; say --format json, "
        "or name the file .json",
        where,
    )


def _json_document(source: Source) -> Iterator[tuple[int, Record]]:
    """A JSON array of records, COCO's annotations, or JSON lines all the same."""
    lines = read_lines(source)
    first = next(lines)
    if _is_object(first[1]):
        return _json_lines_of(source, itertools.chain([first], lines))
    text = "\n".join(itertools.chain([first[1]], (line for _, line in lines)))
    try:
        document = msgspec.json.decode(text)
    except RecursionError:
        raise DataError("nested too deeply to hold records", source.name) from None
    except msgspec.DecodeError as error:
        raise DataError(f"not valid JSON: {error}", source.name) from None
    records = coco.captions(document, source.name) if isinstance(document, dict) else document
    if not isinstance(records, list):
        raise DataError(f"an array of JSON objects is wanted, not {shown(records)}", source.name)
    return _elements(records, source)


def _is_object(line: str) -> bool:
    """A record by itself, not a whole COCO file."""
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(record, dict) and not coco.is_annotations(record)


def _elements(records: list[Any], source: Source) -> Iterator[tuple[int, Record]]:
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            where = place(source, "json", number)
            raise DataError(f"each element must be a JSON object, not {shown(record)}", where)
        yield number, record


def _plain(source: Source, text_field: str, *, certain: bool) -> Iterator[tuple[int, Record]]:
    """White space at the end of a line is cut, as sacrebleu does."""
    for number, line in read_lines(source):
        if number == 1 and not certain and line.startswith('{"') and line.endswith("}"):
            raise DataError(
                "looks like JSON lines but is not named .jsonl; "
                "say which with --format jsonl or --format text",
                f"{source}:1",
            )
        yield number, {text_field: line.rstrip()}


def _delimited(source: Source, form: str) -> Iterator[tuple[int, Record]]:
    """The first row names the columns. TSV has no quoting; CSV quotes as RFC 4180 does."""
    place = [0]

    def lines() -> Iterator[str]:
        for number, line in read_lines(source):
            place[0] = number
            yield line + "\n"

    if form == "tsv":
        rows: Iterator[list[str]] = (line.removesuffix("\n").split("\t") for line in lines())
    else:
        csv.field_size_limit(2**31 - 1)
        rows = csv.reader(lines(), strict=True)
    header: list[str] = []
    last = 0
    try:
        for row in rows:
            first, last = last + 1, place[0]
            where = f"{source}:{first}"
            if not header:
                header = _header(row, where)
            elif len(row) != len(header):
                raise DataError(
                    f"{len(row)} columns where the first line names {len(header)}; "
                    "check the separators and the quotes",
                    where,
                )
            else:
                yield first, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise DataError(f"not valid CSV: {error}", f"{source}:{place[0]}") from None


def _header(row: list[str], where: str) -> list[str]:
    if twice := next((name for name in row if row.count(name) > 1), None):
        raise DataError(f'two columns are called "{twice}"; rename one', where)
    return row
