"""The names a field may go by, and the way out where that leaves a doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalkit.errors import DataError, UsageError, did_you_mean

PREDICTION_FILE: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "image_id", "sample_id", "segment_id", "seg_id", "item_id"),
    "cluster": ("cluster", "group", "doc", "doc_id", "docid"),
    "prediction": ("prediction", "hypothesis", "hyp", "mt", "output", "caption"),
    "references": ("references", "reference", "refs", "ref", "target"),
    "system": ("system",),
}
REFERENCE_FILE: Mapping[str, tuple[str, ...]] = {
    "id": PREDICTION_FILE["id"],
    "cluster": PREDICTION_FILE["cluster"],
    "references": ("references", "reference", "refs", "ref", "target", "caption", "text"),
}

ABSENT: Any = object()


class FieldNames:
    """Where each canonical field stands in the records of one file."""

    def __init__(
        self, aliases: Mapping[str, tuple[str, ...]], chosen: Mapping[str, str] | None = None
    ) -> None:
        """`chosen` maps a canonical name to the field's name in the file (`--field`)."""
        self._aliases = aliases
        self._chosen = {
            name: field.split(",") for name, field in (chosen or {}).items() if name in aliases
        }
        self._present: dict[str, bool] = {}
        self.seen: set[str] = set()

    def get(self, record: Mapping[str, Any], name: str, where: str) -> Any:
        """The value of a canonical field, or ABSENT; DataError where two aliases are present.

        A chosen field that this file does not have is meant for another: the aliases count here.
        """
        fields = self._chosen.get(name, [])
        present = any(field in record for field in fields)
        if fields and present != self._present.setdefault(name, present):
            here, before = ("a", "none") if present else ("no", "one")
            raise DataError(
                f'{here} field "{fields[0]}" here, but the records before it have {before}', where
            )
        if present:
            self.seen.update(record)
            values = [record.get(field, ABSENT) for field in fields]
            if len(fields) > 1:
                return [value for value in values if value is not ABSENT and value != ""]
            return values[0]
        taken = {field for own in self._chosen.values() for field in own if field in record}
        found = [one for one in self._aliases[name] if one in record and one not in taken]
        if len(found) > 1:
            raise DataError(
                f'both "{found[0]}" and "{found[1]}" could be the {name}; '
                f"choose one with --field {name}={found[0]}",
                where,
            )
        self.seen.update(record)
        return record[found[0]] if found else ABSENT

    def require(self, record: Mapping[str, Any], name: str, where: str) -> Any:
        """As `get`, but DataError with the fields that there are where it is absent."""
        value = self.get(record, name, where)
        if value is not ABSENT:
            return value
        if name in self._chosen:
            asked = self._chosen[name][0]
            raise DataError(f'no field "{asked}" here{did_you_mean(asked, record)}', where)
        raise DataError(
            f"no {name} in this record (its fields: {', '.join(map(shown, record))}); "
            f"name the field with --field {name}=FIELD",
            where,
        )

    def cluster(self, record: Mapping[str, Any], where: str) -> str | None:
        value = self.get(record, "cluster", where)
        if value is ABSENT:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int):
            raise DataError(
                f"the cluster must be a string or a whole number, not {shown(value)}", where
            )
        return str(value)

    def rest(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that travel along; what named the cluster may be a slice as well."""
        known = {
            field
            for name in self._aliases
            if name != "cluster"
            for field in (self._chosen[name] if self._present.get(name) else self._aliases[name])
        }
        return {key: value for key, value in record.items() if key not in known}


def parse_fields(pairs: Sequence[str]) -> dict[str, str]:
    """`["id=image_id"]` -> {"id": "image_id"}."""
    return dict(_parse_fields(pairs))


def _parse_fields(pairs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        name, equals, field = pair.partition("=")
        if not equals or not field:
            raise UsageError(f'--field wants NAME=FIELD, not "{pair}"; e.g. --field id=image_id')
        if name not in PREDICTION_FILE:
            hint = did_you_mean(name, PREDICTION_FILE)
            raise UsageError(f'--field: no field is called "{name}"{hint}')
        if "," in field and name != "references":
            raise UsageError(f"--field {pair}: only references can have several columns")
        yield name, field


def refuse_unseen(chosen: Mapping[str, str], seen: set[str], where: str) -> None:
    """DataError where a chosen field stands in no record of any file."""
    for name, fields in chosen.items():
        for field in fields.split(","):
            if field not in seen:
                flag = f"--field {name}={field}"
                hint = did_you_mean(field, seen)
                raise DataError(f'{flag}: no record has a field "{field}"{hint}', where)


def text_id(value: Any, where: str) -> str:
    """Ids are strings or whole numbers; 7 and "7" are the same id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value:
        return encodable(value, "id", where)
    raise DataError(f"the id must be a string or a whole number, not {shown(value)}", where)


def encodable(text: str, role: str, where: str) -> str:
    """DataError for half of a surrogate pair, which no file could hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise DataError(f"the {role} is not valid Unicode: {shown(text)}", where) from None
    return text


def shown(value: Any) -> str:
    """A value as a message shows it, cut to a line."""
    if value is None:
        return "null"
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 60 else text[:57] + "…"
