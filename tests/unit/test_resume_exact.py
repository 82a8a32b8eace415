"""Stopped in its second epoch and resumed, a run of any method ends with the bytes of one that was not stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from goe.core.config import METHODS, complete
from goe.core.process import myself
from goe.core.records import CheckpointIndex, Launch, split_records
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


def work(
    run: RunDir, number: int, should_stop: Callable[[], bool], say: Callable[[str], None] = lambda _: None
) -> None:
    attempt = run.claim(Launch(attempt=number, launcher="test", supervisor=myself(), started=0.0))
    assert attempt is not None
    with Journal(run, attempt, epochs=3) as journal:
        train(run, journal, root=Path("data"), should_stop=should_stop, say=say)


def marks(run: RunDir) -> list[int]:
    """The epochs after which training was resumed."""
    found = split_records(run.metrics_file.read_bytes())
    return [record.epoch for record in found if record is not None and record.kind == "resume"]


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


def test_resuming_past_a_damaged_checkpoint_changes_no_byte(tmp_path: Path) -> None:
    """Stopped in the third epoch with `last` damaged, it goes on from the first, which was kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = make_run(tmp_path / "whole", **{"keep-every": 1}, **CASES["goe"])
        work(whole, 1, lambda: False)

        parted = make_run(tmp_path / "parted", **{"keep-every": 1}, **CASES["goe"])
        with pytest.raises(StopRequestedError):
            work(parted, 1, (parted.checkpoints / "epoch-002.json").exists)
        assert last(parted).epoch == 2
        damaged = parted.checkpoints / last(parted).state
        damaged.write_bytes(damaged.read_bytes()[:-1])
        said: list[str] = []
        work(parted, 2, lambda: False, said.append)
    finally:
        torch.set_num_threads(threads)
    (note,) = [line for line in said if line.startswith("warning: ")]
    assert note.startswith(f"warning: {damaged}: cut or altered")
    assert note.endswith("; going on from checkpoint epoch-001, epoch 1")
    assert marks(parted) == [1]
    assert {path.name: path.read_bytes() for path in parted.checkpoints.glob("*.safetensors")} == {
        path.name: path.read_bytes() for path in whole.checkpoints.glob("*.safetensors")
    }
    for name in ("last", "best", "epoch-001", "epoch-002", "epoch-003"):
        mine, other = (read_json(run.checkpoints / f"{name}.json", CheckpointIndex) for run in (parted, whole))
        assert mine is not None
        assert other is not None
        assert (mine.epoch, mine.weights_sha256, mine.state_sha256) == (
            other.epoch,
            other.weights_sha256,
            other.state_sha256,
        )
