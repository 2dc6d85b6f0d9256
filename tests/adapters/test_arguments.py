"""Arguments of a class as text and back."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.adapters.arguments import parse, written
from evalkit.errors import MetricError

LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("num_classes=3,average=macro", {"num_classes": 3, "average": "macro"}),
        ("a=none,b=True,c=false,d=-1.5e3", {"a": None, "b": True, "c": False, "d": -1500.0}),
        ("a=[0.1, 0.5],b=(x,y),c=[]", {"a": [0.1, 0.5], "b": ("x", "y"), "c": []}),
        ("a='1',b=\"x,y\",c=[(1,2),'](']", {"a": "1", "b": "x,y", "c": [(1, 2), "]("]}),
    ],
)
def test_parse(text: str, expected: dict[str, Any]) -> None:
    assert parse("metric", text) == expected


@pytest.mark.parametrize(
    "text", ["3", "a", "a=1,a=2", "a=[1", "a=1]", "a='x", "a=(1,2]", "a b=1", "='x'"]
)
def test_what_is_no_argument(text: str) -> None:
    with pytest.raises(MetricError, match="metric"):
        parse("metric", text)


@given(VALUE)
def test_written_and_parsed_again(value: Any) -> None:
    assert parse("metric", written({"a": value})) == {"a": value}
    assert repr(parse("metric", written({"a": value}))["a"]) == repr(value)


def test_the_module_named_like_the_library_gets_the_library() -> None:
    library = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
    from evalkit.adapters import torch_identity

    front = importlib.import_module("evalkit.metrics.torchmetrics")
    assert torch_identity.library() is library
    assert front.__name__ == "evalkit.metrics.torchmetrics"
    assert library is not front
    assert library.Metric
