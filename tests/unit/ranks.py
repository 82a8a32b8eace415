"""Runs trained by several ranks for test_parallel.py: what each of them does, and what one alone does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from goe.core import specs
from goe.core.config import complete
from goe.core.process import myself
from goe.core.records import Launch
from goe.core.rundir import RunDir
from goe.data.loader import TrainData
from goe.journal import Journal, Silence
from goe.methods import build_method
from goe.methods.base import Batch, StepOutput
from goe.models import build_model
from goe.parallel import ALONE, Stepper, Team, averaged, share_out
from goe.syncnorm import SyncNorm
from goe.train import Trainer

TINY: dict[str, Any] = {
    "dataset": "digits",
    "model": "wrn-10-1",
    "dropout": 0.0,
    "epochs": 1,
    "lr": 0.001,
    "batch-size": 265,
    "outlier-batch-size": 40,
    "outliers": {"size": 64},
    "precision": "float32",
    "device": "cpu",
    "seed": 1,
}
"""800 images: three batches, and one of 5 that two ranks can't halve. A small rate, as each step multiplies float32's
rounding, by which one process differs from itself with the rows in another order as much as from two."""
METHODS: dict[str, dict[str, Any]] = {
    "baseline": {"method": "baseline"},
    "oe": {"method": {"name": "oe", "filter": {"k": 5, "strategy": "adaptive"}, "forward": "separate"}},
    "energy-oe": {"method": "energy-oe", "outlier-batch-size": 33},
    "mixoe": {"method": {"name": "mixoe", "mix": {"strategy": "cutmix", "lam": "sample"}}},
    "udg": {"method": {"name": "udg", "clusters": 20}},
    "goe": {"method": {"name": "goe", "filter": {"k": 5}}},
    "alone": {"method": {"name": "goe", "filter": {"k": 5}}, "sync-batch-norm": False},
}
RANKS = 2
SIZES = (7, 5), (1, 1)
"""Images and outliers of a batch: not to be divided by the ranks, and fewer than there are ranks."""


def make_run(folder: Path, name: str) -> RunDir:
    problems: list[str] = []
    config = complete(
        {**TINY, "experiment": name, **METHODS[name]}, lambda path, what: problems.append(f"{path} {what}")
    )
    assert config is not None, problems
    return RunDir.create(folder, config)


class Listened(Trainer):
    """Keeps the loss of every step."""

    losses: list[float]

    def _update(self, batch: Batch, rng: Any) -> StepOutput:
        output = super()._update(batch, rng)
        self.losses.append(output.loss.item())
        return output


def losses(run: RunDir, team: Team, number: int = 1) -> list[float]:
    """Train `run` with `team`, one of whose ranks this is."""
    torch.set_num_threads(1)

    def go(journal: Journal | Silence) -> list[float]:
        trainer = Listened(run, journal, root=Path("data"), should_stop=lambda: False, say=lambda _: None, team=team)
        trainer.losses = []
        trainer.run()
        return trainer.losses

    if not team.leads:
        return go(Silence())
    attempt = run.claim(Launch(attempt=number, launcher="test", supervisor=myself(), started=0.0))
    assert attempt is not None
    with Journal(run, attempt, epochs=run.config().epochs) as journal:
        return go(journal)


def alone(runs: Path, name: str) -> list[float]:
    return losses(make_run(runs / "one", name), ALONE)


SHAPES: dict[str, tuple[int, ...]] = {
    "images": (7, 3, 4, 4),
    "one each": (2, 3, 4, 4),
    "rows": (5, 3),
    "a single": (1, 3, 4, 4),
}


def normalised(norm: nn.Module, x: Tensor, grad: Tensor, share: slice) -> dict[str, Tensor]:
    """What a batch-norm layer makes of the rows of a share, twice; its gradients by `grad`, and its buffers."""
    mine = x[share].clone().requires_grad_()
    norm(mine)
    out = norm(mine)
    (out * grad[share]).sum().backward()
    assert mine.grad is not None
    found = {"out": out.detach(), "x": mine.grad}
    found |= {name: parameter.grad for name, parameter in norm.named_parameters() if parameter.grad is not None}
    return found | {name: value.clone() for name, value in norm.state_dict().items() if "running" in name}


def layer(shape: tuple[int, ...]) -> tuple[nn.Module, Tensor, Tensor]:
    """A batch-norm layer that has learnt something, input for it, and a gradient of its output."""
    torch.manual_seed(0)
    norm = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(shape[1]).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm, torch.randn(shape).double() * 3 + 5, torch.randn(shape).double()


def stepped(team: Team, images: int, outliers: int) -> list[Tensor]:
    """The loss and all gradients and buffers after three steps of G-OE in float64, with a batch of these sizes."""
    torch.manual_seed(0)
    net = build_model("wrn-10-1", num_classes=4, dropout=0.0).double().train()
    if team.size > 1:
        share_out(net, team, sync=True)
    method = build_method(specs.GOE(filter=specs.Filter(k=1)))
    step = averaged(net, method) if team.size > 1 else Stepper(net, method)
    optimiser, rng = torch.optim.SGD(net.parameters(), lr=0.1), np.random.default_rng(0)
    for number in range(3):
        x, x_out = (torch.randn(size, 3, 8, 8, dtype=torch.float64) for size in (images, outliers))
        batch = Batch(x, torch.arange(images) % 4, torch.arange(images), x_out, torch.arange(outliers))
        optimiser.zero_grad()
        output = step(batch, rng)
        output.loss.backward()
        if number < 2:
            optimiser.step()
    grads = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    return [output.loss.detach(), *(grad.clone() for grad in grads), *net.buffers()]


def work(rank: int, runs: str, store: str) -> None:
    """All that a rank does, its findings in `<rank>.pt`."""
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    team = Team(rank, RANKS)
    found: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        norm, x, grad = layer(shape)
        holder = nn.Sequential(norm)
        SyncNorm.convert(holder)
        found[f"norm {name}"] = normalised(holder[0], x, grad, team.share(len(x)))
    for rows in (0, 1, 2, 5):
        whole = torch.arange(rows * 3.0).view(rows, 3)
        mine = whole[team.share(rows)].clone().requires_grad_()
        gathered = team.gather(mine, rows)
        (gathered * whole).sum().backward()
        found[f"gather {rows}"] = gathered.detach(), mine.grad
    for sizes in SIZES:
        found[f"steps {sizes}"] = stepped(team, *sizes)
    found["least"] = team.least(10 - rank)
    runs_two = Path(runs) / "two"
    for name in METHODS:
        with team.first():
            run = make_run(runs_two, name)
        found[name] = losses(run, team)
    torch.manual_seed(rank)
    linear = nn.Linear(2, 2)
    team.agree(linear)
    found["agreed"] = linear.weight.detach()
    found["batches"] = batches(make_run(runs_two, "goe"), team)
    torch.save(found, Path(runs) / f"{rank}.pt")
    dist.destroy_process_group()


def batches(run: RunDir, team: Team) -> list[Mapping[str, Tensor]]:
    """The batches of an epoch, read from the disk."""
    from goe.data.catalog import load_training

    config = run.config()
    sets = load_training(config, Path("data"), lambda _: None)
    data = TrainData(sets, config, torch.device("cpu"), resident_bytes=0, team=team)
    return [
        {name: getattr(batch, name) for name in ("x", "y", "index", "x_out", "index_out")} for batch in data.epoch(0)
    ]
