"""Runs that begin with the weights of others."""

import safetensors.torch
import torch
from lab import TINY, TINY_OPTIONS, Lab

from goe.core.overview import RunView
from goe.core.records import CheckpointIndex
from goe.core.rundir import read_json
from goe.core.state import RunState

CHAIN = f"""{TINY}
[queue]
slots = 2

[[experiment]]
name = "tuned"
method = "energy-oe"
init-from = "base"
lr = 1e-30          # the weights stay what they were

[[experiment]]
name = "base"
"""


def head(view: RunView, name: str) -> torch.Tensor:
    index = read_json(view.run.checkpoints / f"{name}.json", CheckpointIndex)
    assert index is not None
    return safetensors.torch.load_file(view.run.checkpoints / index.weights)["head.weight"]


def test_a_run_waits_for_the_one_it_begins_with_and_takes_its_weights(lab: Lab) -> None:
    lab.queue(CHAIN)
    done = lab.goe("queue", "run")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stderr.splitlines() if line.startswith("started")] == [
        ["started", view.run_id] for view in lab.views()
    ]
    base, tuned = lab.views()
    assert base.exit is not None
    assert tuned.exit is not None
    assert tuned.exit.started >= base.exit.ended
    assert torch.equal(head(tuned, "last"), head(base, "best"))


def test_a_run_whose_source_failed_is_not_started(lab: Lab) -> None:
    lab.queue(CHAIN + "lr = 1e30\n")  # the loss becomes NaN
    done = lab.goe("queue", "run")
    assert done.returncode == 1
    base, tuned = lab.views()
    assert (base.state, tuned.state) == (RunState.FAILED, RunState.QUEUED)
    assert f"not started: it begins with the weights of {base.run_id}, which is failed" in done.stderr


def test_weights_of_another_network_or_none_are_refused_before_training(lab: Lab) -> None:
    file = lab.folder / "other.safetensors"
    safetensors.torch.save_file({"head.weight": torch.zeros(100, 64), "head.bias": torch.zeros(100)}, file)

    def refused(source: str) -> str:
        options = ("--method=oe", *TINY_OPTIONS, "--epochs=1", f"--set=init-from={source}")
        done = lab.goe("train", *options)
        assert done.returncode == 2
        assert not any(list(view.run.checkpoints.iterdir()) for view in lab.views())
        return done.stderr

    assert f"{file}: is of 100 classes; this run has 8" in refused(str(file))
    safetensors.torch.save_file({"head.weight": torch.zeros(8, 128)}, file)
    assert f"{file}: is of another network: " in refused(str(file))
    file.write_bytes(b"cut")
    assert f"{file}: not a safetensors file" in refused(str(file))
    file.unlink()
    assert f"{file}: can't be read: No such file" in refused(str(file))
    assert "init-from: `goe train` knows no other experiments" in refused("base")
