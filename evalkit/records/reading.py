"""From prediction and reference files to systems: name them, read them, check every record."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from evalkit.errors import DataError, UsageError
from evalkit.records import addresses, kinds
from evalkit.records.box_systems import read_box_systems
from evalkit.records.example import System
from evalkit.records.fields import (
    ABSENT,
    FieldNames,
    refuse_unseen,
    shown,
)
from evalkit.records.formats import format_of, place, read_records
from evalkit.records.joining import Line, Partners, Records, join
from evalkit.records.kinds import Kind
from evalkit.records.peek import holds_boxes
from evalkit.records.source import Source


@dataclass(frozen=True)
class ReadOptions:
    """`fields`: canonical name -> field in the file; `format`: None tells by the file's name.

    box_format: xywh or xyxy, as declared; None: xywh, unless most boxes contradict it.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    partners: Partners = field(default_factory=Partners)
    clusters: bool = True
    box_format: str | None = None

    @property
    def named(self) -> frozenset[str]:
        """The fields that have a meaning, by all their names."""
        chosen = (one for fields in self.fields.values() for one in fields.split(","))
        return kinds.every_name().union(chosen)


@dataclass
class Reading:
    """kind: of the records; None until the first record of the first file tells it."""

    kind: Kind | None
    separate_references: bool
    options: ReadOptions

    def known(self) -> Kind:
        assert self.kind is not None
        return self.kind


def read_systems(
    predictions: Sequence[str],
    references: Sequence[str],
    options: ReadOptions,
    kind: str | None = None,
) -> list[System]:
    """Systems in the order given, each example joined with its references.

    kind: of the records; None: the first one tells.

    predictions: files, URLs, or NAME=FILE; references: files (plain text has one per reference,
    in the other formats one file holds all references of an example); `-` is standard input.
    """
    named = _name_sources(predictions)
    shared = [Source(_checked(one)) for one in references]
    sources = [*(source for _, source in named), *shared]
    if sum(map(_is_stdin, sources)) > 1:
        raise UsageError("- stands for standard input, which can be read only once; name a file")
    with ExitStack() as stack:
        for source in sources:
            stack.callback(source.close)
        systems = _read(named, shared, options, kind)
    digests = {str(source): source.digest for source in sources}
    return [
        replace(one, files={name: digests[name] for name in (one.sources[0], *map(str, shared))})
        for one in systems
    ]


def _read(
    named: Sequence[tuple[str, Source]],
    references: Sequence[Source],
    options: ReadOptions,
    kind: str | None,
) -> list[System]:
    _refuse_twins([(name, str(source)) for name, source in named])
    if kind == "boxes" or (kind is None and holds_boxes(named[0][1], options.format, references)):
        systems = read_box_systems(named, references, options, kinds.kind("boxes"))
        _refuse_twins([(one.name, str(one.source)) for one in systems])
        return systems
    reading = Reading(None if kind is None else kinds.kind(kind), bool(references), options)
    found: list[tuple[str, Records]] = []
    seen: set[str] = set()
    for name, source in named:
        by_system = _read_predictions(source, reading, seen)
        for own_name, records in by_system.items():
            found.append((own_name if own_name is not None else name, records))
    _refuse_twins([(name, str(records.source)) for name, records in found])
    shared = _read_references(references, reading, seen) if references else None
    refuse_unseen(options.fields, seen, str(named[0][1]))
    own_kind, partners = reading.known(), options.partners
    if options.box_format is not None:
        raise UsageError(f"--box-format is for boxes, but these records hold {own_kind.name}")
    if partners.allow_missing and own_kind.empty is None:
        raise UsageError(f"--allow-missing: no {own_kind.name} stand for a missing prediction")
    return [join(name, records, shared, own_kind, partners) for name, records in found]


def _name_sources(predictions: Sequence[str]) -> list[tuple[str, Source]]:
    """[(system, source)]: the part before `=`, else the stem, made unique by parent folders."""
    chosen: list[tuple[str | None, str]] = []
    for argument in predictions:
        name, equals, address = _checked(argument).partition("=")
        plain = not equals or "/" in name or os.path.exists(argument)  # noqa: PTH110 (never raises)
        if not plain and not (name and address):
            raise UsageError(f'"{addresses.public(argument)}": a named system is NAME=FILE')
        chosen.append((None, argument) if plain else (name, address))
    stems = {address: addresses.stem(address) for name, address in chosen if name is None}
    depth = 1
    while len(set(stems.values())) < len(stems) and depth < 16:
        depth += 1
        stems = {address: "-".join(addresses.parts(address)[-depth:]) for address in stems}
    return [
        (name if name is not None else stems[address], Source(address)) for name, address in chosen
    ]


