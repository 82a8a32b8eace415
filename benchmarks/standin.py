"""What stands for CIFAR-10 and its outliers: random images of the same shape, and runs that train on them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from goe.core import specs
from goe.core.config import RunConfig, complete
from goe.core.process import myself
from goe.core.records import Launch
from goe.core.rundir import RunDir
from goe.data.catalog import Benchmark, TrainingSets
from goe.data.cifar import MEAN, STD
from goe.data.outliers import OutlierSet
from goe.data.source import ArraySource
from goe.journal import Journal
from goe.methods import Batch
from goe.models import Net, build_model
from goe.train import Trainer

CLASSES = 10


def config_of(**keys: Any) -> RunConfig:
    """G-OE with WRN-40-2 on CIFAR-10, but for `keys`, underscores for dashes."""
    raw = {"experiment": "bench", "seed": 1, "dataset": "cifar10", "outliers": {"source": "random-300k"}}
    problems: list[str] = []
    raw |= {key.replace("_", "-"): value for key, value in keys.items()}
    config = complete(raw, lambda path, finding: problems.append(f"{'.'.join(path)}: {finding}"))
    assert config is not None, problems
    return config


def training_sets(count: int, outliers: int, validation: int = 0) -> TrainingSets:
    """So many random images of 10 classes, and so many outliers."""
    benchmark = Benchmark("cifar10", "default", tuple("0123456789"), MEAN, STD)
    stream = OutlierSet(ArraySource.ood("outliers", images(outliers, 1)), is_id=None) if outliers else None
    return TrainingSets(benchmark, id_set("train", count, 0), id_set("validation", max(validation, 2), 2), stream)


def id_set(name: str, count: int, seed: int) -> ArraySource:
    """Random images with every class by turns."""
    return ArraySource(name, images(count, seed), np.arange(count) % CLASSES)


def images(count: int, seed: int) -> np.ndarray:
    """(count, 32, 32, 3) uint8"""
    return np.random.default_rng(seed).integers(256, size=(count, 32, 32, 3), dtype=np.uint8)


def spec_for(outliers: int) -> specs.GOE:
    """G-OE with the paper's share of outliers dropped, 20 of 256."""
    return specs.GOE(filter=specs.Filter(k=max(1, 20 * outliers // 256)))


def fresh(model: str, batch: Batch, *, dropout: bool) -> Net:
    """The network with its first weights and the batch norm of `batch`: without, all its confidences would be 1."""
    torch.manual_seed(1)
    net = build_model(model, num_classes=10, dropout=0.3 if dropout and model.startswith("wrn") else 0.0)
    net = net.to(batch.x.device).train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net(torch.cat([batch.x, batch.x_out]))
    for norm in norms:
        norm.momentum = 0.1
    return net


def random_batch(sizes: tuple[int, int], device: torch.device) -> Batch:
    """Normal images."""
    chance = torch.Generator().manual_seed(0)

    def normal(count: int) -> Tensor:
        return torch.randn(count, 3, 32, 32, generator=chance).to(device)

    size, outliers = sizes
    labels = torch.arange(size, device=device) % 10
    return Batch(normal(size), labels, labels, normal(outliers), torch.arange(outliers, device=device))


def sparse_npy(path: Path, count: int) -> None:
    """A file of `count` black images that takes no room on the disk."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, 32, 32, 3)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * 3072)


@contextmanager
def trainer(
    config: RunConfig, sets: TrainingSets | None, folder: Path, kind: type[Trainer] = Trainer
) -> Iterator[Trainer]:
    """Goe's training loop over `sets`, or the configured ones for None, with a run's folder in `folder`."""
    run = RunDir.create(folder, config)
    attempt = run.claim(Launch(attempt=1, launcher="benchmark", supervisor=myself(), started=time.time()))
    assert attempt is not None, "the folder has such a run"
    with ExitStack() as stack:
        if sets is not None:
            stack.enter_context(mock.patch("goe.train.load_training", return_value=sets))
        journal = stack.enter_context(Journal(run, attempt, epochs=config.epochs))
        yield kind(run, journal, root=folder, should_stop=lambda: False, say=print)
