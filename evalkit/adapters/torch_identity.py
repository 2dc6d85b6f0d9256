"""Which torchmetrics metric: by the name of its class and its arguments, or as it is in Python."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import marshal
import warnings
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

from evalkit.adapters import arguments as texts
from evalkit.errors import MetricError, MissingDependencyError, UnavailableError, did_you_mean

LIBRARY = "torchmetrics"
NEEDED = (
    "torchmetrics is not installed: pip install 'torchmetrics>=1.4,<2' "
    '(in a checkout: pip install -e ".[neural]")'
)
OBJECT = "object"  # the argument that stands for all of a metric that no text describes
PASSING = {  # attributes of a metric that change with use
    *("update", "compute", "_update_signature", "_update_count", "_computed", "_forward_cache"),
    *("_cache", "_device", "_is_synced", "_to_sync", "_should_unsync", "_enable_grad"),
}


def library() -> ModuleType:
    """torchmetrics; MissingDependencyError where it is not installed."""
    try:
        return importlib.import_module(LIBRARY)
    except ImportError as error:
        raise MissingDependencyError(f"{NEEDED}: {error}") from None


def build(path: str, arguments: str) -> Any:
    """`classification.MulticlassF1Score`, `num_classes=3` -> the metric.

    MetricError: no such class or arguments; UnavailableError: it lacks something here.
    """
    library()
    given = texts.parse(path, arguments)
    if OBJECT in given:
        raise MetricError(f"{path}: this metric was made in Python; pass the object again")
    found = _class(path)
    known = [name for name, _ in _parameters(found)]
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or "; it has none"
            raise MetricError(f'{path}: no argument is called "{name}"{hint}')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how much memory it takes in training
            return found(**given)
    except ModuleNotFoundError as error:
        raise UnavailableError(f"{path}: {_one_line(error)}") from None
    except (TypeError, ValueError) as error:
        raise MetricError(f"{path}: {_one_line(error)}") from None


def names(metric: Any) -> tuple[str, str]:
    """(class, arguments) of a metric made in Python.

    The arguments are those from which the same metric can be built again, else the digest of all
    that the object holds.
    """
    kind = type(metric)
    module, name = kind.__module__, kind.__qualname__
    if not module.startswith(f"{LIBRARY}."):
        return f"{module}.{name}", f"{OBJECT}={digest(metric)}"
    path = f"{module.split('.')[1]}.{name}"
    own = {
        key: getattr(metric, key)
        for key, default in _parameters(kind)
        if hasattr(metric, key) and getattr(metric, key) != default
    }
    wanted = digest(metric)
    if not all(map(texts.plain, own.values())) or not _makes(path, own, wanted):
        return path, f"{OBJECT}={wanted}"
    for key in list(own):  # what the class derives from the other arguments is not needed
        fewer = {one: own[one] for one in own if one != key}
        own = fewer if _makes(path, fewer, wanted) else own
    return path, texts.written(own)


def _makes(path: str, arguments: Mapping[str, Any], wanted: str) -> bool:
    try:
        return digest(build(path, texts.written(arguments))) == wanted
    except MetricError:
        return False


def digest(metric: Any) -> str:
    """Equal for metrics of equal configuration and code, whatever they have seen."""
    content = hashlib.sha256()
    for part in _parts(metric, frozenset()):
        content.update(part + b"\0")
    return content.hexdigest()[:12]


def domains(metric: Any) -> Iterator[str]:
    """`classification` and so on: the parts of the library that its class derives from."""
    for base in type(metric).__mro__:
        parts = base.__module__.split(".")
        if parts[0] == LIBRARY and len(parts) > 2:
            yield parts[1]


def _class(path: str) -> Any:
    place, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(f"{LIBRARY}.{place}")
    except ImportError as error:
        raise MetricError(f"{path}: {_one_line(error)}") from None
    base = library().Metric
    known = [
        key for key, one in vars(module).items() if inspect.isclass(one) and issubclass(one, base)
    ]
    if name not in known:
        raise MetricError(f'torchmetrics.{place} has no "{name}"{did_you_mean(name, known)}')
    return getattr(module, name)


def _parameters(kind: Any) -> list[tuple[str, Any]]:
    """(name, default) of each, less what torchmetrics passes on to its base class."""
    return [
        (one.name, one.default)
        for one in inspect.signature(kind).parameters.values()
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]


def _parts(value: Any, above: frozenset[int]) -> Iterator[bytes]:
    """What a value is made of, in a fixed order; objects that contain themselves end."""
    if id(value) in above:
        return
    inner = above | {id(value)}
    yield type(value).__qualname__.encode()
    match value:
        case Mapping():
            for key in sorted(value, key=repr):
                yield repr(key).encode()
                yield from _parts(value[key], inner)
        case list() | tuple():
            for one in value:
                yield from _parts(one, inner)
        case set() | frozenset():
            yield from sorted(repr(one).encode() for one in value)
        case FunctionType():
            yield f"{value.__module__}.{value.__qualname__}".encode()
            if not _of_library(value.__module__):
                yield marshal.dumps(value.__code__)
                cells = [one.cell_contents for one in value.__closure__ or ()]
                yield from _parts([value.__defaults__, value.__kwdefaults__, cells], inner)
        case MethodType():
            yield value.__qualname__.encode()
        case type():
            yield f"{value.__module__}.{value.__qualname__}".encode()
            for base in value.__mro__:
                if not _of_library(base.__module__):
                    yield from _parts(dict(vars(base)), inner)
        case _ if hasattr(value, "detach"):
            yield f"{value.dtype} {tuple(value.shape)}".encode()
            yield value.detach().cpu().numpy().tobytes()
        case _ if hasattr(value, "__dict__"):
            yield from _parts(type(value), inner)
            passing = PASSING | set(getattr(value, "_defaults", ()))
            own = {key: one for key, one in vars(value).items() if key not in passing}
            yield from _parts(own, inner)
        case _ if " at 0x" not in (text := repr(value)):  # an address says nothing
            yield text.encode()


def _of_library(module: str | None) -> bool:
    return (module or "builtins").partition(".")[0] in (LIBRARY, "torch", "builtins", "abc")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