def _checked(argument: str) -> str:
    if not _is_utf8(argument):
        raise UsageError(f"{addresses.public(argument)!r} is not valid UTF-8; rename the file")
    return argument


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_stdin(source: Source) -> bool:
    return source.address == addresses.STDIN


def _refuse_twins(named: Sequence[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, source in named:
        if name in seen:
            raise UsageError(
                f'two systems are called "{name}" ({seen[name]} and {source}); name one: NAME=FILE'
            )
        seen[name] = source


def _read_predictions(
    source: Source, reading: Reading, seen: set[str]
) -> dict[str | None, Records]:
    """By the `system` field, in order of first appearance; None where there is no such field.

    seen: takes the names of all fields.
    """
    systems: dict[str | None, Records] = {}
    form = format_of(source, reading.options.format)
    options = reading.options
    records = read_records(source, options.format, "prediction", options.named)
    first = next(records, None)
    if first is None:
        raise DataError("no records in this file", source.name)
    if reading.kind is None:
        reading.kind = kinds.kind_of(first[1])
        if reading.kind.name == "boxes":
            raise UsageError(f"{source}: holds boxes; name a metric or a protocol that reads them")
    kind = reading.kind
    names = FieldNames(kind.prediction_file(reading.separate_references), reading.options.fields)
    for number, record in itertools.chain([first], records):
        where = place(source, form, number)
        system = names.get(record, "system", where)
        if system is ABSENT:
            system = None
        elif isinstance(system, int) and not isinstance(system, bool):
            system = str(system)
        elif not isinstance(system, str) or not system:
            raise DataError(f"the system must be a name, not {shown(system)}", where)
        if system not in systems:
            systems[system] = Records(source, form)
        if len(systems) > 1 and None in systems:
            raise DataError("some records name their system and some do not", where)
        separate = reading.separate_references
        embedded = ABSENT if separate else names.get(record, "references", where)
        systems[system].add(
            names.get(record, "id", where),
            Line(
                number,
                kind.prediction(names.require(record, "prediction", where), where),
                None if embedded is ABSENT else kind.references(embedded, where),
                names.cluster(record, where) if reading.options.clusters else None,
                names.rest(record),
            ),
        )
    seen |= names.seen
    return systems


def _read_references(sources: Sequence[Source], reading: Reading, seen: set[str]) -> Records:
    wanted = reading.options.format
    chosen = wanted if wanted == "text" or any(map(_is_stdin, sources)) else None
    forms = {format_of(source, chosen) for source in sources}
    if len(forms) > 1:
        raise UsageError("--refs: give files of one format, not " + " and ".join(sorted(forms)))
    form = forms.pop()
    kind = reading.known()
    if form == "text":
        return _parallel_references(sources, kind, chosen)
    if len(sources) > 1:
        raise UsageError(
            "--refs: only plain text has one file per reference; "
            'in the other formats "references" holds them all'
        )
    source = sources[0]
    records = Records(source, form)
    names = FieldNames(kind.reference_file(), reading.options.fields)
    for number, record in read_records(source, chosen, "references", reading.options.named):
        where = place(source, form, number)
        records.add(
            names.get(record, "id", where),
            Line(
                number,
                None,
                kind.references(names.require(record, "references", where), where),
                names.cluster(record, where) if reading.options.clusters else None,
                names.rest(record),
            ),
        )
    if not records.lines:
        raise DataError("no records in this file", source.name)
    seen |= names.seen
    return records


def _parallel_references(sources: Sequence[Source], kind: Kind, chosen: str | None) -> Records:
    """Line-aligned files, one per reference; an empty line is no reference."""
    columns = [
        [record["references"] for _, record in read_records(source, chosen, "references")]
        for source in sources
    ]
    for source, column in zip(sources[1:], columns[1:], strict=True):
        if len(column) != len(columns[0]):
            raise DataError(
                f"{len(column)} lines, but {sources[0]} has {len(columns[0])}; "
                "line-aligned files must be of one length",
                source.name,
            )
    records = Records(sources[0], "text", numbered=True)
    for number, texts in enumerate(zip(*columns, strict=True), start=1):
        where = f"{sources[0]}:{number}"
        given = [one for one in texts if one]
        if not given:
            message = "an empty line in every reference file: this example has no reference"
            raise DataError(message, where)
        records.lines[str(number)] = Line(number, None, kind.references(given, where), None, {})
    return records
