"""A compiled network computes what the network computes, and where nothing compiles training goes on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume_exact import make_run, work

from goe.compiling import compile_net, wants_compiling
from goe.core.config import complete
from goe.core.records import MetricsTail, series
from goe.models import build_model


@pytest.mark.parametrize(
    ("compile_", "device", "steps", "wanted"),
    [
        ("auto", "cuda", 10_000, True),
        ("auto", "cuda", 9_999, False),
        ("auto", "cpu", 100_000, False),
        ("on", "cpu", 1, True),
        ("off", "cuda", 100_000, False),
    ],
)
def test_what_is_compiled(compile_: str, device: str, steps: int, wanted: bool) -> None:
    config = complete({"experiment": "x", "seed": 1, "dataset": "cifar10", "compile": compile_}, print)
    assert config is not None
    assert wants_compiling(config, torch.device(device), steps) == wanted


def losses(folder: Path, said: list[str], **over: Any) -> list[float]:
    run = make_run(folder, epochs=2, method="goe", **over)
    work(run, 1, lambda: False, said.append)
    tail = MetricsTail(run.metrics_file)
    tail.poll()
    return series(tail.records, "loss", "epoch")[1]


@pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles for the CPU with g++, which is not here")
def test_compiled_training_is_the_same_training(tmp_path: Path) -> None:
    said: list[str] = []
    plain = losses(tmp_path, said)
    assert losses(tmp_path, said, compile="on") == pytest.approx(plain, abs=1e-5)
    assert not [line for line in said if "compile" in line]


def test_where_nothing_compiles_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("Cannot find a working triton installation.\nMore of it")

    said: list[str] = []
    plain = losses(tmp_path, said)
    monkeypatch.setattr(torch, "compile", fails)
    assert losses(tmp_path, said, compile="on") == plain
    note = "torch can't compile here (Cannot find a working triton installation.); the network runs as it is"
    assert said == [f"note: compile: {note}"]


def test_names_of_weights_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    net = build_model("wrn-10-1", num_classes=10, dropout=0.0)
    before = list(net.state_dict())
    compile_net(net, torch.device("cpu"), pytest.fail)
    assert list(net.state_dict()) == before
