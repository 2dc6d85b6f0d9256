"""Finding metrics, protocols and studies by name: a file in the right folder is an entry."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
import tomllib
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

from evalkit.errors import EvalkitError, MetricError, ProtocolError, UsageError, did_you_mean
from evalkit.interrupts import Terminated
from evalkit.metric import Metric

KINDS = ("metrics", "protocols", "studies")
_FOLDERS = {"metrics": "metrics", "protocols": "protocols", "studies": "human_eval"}


def folder(kind: str) -> Path:
    """Where evalkit's own entries lie: inside the package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / _FOLDERS[kind]
    return inside if inside.is_dir() else package.parent / _FOLDERS[kind]


def folders(kind: str) -> list[Path]:
    """evalkit's own, then those of `[tool.evalkit] catalogue` in ./pyproject.toml."""
    return [folder(kind), *(root / _FOLDERS[kind] for root in _own_folders(Path.cwd()))]


@cache
def _own_folders(start: Path) -> tuple[Path, ...]:
    project = start / "pyproject.toml"
    if not project.is_file():
        return ()
    try:
        settings = tomllib.loads(project.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else error
        raise UsageError(f"not valid TOML: {reason}", "pyproject.toml") from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", "pyproject.toml") from None
    for key in ("tool", "evalkit"):
        settings = settings.get(key, {})
        if not isinstance(settings, dict):
            raise UsageError(f"{key} is a table, not a value: [tool.evalkit]", "pyproject.toml")
    chosen = settings.get("catalogue", [])
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen):
        raise UsageError(
            '[tool.evalkit] catalogue wants a list of folders, e.g. ["eval"]', "pyproject.toml"
        )
    return tuple(start / one for one in chosen)


def entries(kind: str) -> dict[str, Path]:
    """Name -> file; one's own entry may not take the name of another."""
    found: dict[str, Path] = {}
    for place in folders(kind):
        for path in sorted(_entries_in(kind, place)):
            name = path.parent.name if kind == "studies" else path.stem
            if name in found:
                raise UsageError(f'two {kind} are called "{name}": {found[name]} and {path}')
            found[name] = path
    return found


def _entries_in(kind: str, place: Path) -> Iterator[Path]:
    if kind == "studies":
        return place.glob("*/study.toml")
    pattern = "*.py" if kind == "metrics" else "*.toml"
    return (path for path in place.glob(pattern) if not path.name.startswith("_"))


def metric_class(name: str) -> type[Metric]:
    """`bleu`, or the path of one's own file: `./mine.py`; MetricError where there is none."""
    if name.endswith(".py"):
        return _class_in(_load_file(Path(name), f"--metric {name}"), name)
    known = entries("metrics")
    if name not in known:
        hint = did_you_mean(name, known)
        if Path(f"{name}.py").is_file():
            hint = f"; a file of one's own is named by its path: ./{name}.py"
        if "," in name:
            hint = "; several metrics are several flags: " + " ".join(
                f"--metric {one}" for one in name.split(",")
            )
        raise MetricError(f'no metric is called "{name}"{hint} (evalkit list metrics)')
    if known[name].parent == folder("metrics"):
        return _class_in(importlib.import_module(f"evalkit.metrics.{name}"), name)
    return _class_in(_load_file(known[name], name), name)


def metric(spec: str) -> Metric:
    """`chrf:word_order=2,beta=1` -> the metric with these parameters."""
    name, _, text = spec.partition(":")
    found = metric_class(name)
    with named_errors(found):
        return found.from_text(text)


def adopt(thing: Any) -> Metric:
    """A metric as it is; an object of library X is wrapped by the entry called X, if it can."""
    if isinstance(thing, Metric):
        return thing
    known = entries("metrics")
    for base in type(thing).__mro__:
        library = base.__module__.partition(".")[0]
        if library in known and hasattr(metric_class(library), "of"):
            found: Metric = metric_class(library).of(thing)  # type: ignore[attr-defined]
            return found
    raise MetricError(
        f"{type(thing).__name__} is neither a metric nor the name of one; wanted are names "
        '("bleu"), paths ("./mine.py"), metrics, or objects of torchmetrics, not classes'
    )


def _load_file(path: Path, asked: str) -> ModuleType:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise MetricError(f"{asked}: cannot be read: {error.strerror}", str(path)) from None
    return load_source(source, path.stem, str(path))


