"""JSON records as text, for a reader that decodes them into its own types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from evalkit.errors import DataError
from evalkit.records.fields import PREDICTION_FILE, shown
from evalkit.records.lines import empty, read_lines
from evalkit.records.source import Source

Fields = dict[str, Any]  # by name: texts, see `value`

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])


def value(text: Any, where: str) -> Any:
    """What a text stands for: JSON (str, bytes, Raw), or a plain value that a lenient parser made.

    Python writes NaN and Infinity, which are no JSON; they are read, so that a message can say
    where they are.
    """
    if not isinstance(text, str | bytes | msgspec.Raw):
        return _unicode(text, where)
    content = bytes(text) if isinstance(text, msgspec.Raw) else text
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _unicode(_lenient(content, where), where)
    except RecursionError:
        raise DataError("nested too deeply to be a record", where) from None


def _lenient(content: str | bytes, where: str) -> Any:
    try:
        return json.loads(content)
    except UnicodeDecodeError:
        message = "not valid UTF-8; convert the file first, e.g. iconv -f latin1 -t utf-8"
        raise DataError(message, where) from None
    except ValueError as error:
        raise DataError(f"not valid JSON: {error}", where) from None
    except RecursionError:
        raise DataError("nested too deeply to be a record", where) from None


def _unicode(found: Any, where: str) -> Any:
    """DataError for half of a surrogate pair, which the lenient parser lets pass."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1]
        raise DataError(f"a text is not valid Unicode: it holds {half!a}", where) from None
    return found


def fields(text: Any, where: str) -> Fields:
    """Of a JSON object."""
    found = text
    if isinstance(text, str | bytes | msgspec.Raw):
        try:
            return _FIELDS.decode(text)
        except msgspec.ValidationError:
            found = value(text, where)
        except UNREADABLE:
            found = _lenient(bytes(text) if isinstance(text, msgspec.Raw) else text, where)
    if not isinstance(found, dict):
        raise DataError(f"a JSON object is wanted, not {shown(found)}", where)
    try:
        return {name: msgspec.Raw(json.dumps(one).encode()) for name, one in found.items()}
    except RecursionError:
        raise DataError("nested too deeply to be a record", where) from None


def elements(text: Any, where: str) -> Sequence[Any]:
    """Of a JSON array: texts."""
    found = text
    if isinstance(text, str | bytes | msgspec.Raw):
        try:
            return _TEXTS.decode(text)
        except msgspec.ValidationError:
            found = value(text, where)
        except UNREADABLE:
            found = _lenient(bytes(text) if isinstance(text, msgspec.Raw) else text, where)
    if not isinstance(found, list):
        raise DataError(f"a JSON array is wanted, not {shown(found)}", where)
    return found


def read_json(source: Source) -> tuple[Fields | None, Iterator[tuple[int, Any]]]:
    """(a whole COCO file, nothing), or (None, (number from 1, record) …), also of JSON lines."""
    content = _read_all(source)
    if content.lstrip()[:1] != b"{":
        return None, enumerate(elements(content, source.name), start=1)
    try:
        found = fields(content, source.name)
    except DataError as error:
        if "Extra data" not in error.message:
            raise
        lines = content.decode(errors="replace").splitlines()
        return None, _full(enumerate(lines, start=1), source)
    if "annotations" in found and ("images" in found or "categories" in found):
        return found, iter(())
    known = {*found}
    if (wrapped := known & {"results", "annotations"}) and known.isdisjoint(PREDICTION_FILE["id"]):
        name = min(wrapped)
        message = f'an array of boxes is wanted: what stands under "{name}", without the object'
        raise DataError(message, source.name)
    return None, iter([(1, content)])


def read_json_lines(source: Source) -> Iterator[tuple[int, str]]:
    """(line number, record)."""
    return _full(read_lines(source), source)


def _full(lines: Iterable[tuple[int, str]], source: Source) -> Iterator[tuple[int, str]]:
    blank = 0
    for number, line in lines:
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            raise DataError("a blank line among the records; delete it", f"{source}:{blank}")
        if number == 1 and line.lstrip().startswith("["):
            raise DataError(
                "a JSON array, but one JSON object per line is wanted; say --format json, "
                "or name the file .json",
                f"{source}:1",
            )
        yield number, line


def _read_all(source: Source) -> bytes:
    """Without the byte order mark; DataError where there is nothing or it is damaged."""
    with source.open() as stream:
        content = stream.read()
    if not content:
        raise empty(source)
    return content.removeprefix(b"\xef\xbb\xbf")
