"""The device of a call: chosen, nested, refused."""

from __future__ import annotations

import pytest

from evalkit.errors import UnavailableError, UsageError
from evalkit.neural.device import device, use_device

torch = pytest.importorskip("torch", reason="the extra `neural` is not installed")


def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for present, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda present=present: present)
        assert device() == expected
        with use_device("cpu"):
            assert device() == "cpu"
            with use_device("auto"):
                assert device() == expected
            assert device() == "cpu"


def test_cuda_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with use_device("cuda"), pytest.raises(UnavailableError, match="--device cpu"):
        device()


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match='did you mean "cuda"'), use_device("cudda"):
        pass
    assert device() in ("cpu", "cuda")