def load_source(source: bytes, name: str, where: str) -> ModuleType:
    """A metric file's module, by the hash of its source; also how workers get it."""
    module_name = f"evalkit_user_{hashlib.sha256(source).hexdigest()[:12]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_loader(module_name, loader=None, origin=where)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__.update(__file__=where, __evalkit_name__=name, __evalkit_source__=source)
    sys.modules[module_name] = module
    try:
        exec(compile(source, where, "exec"), module.__dict__)
    except Terminated:
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise MetricError(f"{type(error).__name__}: {error}", _place(error, where)) from error
    return module


@contextmanager
def named_errors(found: type[Metric], near: str = "") -> Iterator[None]:
    """What a metric's own code raises becomes a MetricError with file:line; near: which example."""
    try:
        yield
    except (EvalkitError, MemoryError, Terminated):
        raise
    except (Exception, SystemExit) as error:
        message = f"{found.name}: {type(error).__name__}: {error}{near}"
        raise MetricError(message, place_of(error, found)) from error


def place_of(error: BaseException, found: type[Metric]) -> str | None:
    """`file:line` in the metric's own file where an error was raised or passed through."""
    path = getattr(sys.modules[found.__module__], "__file__", None)
    return None if path is None else _place(error, path)


def _place(error: BaseException, where: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == where:
        return f"{where}:{error.lineno}"
    lines = [
        one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == where
    ]
    return f"{where}:{lines[-1]}" if lines else where


def _class_in(module: ModuleType, name: str) -> type[Metric]:
    own = [
        one
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, Metric)
        and one.__module__ == module.__name__
        and not inspect.isabstract(one)
    ]
    if len(own) != 1:
        raise MetricError(
            f"{len(own)} metric classes in the file; one frozen dataclass that is a Metric is "
            "wanted, with rows and score (or from_sums)",
            name,
        )
    lacking = [one for one in ("outputs", "reads", "reference") if not hasattr(own[0], one)]
    if lacking:
        raise MetricError(f"{own[0].__name__} does not say its {', '.join(lacking)}", name)
    return own[0]


def source_of(found: type[Metric]) -> bytes | None:
    """The source of the file that defines a metric; None where there is no file (a notebook)."""
    module = sys.modules[found.__module__]
    stored: bytes | None = getattr(module, "__evalkit_source__", None)
    if stored is not None:
        return stored
    path = getattr(module, "__file__", None)
    return Path(path).read_bytes() if path is not None else None


def imported_source(source: bytes) -> bytes:
    """The sources of what a file imports of evalkit and of its own project, and of what they do.

    Installed libraries are left out: their versions belong in the signature.
    """
    pending, seen = [source], dict[str, bytes]()
    while pending:
        for name in _imports(pending.pop()):
            if name not in seen and (path := _own_file(name)) is not None:
                seen[name] = path.read_bytes()
                pending.append(seen[name])
    return b"\0".join(name.encode() + b"\0" + seen[name] for name in sorted(seen))


def _imports(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own_file(name: str) -> Path | None:
    """The file of a module of evalkit or of the user's project; importing no package on the way."""
    top = name.partition(".")[0]
    if top != "evalkit" and (name != top or top in sys.stdlib_module_names):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    installed = "site-packages" in Path(spec.origin).parts and top != "evalkit"
    return None if installed else Path(spec.origin)


def describe(found: type[Metric]) -> Mapping[str, Any]:
    """What `evalkit show metric` tells."""
    hints = get_type_hints(found)
    return {
        "metric": found.name,
        "title": (sys.modules[found.__module__].__doc__ or "").strip(),
        "reads": found.reads,
        "reference": found.reference,
        "interval": found.interval,
        "outputs": [
            {
                "output": one.name,
                "scale": list(one.scale),
                "higher_is_better": one.higher_is_better,
            }
            for one in found.outputs
        ],
        "parameters": [
            {"name": one.name, "type": _type_name(hints[one.name])}
            | ({} if one.default is MISSING else {"default": one.default})
            for one in fields(found)
        ],
        "parameters_help": inspect.getdoc(found) or "",
        "source": str(sys.modules[found.__module__].__file__),
    }


def _type_name(hint: Any) -> str:
    return str(hint) if get_args(hint) else getattr(hint, "__name__", str(hint))


def protocol_path(name: str) -> Path:
    """`translation`, or the path of one's own file: `./mine.toml`."""
    if name.endswith(".toml"):
        return Path(name)
    known = entries("protocols")
    if name not in known:
        hint = did_you_mean(name, known)
        if Path(f"{name}.toml").is_file():
            hint = f"; a file of one's own is named by its path: ./{name}.toml"
        raise ProtocolError(f'no protocol is called "{name}"{hint} (evalkit list protocols)')
    return known[name]
