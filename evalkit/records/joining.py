"""Join predictions and references by id; sort by the bytes of the id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evalkit.errors import DataError, counted, did_you_mean
from evalkit.records.example import MISSING_VALUE, Example, System
from evalkit.records.fields import ABSENT, text_id
from evalkit.records.formats import place
from evalkit.records.kinds import Kind
from evalkit.records.source import Source


class Line(NamedTuple):
    """One record, its canonical fields picked out but not yet checked against the others."""

    number: int
    value: Any
    references: tuple[Any, ...] | None
    cluster: str | None
    rest: Mapping[str, Any]


@dataclass
class Records:
    """The records of one system in one file, or of one reference file, by id.

    numbered: the file has no ids, so that the line numbers are the ids.
    """

    source: Source
    form: str
    numbered: bool = False
    lines: dict[str, Line] = field(default_factory=dict)

    def where(self, id: str) -> str:
        return place(self.source, self.form, self.lines[id].number)

    def add(self, value: Any, line: Line) -> str:
        """The id. Ids are in every record of a file or in none; in none, the line number is it."""
        where = place(self.source, self.form, line.number)
        numbered = value is ABSENT
        if not self.lines:
            self.numbered = numbered
        elif self.numbered != numbered:
            raise DataError(
                "no id in this record, but the records before it have one; "
                "name the field with --field id=FIELD"
                if numbered
                else "an id in this record, but the records before it have none",
                where,
            )
        id = str(len(self.lines) + 1) if numbered else text_id(value, where)
        if id in self.lines:
            raise DataError(
                f'id "{id}" already appeared at {self.where(id)}; ids must be unique', where
            )
        self.lines[id] = line
        return id


@dataclass(frozen=True)
class Partners:
    """What to do with a reference that has no prediction: an error unless one of these is set."""

    allow_missing: bool = False
    only_predicted: bool = False


def join(name: str, own: Records, shared: Records | None, kind: Kind, partners: Partners) -> System:
    """Every prediction with its references; what has no partner is an error."""
    if shared is None:
        _require_embedded_references(own)
        chosen = own.lines
    else:
        _refuse_numbers_for_ids(own, shared)
        _refuse_unmatched(own, shared, kind, partners)
        chosen = own.lines if partners.only_predicted else shared.lines
    examples = [_example(id, own, shared, kind) for id in sorted(chosen, key=str.encode)]
    sources = (own.source,) if shared is None else (own.source, shared.source)
    unused = len(shared.lines) - len(chosen) if shared is not None else 0
    missing = 0 if kind.absent else len(chosen) - len(own.lines)
    said = () if kind.remarks is None else kind.remarks(examples, own.source.name)
    names = tuple(one.name for one in sources)
    return System(name, examples, missing, names, unused, kind.name, said)


def _require_embedded_references(own: Records) -> None:
    without = [id for id, line in own.lines.items() if line.references is None]
    if len(without) == len(own.lines):
        raise DataError(
            "no references anywhere; give them with --refs FILE, "
            'or as "references" in every record, or name their field: --field references=FIELD',
            own.source.name,
        )
    if without:
        raise DataError(f'id "{without[0]}" has no references', own.where(without[0]))


def _refuse_numbers_for_ids(own: Records, shared: Records) -> None:
    """Line numbers stand for ids only where the other file's ids are its line numbers."""
    if own.numbered == shared.numbered:
        return
    without, other = (own, shared) if own.numbered else (shared, own)
    if list(other.lines) != [str(number) for number in range(1, len(other.lines) + 1)]:
        raise DataError(
            f"no ids here, but {other.source} has ids that are not its line numbers; "
            "add them, or name their field with --field id=FIELD",
            without.source.name,
        )


def _refuse_unmatched(own: Records, shared: Records, kind: Kind, partners: Partners) -> None:
    unknown = [id for id in own.lines if id not in shared.lines]
    absent = [id for id in shared.lines if id not in own.lines]
    if own.form == shared.form == "text" and (unknown or absent):
        raise DataError(
            f"{len(own.lines)} lines, but {shared.source} has {len(shared.lines)}; "
            "line-aligned files must be of one length",
            own.source.name,
        )
    if unknown and kind.absent:
        raise _strangers(unknown, own, shared)
    if unknown:
        raise DataError(
            f'id "{unknown[0]}" has no reference in {shared.source}{_and_more(unknown)}',
            own.where(unknown[0]),
        )
    if absent and not kind.absent and not (partners.allow_missing or partners.only_predicted):
        raise DataError(
            f'id "{absent[0]}" has no prediction in {own.source}{_and_more(absent)}; '
            "--allow-missing scores missing ones as empty, --only-predicted leaves them out",
            shared.where(absent[0]),
        )


def _strangers(unknown: Sequence[str], own: Records, shared: Records) -> DataError:
    """Where an absent prediction is no fault, only these tell that the sets differ."""
    listed = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
    if len(unknown) == len(own.lines):
        message = (
            f"no id here ({listed}) is in {shared.source} ({', '.join(list(shared.lines)[:3])}, "
            "…); predictions and references are of different sets"
        )
    else:
        message = (
            f"{len(unknown):,} of {counted(len(own.lines), 'id')} are not in {shared.source}: "
            f"{listed}; add their references, or leave them out"
        )
    return DataError(message, own.where(unknown[0]))


def _and_more(ids: Sequence[str]) -> str:
    return f", nor have {len(ids) - 1} more" if len(ids) > 1 else ""


def _example(id: str, own: Records, shared: Records | None, kind: Kind) -> Example:
    line = own.lines.get(id)
    if shared is None:
        assert line is not None
        assert line.references is not None
        return Example(id, line.value, line.references, line.cluster, line.rest)
    reference = shared.lines[id]
    assert reference.references is not None
    if line is None:
        return Example(id, kind.empty, reference.references, reference.cluster, reference.rest)
    if None not in (line.cluster, reference.cluster) and line.cluster != reference.cluster:
        raise DataError(
            f'cluster "{line.cluster}" here, but "{reference.cluster}" at {shared.where(id)}',
            own.where(id),
        )
    cluster = line.cluster if line.cluster is not None else reference.cluster
    return Example(id, line.value, reference.references, cluster, {**reference.rest, **line.rest})


def labels(system: System, field_name: str) -> list[str]:
    """The value of a slice or cluster field per example, as text; DataError if no record has it."""
    if not any(field_name in example.fields for example in system.examples):
        raise no_field(system, field_name)
    return [_label(example, field_name, system) for example in system.examples]


def no_field(system: System, field_name: str) -> DataError:
    known = {key for example in system.examples for key in example.fields}
    hint = did_you_mean(field_name, known)
    return DataError(f'no record has a field "{field_name}"{hint}', system.source)


def _label(example: Example, field_name: str, system: System) -> str:
    value = example.fields.get(field_name)
    if value is None:
        return MISSING_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise DataError(
        f'id "{example.id}": field "{field_name}" is a list or an object; '
        "slices need a string, a number or true/false",
        system.source,
    )
