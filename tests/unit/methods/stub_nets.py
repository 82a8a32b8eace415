"""Networks small enough to follow by hand, for the tests of methods."""

import torch
from torch import Tensor, nn

from goe.methods.base import Batch
from goe.models.base import Net


class PixelNet(Net):
    """Image (K, 1, 1) in, its K pixel values out as logits; remembers each forward's images and mode."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.feature_dim = classes
        self.head = nn.Linear(classes, classes, bias=False)
        nn.init.eye_(self.head.weight)
        self.seen: list[tuple[Tensor, bool, bool]] = []

    def features(self, x: Tensor) -> Tensor:
        self.seen.append((x, self.training, torch.is_grad_enabled()))
        return x.flatten(1)

    @property
    def rows(self) -> list[int]:
        return [len(x) for x, _, _ in self.seen]


class NormNet(Net):
    """Batch norm and a random linear head on (3, 1, 1) images: rows influence each other, as in a real network."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.feature_dim = 3
        self.head = nn.Linear(3, classes)

    def features(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.norm(x.flatten(1))
        return normalised


def batch_of(x: Tensor, y: list[int], x_out: Tensor) -> Batch:
    """Logit rows (or images) as a batch of (C, 1, 1) images, numbered from 0."""
    return Batch(
        x=x.reshape(len(x), -1, 1, 1),
        y=torch.tensor(y),
        index=torch.arange(len(x)),
        x_out=x_out.reshape(len(x_out), x.flatten(1).shape[1], 1, 1),
        index_out=torch.arange(len(x_out)),
    )


def random_batch(b: int, m: int, *, classes: int = 4, channels: int = 3, seed: int = 0) -> Batch:
    """Normal images and uniform classes in float64."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(b, channels, generator=generator, dtype=torch.float64)
    y = torch.randint(classes, (b,), generator=generator)
    x_out = torch.randn(m, channels, generator=generator, dtype=torch.float64)
    return batch_of(x, y.tolist(), x_out)
