"""`results verify`: a stored result from its inputs again, and whether every byte agrees."""

from __future__ import annotations

import contextlib
import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from evalkit.errors import EvalkitError, ResultError
from evalkit.records.lines import file_digest
from evalkit.results import Result, load, places
from evalkit.results.result import table_file
from evalkit.results.store import locate
from evalkit.table import Table
from evalkit.tables.build import Progress, silent
from evalkit.verbs.provenance import circumstances, is_redacted
from evalkit.verbs.results import document
from evalkit.verbs.score_files import ScoreRequest, score_files
from evalkit.verbs.trust import CannotVerifyError, require_own

AGREES, DIFFERS, CANNOT = "agrees", "differs", "cannot be verified"
STDIN = {"-", "<stdin>"}
PIPES = ("/dev/fd/", "/dev/stdin", "/proc/")
Record = dict[str, Any]


@dataclass(frozen=True)
class Inputs:
    """Where the recorded files lie now, by their recorded names; what moved or changed."""

    paths: Mapping[str, str]
    notes: tuple[str, ...]


def verify_results(
    given: Sequence[str],
    folders: Sequence[str],
    inputs: str | None,
    progress: Progress = silent,
    *,
    trust: bool = False,
) -> Record:
    """One record per result: path, verdict, reasons, notes. inputs: where moved files lie.

    trust: run also metric files and programs that are no part of evalkit.
    """
    named = [locate(one, folders) for one in given]
    with tempfile.TemporaryDirectory(prefix="evalkit-verify-") as folder:
        again = _Again(Path(folder), progress)
        results = [_verified(place, inputs, again, trust=trust) for place in named]
    return document("verify", results=results)


def exit_code(found: Record) -> int:
    """1 where bytes disagree, else 2 where a result cannot be verified, else 0."""
    verdicts = {one["verdict"] for one in found["results"]}
    return 1 if DIFFERS in verdicts else 2 if CANNOT in verdicts else 0


def _verified(place: str, inputs: str | None, again: _Again, *, trust: bool) -> Record:
    notes: tuple[str, ...] = ()
    shown = places.shown(place)
    try:
        stored = load(place)
        request = _request(stored)
        found = _inputs(stored.run, inputs)
        notes = found.notes
        if not trust:
            require_own(request, found.paths, _home(stored))
        folder = again.scored(stored, request, found)
        reasons = list(_differences(place, stored, folder))
        notes += tuple(_other_downloads(stored.run, load(folder).run))
    except (CannotVerifyError, EvalkitError) as error:
        return {"path": shown, "verdict": CANNOT, "reasons": [str(error)], "notes": list(notes)}
    if reasons:
        notes += tuple(_other_versions(stored.run))
    verdict = DIFFERS if reasons else AGREES
    return {"path": shown, "verdict": verdict, "reasons": reasons, "notes": list(notes)}


def _request(stored: Result) -> ScoreRequest:
    request = stored.run.get("request")
    if not isinstance(request, dict):
        raise CannotVerifyError(
            "its run.json holds no request: only results of the command `evalkit score` do"
        )
    sources = stored.run.get("files") or {}
    own = [one for one in request.get("predictions", ()) if _source(str(one), sources)]
    if is_redacted({**request, "predictions": own}):
        raise CannotVerifyError("a credential was left out of its request (run.json)")
    if STDIN & set(sources):
        raise CannotVerifyError("it was read from standard input, which is not kept")
    kept = {key: one for key, one in request.items() if key not in ("out", "replace")}
    try:
        return msgspec.convert(kept, ScoreRequest)
    except msgspec.ValidationError as error:
        raise CannotVerifyError(f"its request (run.json) cannot be read: {error}") from None


def _inputs(run: Mapping[str, Any], inputs: str | None) -> Inputs:
    """CannotVerifyError where a file is nowhere to be found."""
    paths, notes = {}, []
    for source, sha256 in {**run.get("files", {}), **run.get("definitions", {})}.items():
        if places.is_url(source):
            paths[source] = source
            continue
        if source.startswith(PIPES):
            raise CannotVerifyError(f"{source}: it was read from a pipe, which is not kept")
        present = [one for one in _candidates(source, run, inputs) if one.is_file()]
        if not present:
            raise CannotVerifyError(
                f"{source}: no such file any more (sha256 {sha256}); --inputs FOLDER says where "
                "it lies now"
            )
        digests = {one: file_digest(str(one)) for one in present}
        same = [one for one in present if sha256 in (None, digests[one])]
        chosen = same[0] if same else present[0]
        if not same:
            notes.append(f"{source} changed: sha256 was {sha256}, now {digests[chosen]}")
        elif chosen.absolute() != _candidates(source, run, None)[0]:
            notes.append(f"{source} moved: found at {chosen}")
        paths[source] = str(chosen.absolute())
    return Inputs(paths, tuple(notes))


