"""Two images made one, by mixup or CutMix: any of an ID batch's pool with any (RandomMixup), or ID image with outlier.

All chance comes from a numpy generator, in this order: lam; for a pool the first permutation and the second; for cutmix
the rows of the box centres and their columns. lam and the centres are one draw each, or one a mixture.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from goe.core import specs
from goe.methods.base import Batch
from goe.methods.losses import at_least_float32, mixed_cross_entropy

Lams: TypeAlias = NDArray[np.float64]
"""Shares in [0, 1] on the host: () one for all mixtures, or (P,) one each."""
Positions: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mixtures:
    """P mixtures of two images each, named by position: i < B is ID image i, B + j is outlier j."""

    images: Tensor
    """(P, 3, H, W), of the first image's share lam and the second's share 1 - lam."""
    first: Tensor
    """(P,) int64, position of the first image."""
    second: Tensor
    """(P,) int64, position of the second."""
    lam: float | Tensor
    """The first image's share in [0, 1], one for all or (P,). For cutmix: what the box leaves, not what was drawn."""
    keep: Tensor
    """(P,) bool, False where either image is an outlier that doesn't count."""

    def cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mixup loss in nats, (P,), of the mixtures' logits (P, K) given the ID classes y (B,).

        An outlier's target is the uniform distribution.
        """
        logits = at_least_float32(logits)
        classes = logits.shape[1]
        uniform = torch.full_like(logits[:1], 1 / classes)
        targets = torch.cat([F.one_hot(y, classes).to(logits.dtype), uniform])  # row B stands for all outliers
        first, second = (targets[position.clamp(max=len(y))] for position in (self.first, self.second))
        return mixed_cross_entropy(logits, first, second, self.lam)


def mix_pool(batch: Batch, spec: specs.Mix, rng: np.random.Generator, *, keep: Tensor | None = None) -> Mixtures:
    """RandomMixup (Koo et al., 2024): the pool of the ID batch and its first B outliers, mixed with itself.

    P = B + min(B, M). First and second images are two random permutations of the pool, so that an image may meet
    itself. `keep` (M,) bool says which outliers count; None: all.
    """
    size = len(batch.x)
    pool = torch.cat([batch.x, batch.x_out[:size]])
    lams = draw_lams(spec, len(pool), rng)
    first, second = (_on_device(rng.permutation(len(pool)), pool) for _ in range(2))
    # pool[first], not index_select: that one loses channels_last.
    images, lam = mix_images(pool[first], pool[second], spec, lams, rng)
    counts = torch.cat([torch.ones_like(batch.y, dtype=torch.bool), _counts(batch, keep)[:size]])
    return Mixtures(images, first, second, lam, counts[first] & counts[second])


def mix_pairs(batch: Batch, spec: specs.Mix, rng: np.random.Generator, *, keep: Tensor | None = None) -> Mixtures:
    """ID image i mixed with outlier i, the ID image first: P = B.

    Where M < B the outliers are repeated from the start. `keep` (M,) bool says which outliers count; None: all.
    """
    size = len(batch.x)
    first = torch.arange(size, device=batch.x.device)
    partner = first % len(batch.x_out)
    x_out = batch.x_out[:size] if len(batch.x_out) >= size else batch.x_out[partner]
    images, lam = mix_images(batch.x, x_out, spec, draw_lams(spec, size, rng), rng)
    return Mixtures(images, first, size + partner, lam, _counts(batch, keep)[partner])


def draw_lams(spec: specs.Mix, count: int, rng: np.random.Generator) -> Lams:
    """Draw lam ~ Beta(alpha, beta): () for the whole batch or (count,), as `spec` says."""
    shape = () if spec.lam == "batch" else (count,)
    return np.asarray(rng.beta(spec.alpha, spec.beta, size=shape))


def mix_images(
    first: Tensor, second: Tensor, spec: specs.Mix, lams: Lams, rng: np.random.Generator
) -> tuple[Tensor, float | Tensor]:
    """Mixtures of `first` and `second` (P, ...), in their memory format, and the share that the first has in each.

    Given the lams that `draw_lams` drew, so that a caller may draw permutations in between.

    mixup takes tensors of any shape; cutmix raises ValueError for other than images, (P, C, H, W).
    """
    match spec.strategy:
        case "mixup":
            lam = _share(lams, first)
            return mixup(first, second, lam), lam
        case "cutmix":
            images, lams = cutmix(first, second, lams, rng)
            return images, _share(lams, first)
        case _:
            assert_never(spec.strategy)


def mixup(first: Tensor, second: Tensor, lam: float | Tensor) -> Tensor:
    """Mean lam * first + (1 - lam) * second, (P, ...), with one lam or (P,) (Zhang et al., ICLR 2018)."""
    if isinstance(lam, Tensor):
        lam = lam.reshape(-1, *[1] * (first.ndim - 1))
    return lam * first + (1 - lam) * second


def cutmix(first: Tensor, second: Tensor, lams: Lams, rng: np.random.Generator) -> tuple[Tensor, Lams]:
    """`first` with a box of `second` pasted in at the same place, (P, C, H, W), and the share left of `first`.

    CutMix (Yun et al., ICCV 2019, eq. 1 and 2): a box of the image's proportions with the share 1 - lam of its area and
    a uniform centre, cut off at the borders; then lam is counted anew from the box. It is therefore larger on average
    than what was drawn. In whole pixels as the authors round: each side down to an even number.
    """
    if first.ndim != 4:
        raise ValueError(f"cutmix: a tensor of shape {tuple(first.shape)}; it pastes boxes into (P, C, H, W) images")
    height, width = first.shape[2:]
    top, bottom = _span(height, lams, rng)
    left, right = _span(width, lams, rng)
    rows = _on_device(_within(top, bottom, height), first)
    columns = _on_device(_within(left, right, width), first)
    inside = rows[..., :, None] & columns[..., None, :]  # (H, W) or (P, H, W)
    return torch.where(inside.unsqueeze(-3), second, first), 1 - (bottom - top) * (right - left) / (height * width)


def _span(length: int, lams: Lams, rng: np.random.Generator) -> tuple[Positions, Positions]:
    """Start and stop of the boxes along an axis of `length` pixels, shaped as `lams`."""
    centre = rng.integers(length, size=lams.shape)
    half = (length * np.sqrt(1 - lams)).astype(np.int64) // 2
    return np.clip(centre - half, 0, length), np.clip(centre + half, 0, length)


def _within(start: Positions, stop: Positions, length: int) -> NDArray[np.bool_]:
    """(..., length) True from `start` to before `stop`, each (...,)."""
    position = np.arange(length)
    within: NDArray[np.bool_] = (position >= start[..., None]) & (position < stop[..., None])
    return within


def _share(lams: Lams, like: Tensor) -> float | Tensor:
    return lams.item() if lams.ndim == 0 else torch.from_numpy(lams).to(like.dtype).to(like.device, non_blocking=True)


def _counts(batch: Batch, keep: Tensor | None) -> Tensor:
    return batch.x_out.new_ones(len(batch.x_out), dtype=torch.bool) if keep is None else keep


def _on_device(values: NDArray[Any], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.device, non_blocking=True)
