"""Training by G-OE plainly, as its authors' code does it: what goe's step and epoch are measured against.

Written from the description of that code in docs/science.md. float32 and contiguous; every step an evaluation forward
of the outliers, a look at each discarded one in Python, two soft cross-entropies a mixture; torch's own dropout and
SGD; images one at a time through PIL, from DataLoaders. The networks are goe's, which have the same layers as theirs.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler
from torchvision import transforms

from goe.core import specs
from goe.data.cifar import MEAN, STD
from goe.methods import Batch, build_method
from goe.methods.mixing import mix_pool
from goe.models import Net, wrn

TOLERANCE = 1e-12
"""Between this and goe's step in float64, relative to the largest value."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What one forward comes to."""

    total: Tensor
    logits: Tensor
    """(B, K) of the ID images."""
    discarded: list[int]
    """Outliers left out."""
    mask: Tensor
    """(P,) 0 for a mixture of one of them, else 1."""


def plain_loss(net: Net, batch: Batch, rng: np.random.Generator, spec: specs.GOE) -> Loss:
    """The loss of one batch, filtered by `topk` and mixed by mixup."""
    x, y, x_out, size = batch.x, batch.y, batch.x_out, len(batch.x)
    discarded = discard(net, x_out, spec.filter.k)
    pool = torch.cat([x, x_out[:size]])
    classes = net.head.out_features
    uniform = torch.full((len(pool) - size, classes), 1 / classes, dtype=x.dtype, device=x.device)
    targets = torch.cat([F.one_hot(y, classes).to(x.dtype), uniform])
    lam = float(rng.beta(spec.mix.alpha, spec.mix.beta))
    first, second = (torch.from_numpy(rng.permutation(len(pool))).to(x.device) for _ in range(2))
    mixed = lam * pool[first] + (1 - lam) * pool[second]

    logits = net(torch.cat([x, mixed, x_out]))
    z, z_mixed, z_out = logits[:size], logits[size : size + len(pool)], logits[-len(x_out) :]
    mask = mixture_mask(discarded, first, second, size)
    both = lam * soft_cross_entropy(z_mixed, targets[first]) + (1 - lam) * soft_cross_entropy(z_mixed, targets[second])
    mask_out = torch.ones(len(x_out), device=x.device)
    for outlier in discarded:
        mask_out[outlier] = 0
    total = nn.CrossEntropyLoss()(z, y)
    total = total + spec.mix_weight * (mask * both).mean()
    total = total + spec.oe_weight * (mask_out * -(z_out.mean(1) - torch.logsumexp(z_out, dim=1))).mean()
    return Loss(total, z.detach(), discarded, mask)


def discard(net: Net, x_out: Tensor, k: int) -> list[int]:
    """The outliers of the k-th largest confidence and above."""
    net.eval()
    with torch.no_grad():
        confidence = F.softmax(net(x_out), dim=1).max(dim=1).values
    net.train()
    return (confidence >= confidence.topk(k).values[-1]).nonzero().flatten().tolist()


def mixture_mask(discarded: list[int], first: Tensor, second: Tensor, size: int) -> Tensor:
    """(P,) 0 where `first` or `second` is a discarded outlier; outlier j is in the pool's place `size` + j."""
    mask = torch.ones(len(first), device=first.device)
    for outlier in discarded:
        if outlier < size:
            mask[int((first == size + outlier).nonzero())] = 0
            mask[int((second == size + outlier).nonzero())] = 0
    return mask


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """(N,) the cross-entropy from distributions."""
    return -(targets * F.log_softmax(logits, dim=1)).sum(1)


def plain_optimiser(net: Net) -> Optimizer:
    """SGD as torch does it unless told otherwise."""
    return SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


def plain_step(net: Net, optimiser: Optimizer, batch: Batch, rng: np.random.Generator, spec: specs.GOE) -> Loss:
    """One step of training."""
    with torch_dropout():
        loss = plain_loss(net, batch, rng, spec)
        optimiser.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return loss


