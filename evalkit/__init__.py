"""evalkit: automatic metrics with honest intervals, human ratings and the ceilings of both."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.errors import EvalkitError as EvalkitError
    from evalkit.metric import MeanMetric as MeanMetric
    from evalkit.metric import Metric as Metric
    from evalkit.metric import Output as Output
    from evalkit.metric import SumMetric as SumMetric
    from evalkit.results import Result as Result
    from evalkit.results import load as load
    from evalkit.results.comparison import Comparison as Comparison
    from evalkit.verbs.compare import compare as compare
    from evalkit.verbs.score import score as score

__version__ = "0.1.0"

_LAZY = {
    "Comparison": "evalkit.results.comparison",
    "EvalkitError": "evalkit.errors",
    "MeanMetric": "evalkit.metric",
    "Metric": "evalkit.metric",
    "Output": "evalkit.metric",
    "Result": "evalkit.results",
    "SumMetric": "evalkit.metric",
    "compare": "evalkit.verbs.compare",
    "load": "evalkit.results",
    "score": "evalkit.verbs.score",
}


def _register_catalogue() -> None:
    """Make `evalkit.metrics` importable from a checkout, where it lies beside the package."""
    package = Path(__file__).parent
    folder = package.parent / "metrics"
    if (package / "metrics").is_dir() or not (package.parent / "pyproject.toml").is_file():
        return
    spec = ModuleSpec("evalkit.metrics", loader=None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[spec.name] = module_from_spec(spec)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'evalkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_LAZY, "__version__"])


_register_catalogue()
