"""Stopped in its second epoch and resumed, a run of any method ends with the bytes of one that was not stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from goe.core.config import METHODS, complete
from goe.core.process import myself
from goe.core.records import CheckpointIndex, Launch
from goe.core.rundir import RunDir, read_json
from goe.journal import Journal
from goe.train import StopRequestedError, train

CASES: dict[str, dict[str, Any]] = {
    "baseline": {"method": "baseline"},
    "oe": {"method": {"name": "oe", "filter": {"k": 5, "warmup-epochs": 1}}, "optimiser": "sgd", "lr": 0.01},
    "energy-oe": {"method": {"name": "energy-oe", "m-in": -3.0, "m-out": -1.0}},
    "mixoe": {"method": "mixoe", "optimiser": "sgd", "lr": 0.001},
    "udg": {"method": {"name": "udg", "clusters": 40, "purity": 0.6}, "optimiser": "sgd", "lr": 0.01},
    "goe": {"method": {"name": "goe", "mix": {"lam": "sample"}, "filter": {"k": 5, "strategy": "static"}}},
}


def make_run(folder: Path, **over: Any) -> RunDir:
    raw = {"experiment": "x", "seed": 1, "dataset": "spiral", "model": "mlp-16", "epochs": 3, "batch-size": 256, **over}
    config = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return RunDir.create(folder, config)


def work(run: RunDir, number: int, should_stop: Callable[[], bool]) -> None:
    attempt = run.claim(Launch(attempt=number, launcher="test", supervisor=myself(), started=0.0))
    assert attempt is not None
    with Journal(run, attempt, epochs=3) as journal:
        train(run, journal, root=Path("data"), should_stop=should_stop)


def last(run: RunDir) -> CheckpointIndex:
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    return index


def test_no_method_is_left_out() -> None:
    assert CASES.keys() == METHODS.keys()


@pytest.mark.parametrize("name", CASES)
def test_resuming_changes_no_byte(name: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = make_run(tmp_path / "whole", **CASES[name])
        work(whole, 1, lambda: False)

        parted = make_run(tmp_path / "parted", **CASES[name])
        with pytest.raises(StopRequestedError):
            work(parted, 1, (parted.checkpoints / "last.json").exists)
        assert last(parted).epoch == 1
        work(parted, 2, lambda: False)
    finally:
        torch.set_num_threads(threads)
    assert last(parted).epoch == last(whole).epoch == 3
    assert last(parted).weights_sha256 == last(whole).weights_sha256
    assert last(parted).state_sha256 == last(whole).state_sha256
