"""Where a result came from: what run.json keeps beside the request, and what it must not keep."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import evalkit
from evalkit.errors import UsageError
from evalkit.records.addresses import public

GIT_SECONDS = 5
REDACTED = "***"
_NAMES = (
    r"(?:api|access|secret|private|auth)[_-]?key|token|secret|pass(?:wd|word|phrase)?|pwd"
    r"|credentials?"
)
_ADDRESS = re.compile(r"(?:[^\s/:=]+=)?[A-Za-z][A-Za-z0-9+.-]*://\S+")
_NAMED = re.compile(rf"(?is)((?:--[\w-]+=)?(?:[\w.-]*[^a-z])?(?:{_NAMES})=).*")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
_QUERY = (re.compile(r"(\w://[^?]+\?)\S+"), rf"\1{REDACTED}")
_SECRETS = (
    (
        re.compile(rf"(?i)((?<![a-z])(?:{_NAMES})(?![a-z])[\"']?\s*[=:]\s*[\"']?)[^\s\"',;]+"),
        rf"\1{REDACTED}",
    ),
    (re.compile(rf"(?i)(--?(?:[\w-]*[_-])?(?:{_NAMES})\s+)[^\s-]\S*"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"), rf"\1{REDACTED}"),
    (
        re.compile(
            r"\b(?:sk-[\w-]{16,}|gh[a-z]_\w{16,}|github_pat_\w{16,}|hf_\w{16,}|AKIA\w{12,}"
            r"|xox[a-z]-[\w-]{10,}|glpat-[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+)"
        ),
        REDACTED,
    ),
)


def parse_tags(given: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE each; UsageError where one is not, or where a name comes twice."""
    tags: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise UsageError(f'--tag "{one}": a tag is NAME=VALUE, e.g. --tag lr=1e-4')
        if name in tags:
            raise UsageError(f'--tag "{name}" is given twice')
        tags[name] = value
    return tags


def circumstances() -> dict[str, Any]:
    """Machine, versions, working folder, and the commit of its repository."""
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {
            "evalkit": evalkit.__version__,
            **{name: metadata.version(name) for name in ("numpy", "scipy", "sacrebleu")},
        },
        "folder": str(Path.cwd()),
        "git": commit(),
    }


def commit() -> dict[str, Any] | None:
    """`commit`, and `dirty`: were tracked files changed (None: not known)?

    None outside a repository, and where git is absent, refuses or is too slow.
    """
    found = _git("rev-parse", "--verify", "--quiet", "HEAD")
    if not found:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    return {"commit": found.strip(), "dirty": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    """Without locks in the repository, and without the programs that its settings may name."""
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def tags_without_secrets(tags: Mapping[str, str]) -> dict[str, str]:
    """A tag is scrubbed as NAME=VALUE, so that its name tells what its value is."""
    kept = {}
    for name, value in tags.items():
        is_secret = without_secrets(f"{name}=x") != f"{name}=x"
        kept[without_secrets(name)] = REDACTED if is_secret else without_secrets(value)
    return kept


def without_secrets(value: Any) -> Any:
    """JSON values whose texts have lost what looks like a credential."""
    if isinstance(value, str):
        alone = _ADDRESS.fullmatch(value) is not None
        value = public(value) if alone else _IN_TEXT.sub(lambda url: public(url[0]), value)
        for pattern, kept in _SECRETS if alone else (_QUERY, *_SECRETS):
            value = pattern.sub(kept, value)
        return value
    if isinstance(value, Mapping):
        return {without_secrets(key): without_secrets(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return _words_without_secrets(value)
    return value


def _words_without_secrets(words: Sequence[Any]) -> list[Any]:
    """Also the word after one such as --api-key."""
    kept: list[Any] = []
    for word in words:
        before = kept[-1] if kept else None
        if isinstance(before, str) and isinstance(word, str) and _is_flag(before):
            kept.append(REDACTED)
        elif isinstance(word, str) and (found := _NAMED.match(word)):
            kept.append(f"{found[1]}{REDACTED}")
        else:
            kept.append(without_secrets(word))
    return kept


def _is_flag(word: str) -> bool:
    return re.fullmatch(rf"(?i)--?(?:[\w-]*[_-])?(?:{_NAMES})", word) is not None


def is_redacted(value: Any) -> bool:
    if isinstance(value, str):
        return REDACTED in value
    if isinstance(value, Mapping):
        return any(is_redacted(one) for pair in value.items() for one in pair)
    return isinstance(value, Sequence) and any(is_redacted(one) for one in value)
