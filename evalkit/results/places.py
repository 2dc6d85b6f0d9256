"""Where results lie, a local folder or an fsspec URL; everything is read through this door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalkit.errors import EvalkitError, ServiceError, UnavailableError
from evalkit.records import remote
from evalkit.records.addresses import public, scrubbed

_MISSING = (404, 410)


def shown(place: str) -> str:
    """As it may be printed: a URL without user, password and query."""
    return public(place)


@contextmanager
def named_publicly(place: str) -> Iterator[None]:
    """What is secret in an address is in no error about it."""
    try:
        yield
    except EvalkitError as error:
        if not is_url(place):
            raise
        where = error.where and shown(error.where)
        raise type(error)(scrubbed(error.message, place), where) from None


def is_url(place: str) -> bool:
    return "://" in place


def join(place: str, *names: str) -> str:
    return "/".join((place.rstrip("/"), *names)) if is_url(place) else str(Path(place, *names))


def parent(place: str) -> str:
    return place.rstrip("/").rpartition("/")[0] if is_url(place) else str(Path(place).parent)


def name(place: str) -> str:
    return place.rstrip("/").rpartition("/")[2] if is_url(place) else Path(place).name


def read(place: str) -> bytes:
    """OSError where it cannot be read, FileNotFoundError where it is not there."""
    if not is_url(place):
        return Path(place).read_bytes()
    system, path = _opened(place)
    return bytes(_reached(place, system.cat_file, path))


def folders(place: str) -> list[str]:
    """The names of the folders in a folder, sorted; OSError where it is none."""
    if not is_url(place):
        return sorted(one.name for one in Path(place).iterdir() if one.is_dir())
    system, path = _opened(place)
    listed = _reached(place, system.ls, path, detail=True)
    return sorted(name(one["name"]) for one in listed if one["type"] == "directory")


def holds(place: str, file: str) -> bool:
    if not is_url(place):
        return Path(place, file).is_file()
    system, path = _opened(join(place, file))
    return bool(_reached(place, system.exists, path))


def _opened(url: str) -> tuple[Any, str]:
    import fsspec.core

    try:
        system, path = fsspec.core.url_to_fs(url)
    except Exception as error:  # every file system has errors of its own
        raise _failure(error, url) from None
    return system, path


def _reached(url: str, call: Any, *arguments: Any, **more: Any) -> Any:
    try:
        return call(*arguments, **more)
    except Exception as error:  # every file system has errors of its own
        raise _failure(error, url) from None


def _failure(error: Exception, url: str) -> Exception:
    """OSError where the address is at fault, else ServiceError or what is not installed."""
    if isinstance(error, FileNotFoundError) or getattr(error, "status", None) in _MISSING:
        return FileNotFoundError(2, "No such file or directory")
    if isinstance(error, IsADirectoryError | NotADirectoryError):
        return OSError(error.errno or 0, scrubbed(error.strerror or str(error), url))
    found = remote.failure(error, url)
    if isinstance(found, ServiceError | UnavailableError):
        return found
    return OSError(0, found.message)
