"""Where results lie, a local folder or an fsspec URL; everything is read through this door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.errors import MissingDependencyError


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
    return bytes(_reached(system.cat_file, path))


def folders(place: str) -> list[str]:
    """The names of the folders in a folder, sorted; OSError where it is none."""
    if not is_url(place):
        return sorted(one.name for one in Path(place).iterdir() if one.is_dir())
    system, path = _opened(place)
    listed = _reached(system.ls, path, detail=True)
    return sorted(name(one["name"]) for one in listed if one["type"] == "directory")


def holds(place: str, file: str) -> bool:
    if not is_url(place):
        return Path(place, file).is_file()
    system, path = _opened(join(place, file))
    return bool(_reached(system.exists, path))


def _opened(url: str) -> tuple[Any, str]:
    import fsspec.core

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingDependencyError(" ".join(str(error).split()), url) from None
    except ValueError as error:
        raise OSError(0, " ".join(str(error).split())) from None
    return system, path


def _reached(call: Any, *arguments: Any, **more: Any) -> Any:
    try:
        return call(*arguments, **more)
    except FileNotFoundError:
        raise FileNotFoundError(2, "No such file or directory") from None
    except OSError as error:
        raise OSError(error.errno or 0, error.strerror or str(error)) from None
    except Exception as error:  # every file system has errors of its own
        raise OSError(0, f"{type(error).__name__}: {error}") from None
