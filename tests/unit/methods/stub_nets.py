"""Networks, batches and chance small enough to follow by hand, for the tests of methods."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
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


class LinearNet(Net):
    """A random linear head on the pixels of images of any shape: rows don't influence each other."""

    def __init__(self, pixels: int, classes: int, seed: int = 0) -> None:
        super().__init__()
        self.feature_dim = pixels
        self.head = nn.Linear(pixels, classes)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.head.parameters():
            nn.init.normal_(parameter, generator=generator)

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class NormNet(Net):
    """Batch norm of each pixel and a random linear head: rows influence each other, as in a real network."""

    def __init__(self, classes: int = 4, pixels: int = 3) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(pixels)
        self.feature_dim = pixels
        self.head = nn.Linear(pixels, classes)

    def features(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.norm(x.flatten(1))
        return normalised


class FixedRng:
    """Stands in for numpy's Generator where a test must know what is drawn."""

    def __init__(self, lam: Any, *permutations: list[int], centres: tuple[Any, ...] = ()) -> None:
        self.lam = np.array(lam, dtype=np.float64)
        self.permutations = [np.array(values) for values in permutations]
        self.centres = [np.array(values) for values in centres]

    def beta(self, alpha: float, beta: float, size: tuple[int, ...]) -> np.ndarray[Any, Any]:
        assert self.lam.shape == size
        return self.lam

    def permutation(self, length: int) -> np.ndarray[Any, Any]:
        values = self.permutations.pop(0)
        assert sorted(values) == list(range(length))
        return values

    def integers(self, high: int, size: tuple[int, ...]) -> np.ndarray[Any, Any]:
        values = self.centres.pop(0)
        assert values.shape == size
        assert (values < high).all()
        return values


@dataclass
class Images:
    """A training view over images in memory, in batches of 7."""

    x: Tensor
    labels: Tensor
    x_out: Tensor
    num_classes: int

    @property
    def num_outliers(self) -> int:
        return len(self.x_out)

    def plain_id(self) -> Iterator[Tensor]:
        return iter(torch.split(self.x, 7))

    def plain_outliers(self) -> Iterator[Tensor]:
        return iter(torch.split(self.x_out, 7))


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


def random_images(
    b: int, m: int, shape: tuple[int, ...], *, classes: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Batch:
    """As `random_batch`, of any shape: images (C, H, W) or points (D,)."""
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        x=torch.randn(b, *shape, generator=generator, dtype=dtype),
        y=torch.randint(classes, (b,), generator=generator),
        index=torch.arange(b),
        x_out=torch.randn(m, *shape, generator=generator, dtype=dtype),
        index_out=torch.arange(m),
    )


def outliers_in_order(batch: Batch, order: Tensor) -> Batch:
    """`batch` with its outliers in another order."""
    return Batch(x=batch.x, y=batch.y, index=batch.index, x_out=batch.x_out[order], index_out=batch.index_out[order])
