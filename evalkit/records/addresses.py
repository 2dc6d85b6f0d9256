"""What an address says: its name without what is secret, its ending, the system it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

STDIN = "-"
COMPRESSIONS = (".gz", ".zst", ".zstd")
HIDDEN = "***"

_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"
_LINK = re.compile(rf"({_SCHEME}://)(.*?)(?=::{_SCHEME}:|$)", re.DOTALL)
_IN_TEXT = re.compile(rf"{_SCHEME}://[^\s\"'<>]+")
_OPEN = ("github://", "abfs://", "abfss://")  # before the @: owner:repository, a container
_SHORTEST = 3  # characters of a secret that is looked for in a message


def is_url(address: str) -> bool:
    return "://" in address


def local_path(address: str) -> Path | None:
    """Of a file on this machine, also of a `file://` URL; None for standard input and URLs."""
    if address.startswith("file://"):
        return Path(address.removeprefix("file://"))
    return None if address == STDIN or is_url(address) else Path(address)


def public(argument: str) -> str:
    """An address, or NAME=ADDRESS, without the user, password and query of its URLs."""
    return _LINK.sub(lambda link: link[1] + _bare(*link.groups()), argument)


def scrubbed(message: str, address: str) -> str:
    """Another program's message about an address, on one line, without what is secret in it."""
    text = " ".join(message.split())
    for secret in sorted(set(_secrets(address)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _IN_TEXT.sub(lambda url: public(url[0]), text)


def scheme(address: str) -> str:
    """The first one of a URL that has several (`zip://a.jsonl::https://…`)."""
    return re.split("::?", address, maxsplit=1)[0].lower()


def plain_suffix(address: str) -> str:
    """`preds.jsonl.gz` -> `.jsonl`."""
    return _unpacked_name(address).suffix.lower()


def packed_suffix(address: str) -> str:
    """`preds.jsonl.gz` -> `.gz`; empty where the name does not say that it is compressed."""
    suffix = _path(address).suffix.lower()
    return suffix if suffix in COMPRESSIONS else ""


def stem(address: str) -> str:
    """`https://host/preds/Online-W.jsonl.gz?v=2` -> `Online-W`."""
    return "stdin" if address == STDIN else _unpacked_name(address).stem


def parts(address: str) -> list[str]:
    """The folders and the stem."""
    folders = (one for one in _path(address).parts[:-1] if one not in ("/", ".."))
    return [*folders, stem(address)]


def _unpacked_name(address: str) -> PurePosixPath | Path:
    path = _path(address)
    return path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path


def _path(address: str) -> PurePosixPath | Path:
    if not is_url(address):
        return Path(address)
    link = _LINK.search(address)
    assert link is not None
    path = _bare(*link.groups()).removesuffix(f"?{HIDDEN}").removeprefix(f"{HIDDEN}@")
    return PurePosixPath(unquote(path) if link[1].lower().startswith("http") else path)


def _bare(scheme: str, rest: str) -> str:
    """What follows the scheme, without user, password, query and fragment."""
    end = _end_of_user(scheme, rest)
    path = rest[end:]
    found = re.search("[?#]", path)
    query = f"?{HIDDEN}" if found else ""
    return (f"{HIDDEN}@" if end else "") + (path[: found.start()] if found else path) + query


def _end_of_user(scheme: str, rest: str) -> int:
    """Where the host begins; a password may hold / ? # and @ that nobody has quoted."""
    if scheme in _OPEN:
        return 0
    authority = rest.partition("/")[0]
    if "@" in authority:
        return authority.rindex("@") + 1
    _, colon, port = authority.partition(":")
    unquoted = colon and not authority.startswith("[") and not port.isdecimal()
    return rest.rindex("@") + 1 if unquoted and "@" in rest else 0


def _secrets(address: str) -> Iterator[str]:
    for link in _LINK.finditer(address):
        end = _end_of_user(*link.groups())
        user = link[2][: max(end - 1, 0)]
        query = re.split("[?#]", link[2][end:], maxsplit=1)[1:]
        values = [one.partition("=")[2] for part in query for one in re.split("[&#;]", part)]
        for one in (user, *user.split(":", maxsplit=1), *query, *values):
            yield from (text for text in (one, unquote(one)) if len(text) >= _SHORTEST)
