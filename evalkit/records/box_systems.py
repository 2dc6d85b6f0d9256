"""From files of detections and objects to systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.errors import DataError, UsageError, counted, did_you_mean
from evalkit.records.addresses import STDIN
from evalkit.records.box_checks import (
    findings,
    refuse_corners,
    refuse_no_objects,
    refuse_other_labels,
)
from evalkit.records.box_reader import BoxReader
from evalkit.records.boxes import FORMATS
from evalkit.records.coco_instances import read_instances
from evalkit.records.example import System
from evalkit.records.fields import refuse_unseen
from evalkit.records.image_files import ImageFile, opened, read_images
from evalkit.records.joining import Records, join
from evalkit.records.kinds import Kind
from evalkit.records.source import Source

if TYPE_CHECKING:
    from evalkit.records.reading import ReadOptions


def read_box_systems(
    named: Sequence[tuple[str, Source]],
    references: Sequence[Source],
    options: ReadOptions,
    kind: Kind,
) -> list[System]:
    """named: (system, source); references: one file, or none where the predictions hold them."""
    if options.box_format not in (None, *FORMATS):
        hint = did_you_mean(str(options.box_format), FORMATS)
        raise UsageError(f'no box format is called "{options.box_format}"{hint}')
    if len(references) > 1:
        raise UsageError("--refs: one file holds all references of boxes")
    seen: set[str] = set()
    objects = BoxReader(scored=False, form=options.box_format or "xywh")
    shared = _references(references[0], options, kind, objects, seen) if references else None
    found: list[tuple[str, Records]] = []
    for name, source in named:
        form, document, records = opened(source, options.format, options.named)
        if document is not None:
            raise DataError(
                "a COCO file of annotations, but detections are wanted: an array of "
                '{"image_id", "category_id", "bbox", "score"}; annotations go to --refs',
                source.name,
            )
        file = ImageFile(source, form, options.fields, options.clusters, seen)
        aliases = kind.prediction_file(separate_references=shared is not None)
        detections = objects.for_detections(options.box_format or "xywh")
        own = objects if shared is None else None
        for own_name, lines in read_images(records, file, aliases, detections, own).items():
            found.append((name if own_name is None else own_name, lines))
        detections.refuse_unknown()
    refuse_unseen(options.fields, seen, named[0][1].name)
    kind = replace(kind, remarks=None)  # the files declare more: see below
    systems = [join(name, records, shared, kind, options.partners) for name, records in found]
    for system in systems:
        if not system.examples:
            raise DataError(
                "no image has a detection, so --only-predicted leaves none", system.source
            )
        refuse_no_objects(system.examples, system.sources[-1])
        if options.box_format is None:
            refuse_corners(system)
        if objects.categories is None:
            refuse_other_labels(system.examples, system.sources[0])
    return [replace(one, remarks=tuple(_remarks(objects, one))) for one in systems]


def _references(
    source: Source, options: ReadOptions, kind: Kind, objects: BoxReader, seen: set[str]
) -> Records:
    chosen = options.format if source.address == STDIN else None
    form, document, records = opened(source, chosen, options.named)
    file = ImageFile(source, form, options.fields, options.clusters, seen)
    if document is not None:
        shared = read_instances(document, file, objects)
    else:
        shared = read_images(records, file, kind.reference_file(), None, objects)[None]
    if not shared.lines:
        raise DataError("no images in this file", source.name)
    return shared


def _remarks(objects: BoxReader, system: System) -> Iterator[tuple[str, str]]:
    """What the files leave open."""
    yield from findings(system.examples)
    if objects.passed_over:
        yield (
            "passed-over",
            f"{counted(objects.passed_over, 'reference')} marked `ignore` or `difficult` without "
            "being a crowd: `iscrowd` decides, as in pycocotools, and they count",
        )
    if objects.without_size:
        yield (
            "no-size",
            f"{objects.without_size:,} segmentations were left out, because the width and height "
            "of their image are not given",
        )
