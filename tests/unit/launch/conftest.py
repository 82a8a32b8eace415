"""A driver with GPUs as a test scripts them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fake_nvml
import pytest
from fake_nvml import Script


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Says which GPUs there are from now on; none yet."""
    path = tmp_path / "gpus.json"
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml)
    monkeypatch.setenv("FAKE_NVML", str(path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def say(*gpus: Mapping[str, Any], there: bool = True) -> None:
        fake_nvml.script(path, gpus, driver=there)

    say()
    return say
