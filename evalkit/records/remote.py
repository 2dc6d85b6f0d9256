"""Open a URL through fsspec; whatever fails becomes an error of ours, without what is secret."""

from __future__ import annotations

from typing import IO, Any

from evalkit.errors import (
    DataError,
    EvalkitError,
    MissingDependencyError,
    ServiceError,
    UsageError,
    did_you_mean,
)
from evalkit.records.addresses import public, scheme, scrubbed

_LOCAL = ("local", "memory")
WAIT = 60.0  # seconds without an answer
_COMMON = ("s3", "gs", "az", "abfs", "hf", "http", "https", "ftp", "sftp", "file", "memory")
_DRIVERS = {
    "aiohttp>=3.9 (extra `io`): pip install aiohttp": ("http", "https"),
    "paramiko: pip install paramiko": ("sftp", "ssh"),
    "smbprotocol: pip install smbprotocol": ("smb",),
    "pygit2: pip install pygit2": ("git",),
    "requests: pip install requests": ("github", "gist", "webhdfs", "dbfs", "jupyter", "jlab"),
}


def open_url(address: str) -> IO[bytes]:
    """DataError where nothing is there, ServiceError where the other side fails."""
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(address, **_settings(address))
        stream: IO[bytes] = files.open(path, "rb", **_streamed(address))
    except Exception as error:  # every file system has errors of its own
        raise failure(error, address) from None
    return stream


def _settings(address: str) -> dict[str, Any]:
    """Of HTTP: no limit to the whole download, one to every wait; quoted addresses stay so."""
    if scheme(address) not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=WAIT, sock_read=WAIT)
    return {"client_kwargs": {"timeout": timeout}, "encoded": "%" in address}


def _streamed(address: str) -> dict[str, Any]:
    """One request over HTTP: no blocks, no question for the size, which hides why it failed."""
    return {"block_size": 0, "size": 1} if scheme(address) in ("http", "https") else {}


def failure(error: Exception, address: str) -> EvalkitError:
    """What an error of a file system means for whoever gave the address."""
    where, kind = public(address), scheme(address)
    if isinstance(error, EvalkitError):
        return error
    if isinstance(error, ImportError):
        return MissingDependencyError(f"{kind}:// needs {_driver(kind, error)}", where)
    if isinstance(error, FileNotFoundError):
        return DataError("no such file; check the address", where)
    if isinstance(error, IsADirectoryError):
        return DataError("is a folder; name the files in it", where)
    if isinstance(error, ValueError) and "Protocol not known" in str(error):
        hint = did_you_mean(kind, _COMMON)
        return UsageError(f'{where}: no file system is called "{kind}"{hint}')
    said = scrubbed(_said(error), address)
    if kind in _LOCAL or isinstance(error, ValueError):
        return DataError(f"cannot be read: {said}", where)
    if isinstance(error, PermissionError) or getattr(error, "status", 0) in (401, 403):
        return ServiceError(f"access denied ({said}); check the credentials", where)
    return ServiceError(f"cannot be read: {said}; try again, or copy the file", where)


def _said(error: Exception) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if isinstance(status, int) and isinstance(message, str):
        return f"HTTP {status} {message}"
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _driver(kind: str, error: ImportError) -> str:
    from fsspec.registry import known_implementations

    for driver, kinds in _DRIVERS.items():
        if kind in kinds:
            return driver
    package = str(known_implementations.get(kind, {}).get("class", "")).partition(".")[0]
    package = {"boxfs": "boxfs", "gdrive_fsspec": "gdrive-fsspec"}.get(package, package)
    if not package or package == "fsspec":
        return f"a library that is not installed ({' '.join(str(error).split())})"
    return f"{package}: pip install {package.replace('_', '-')}"