@contextmanager
def torch_dropout() -> Iterator[None]:
    """WRNs draw as torch does, not as goe does on the CPU."""
    with mock.patch.object(wrn, "drop_out", F.dropout):
        yield


def largest_difference(net: Net, batch: Batch, spec: specs.GOE, seed: int = 0) -> float:
    """Between this step and goe's in loss and gradients, of the same `net`, which has no dropout, and `batch`.

    In float64, relative to the loss and to the largest gradient. Infinite where other images are left out.
    """
    batch = Batch(batch.x.double(), batch.y, batch.index, batch.x_out.double(), batch.index_out)
    plain, fast = copy.deepcopy(net).double().train(), copy.deepcopy(net).double().train()
    fast = fast.to(memory_format=torch.channels_last)
    found = plain_loss(plain, batch, np.random.default_rng(seed), spec)
    found.total.backward()  # type: ignore[no-untyped-call]
    ours = build_method(spec).step(fast, batch, np.random.default_rng(seed))
    ours.loss.backward()  # type: ignore[no-untyped-call]
    assert ours.dropped is not None
    mixtures = mix_pool(batch, spec.mix, np.random.default_rng(seed), keep=~ours.dropped)
    if ours.dropped.nonzero().flatten().tolist() != found.discarded or not torch.equal(mixtures.keep, found.mask > 0):
        return float("inf")
    gradients, ours_too = gradients_of(plain), gradients_of(fast)
    apart = (gradients - ours_too).abs().max() / gradients.abs().max()
    return max(apart.item(), abs(1 - ours.loss.item() / found.total.item()))


def gradients_of(net: Net) -> Tensor:
    """All gradients in a row."""
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters() if parameter.grad is not None])


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as torchvision serves them: an array made a PIL image, changed at random, made a tensor, one at a time."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Without labels they are outliers, which become tensors and images again before anything else."""
        self.images, self.labels, self.offset = images, labels, 0
        first = [Image.fromarray] if labels is not None else [transforms.ToTensor(), transforms.ToPILImage()]
        change = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, padding=4)]
        self.transform = transforms.Compose([*first, *change, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        place = (index + self.offset) % len(self.images)
        return self.transform(self.images[place]), 0 if self.labels is None else int(self.labels[place])


Loader = DataLoader[tuple[Tensor, int]]


def id_loader(images: np.ndarray, labels: np.ndarray, batch_size: int, workers: int) -> Loader:
    """ID images, each once an epoch in an order of its own."""
    data = Pictures(images, labels)
    order = SubsetRandomSampler(range(len(data)))
    return DataLoader(data, batch_size, sampler=order, num_workers=workers, pin_memory=torch.cuda.is_available())


def outlier_loader(images: np.ndarray, batch_size: int, workers: int) -> Loader:
    """Outliers in their own order, from the offset that an epoch gives their `Pictures`."""
    return DataLoader(Pictures(images), batch_size, num_workers=workers, pin_memory=torch.cuda.is_available())


def plain_epoch(
    net: Net, optimiser: Optimizer, loaders: tuple[Loader, Loader], rng: np.random.Generator, spec: specs.GOE
) -> int:
    """Train one epoch, its loss and accuracy read back at each step. How many images that were."""
    device = net.head.weight.device
    pictures = loaders[1].dataset
    assert isinstance(pictures, Pictures)
    pictures.offset = int(rng.integers(len(pictures)))
    images, loss, right = 0, 0.0, 0
    for (x, y), (x_out, _) in zip(*loaders, strict=False):
        index, index_out = torch.arange(len(x)), torch.arange(len(x_out))
        batch = Batch(x.to(device), y.to(device), index, x_out.to(device), index_out)
        found = plain_step(net, optimiser, batch, rng, spec)
        loss += found.total.item()
        right += int((found.logits.argmax(1) == batch.y).sum())
        images += len(x) + len(x_out)
    return images