def _candidates(source: str, run: Mapping[str, Any], inputs: str | None) -> list[Path]:
    """Where it lay, then here, then where the user says, by its path and by its name."""
    homes = [Path(str(run.get("folder") or ".")), Path.cwd()]
    found = [(home / source).absolute() for home in homes]
    if inputs is not None:
        found += [Path(inputs, source), Path(inputs, Path(source).name)]
    return found


class _Again:
    """Scores each call once, however many of its systems are verified."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._done: dict[bytes, list[tuple[str, Path]]] = {}

    def scored(self, stored: Result, request: ScoreRequest, inputs: Inputs) -> Path:
        """The folder of the system, made again."""
        request = replace(
            request,
            predictions=tuple(_predictions(stored, request, inputs)),
            references=tuple(inputs.paths.get(one, one) for one in request.references),
            metrics=tuple(_definition(one, inputs) for one in request.metrics),
            protocol=request.protocol and inputs.paths.get(request.protocol, request.protocol),
            cache=False,
        )
        home = str(stored.run.get("folder") or ".")
        key = msgspec.json.encode([home, request], enc_hook=str)
        if key not in self._done:
            out = self._folder / str(len(self._done))
            with contextlib.chdir(_home(stored)):
                run = score_files(replace(request, out=out), self._progress)
            names = [result.system for result in run.results]
            self._done[key] = list(zip(names, run.folders, strict=True))
        for name, folder in self._done[key]:
            if name == stored.system:
                return folder
        names = [name for name, _ in self._done[key]]
        raise CannotVerifyError(f"its inputs now hold other systems: {', '.join(names)}")


def _home(stored: Result) -> Path:
    """Where it was scored, as far as that folder is here."""
    home = Path(str(stored.run.get("folder") or "."))
    return home if home.is_dir() else Path.cwd()


def _predictions(stored: Result, request: ScoreRequest, inputs: Inputs) -> Iterator[str]:
    """The files of this system, under its name: a name that a file gives counts more."""
    for argument in request.predictions:
        if source := _source(argument, inputs.paths):
            path = inputs.paths[source]
            yield path if "=" in stored.system else f"{stored.system}={path}"


def _source(argument: str, known: Mapping[str, Any]) -> str | None:
    """What FILE or NAME=FILE names of the files that are known."""
    return next((one for one in (argument, argument.partition("=")[2]) if one in known), None)


def _definition(spec: str, inputs: Inputs) -> str:
    """`./mine.py:NAME=VALUE` with the path where the file lies now."""
    name, colon, rest = spec.partition(":")
    return f"{inputs.paths.get(name, name)}{colon}{rest}"


def _differences(place: str, stored: Result, again: Path) -> Iterator[str]:
    labels = {*stored.tables, *load(again).tables}
    for name in ("result.json", *map(table_file, sorted(labels)), "examples.jsonl.gz"):
        ours, theirs = _content(place, name), _content(str(again), name)
        if ours == theirs:
            continue
        if ours is None or theirs is None:
            yield f"{name} is {'not stored' if ours is None else 'no longer made'}"
        elif name == "result.json":
            a, b = msgspec.json.decode(ours), msgspec.json.decode(theirs)
            yield f"{name} differs{first_difference(a, b)}"
        elif _unpacked(name, ours) == _unpacked(name, theirs):
            yield f"{name}: other bytes, the same content (packed by another version of zlib)"
        else:
            yield f"{name} differs"


def _content(place: str, name: str) -> bytes | None:
    try:
        return places.read(places.join(place, *name.split("/")))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultError(
            f"cannot be read: {error.strerror}", places.join(places.shown(place), name)
        ) from None


def _unpacked(name: str, content: bytes) -> Any:
    try:
        if name.endswith(".gz"):
            return gzip.decompress(content)
        table = Table.load(io.BytesIO(content))
    except (OSError, EOFError, zlib.error, ResultError):
        return content
    arrays = (np.asarray(one) for one in (table.owner, table.rows))
    return table.header, table.ids, *((one.dtype.str, one.shape, one.tobytes()) for one in arrays)


def first_difference(a: Any, b: Any, at: str = "") -> str:
    """`, first at scores[0].value: 1.5, now 2`; empty where only the bytes differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            if found := first_difference(a.get(key), b.get(key), f"{at}.{key}" if at else key):
                return found
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            if found := first_difference(one, other, f"{at}[{number}]"):
                return found
    elif a != b:
        return f", first at {at}: {_brief(a)}, now {_brief(b)}"
    return ""


def _brief(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}…"


def _other_downloads(run: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for source, sha256 in (run.get("files") or {}).items():
        found = now["files"].get(source)
        if places.is_url(source) and None not in (sha256, found) and found != sha256:
            yield f"{source} changed: sha256 was {sha256}, now {found}"


def _other_versions(run: Mapping[str, Any]) -> Iterator[str]:
    now = circumstances()
    for name, version in (run.get("versions") or {}).items():
        if version != now["versions"].get(name):
            yield f"{name} was {version}, now {now['versions'].get(name)}"
    for name in ("python", "platform"):
        if run.get(name) not in (None, now[name]):
            yield f"{name} was {run[name]}, now {now[name]}"
