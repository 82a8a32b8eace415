"""k-means over whitened features, as deep clustering does it (Caron et al., ECCV 2018, arXiv:1807.05520) and UDG too.

In place of faiss: the covariance's eigenvectors and Lloyd's iterations, both in blocks of rows, so that what is needed
beside the points doesn't grow with their number. Repeatable bit for bit on the CPU. A GPU adds up in any order, but in
float64, which leaves the float32 centres as they are nearly always.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_BYTES = 64 * 2**20
"""Of a block of rows, in float64: distances to all centres, or the rows themselves."""
ROUNDING = 1e-10
"""Share of the largest variance below which a direction is taken for rounding: 1e-5 of its standard deviation."""
SPLIT = 1 / 1024
"""Relative distance to the old centre of the two that share its cluster from then on; faiss's."""


def clustering_space(features: Tensor, dims: int) -> Tensor:
    """Features (N, D) whitened to `dims` dimensions at most, each row then scaled to length 1: (N, d) float32.

    Where they can't be whitened, because all are equal or one is not finite, the features themselves scaled to length
    1, with 0 for NaN. Rows of zeros stay zeros. The authors mean the same, but only whiten where no direction is
    without variance, and their code has the two cases of the fallback the wrong way round.
    """
    features = features.float()
    whitened = whiten(features, dims) if bool(features.isfinite().all()) else features[:, :0]
    return F.normalize(whitened if whitened.shape[1] else features.nan_to_num(), dim=1)


def whiten(features: Tensor, dims: int) -> Tensor:
    """The first d principal components of finite `features` (N, D), each with mean 0 and variance 1 (over N): (N, d).

    d is `dims`, or the number of directions in which the features vary at all, if that is less; possibly 0.
    """
    blocks = _blocks(features, features.shape[1])
    mean = sum(block.double().sum(0) for block in blocks) / len(features)
    covariance = sum((x := block.double() - mean).T @ x for block in blocks) / len(features)
    variance, directions = torch.linalg.eigh(covariance)  # ascending
    d = min(dims, int((variance > ROUNDING * variance[-1]).sum()))
    variance, directions = variance.flip(0)[:d], directions.flip(1)[:, :d]
    scaled = directions / variance.sqrt()
    return torch.cat([((block.double() - mean) @ scaled).to(features.dtype) for block in blocks])


def k_means(points: Tensor, clusters: int, iterations: int, rng: np.random.Generator) -> Tensor:
    """The cluster of each of `points` (N, D), (N,) int64 in [0, clusters), after some of Lloyd's iterations.

    Centres start on `clusters` <= N points drawn without repetition. Fewer clusters than asked for may have members:
    always so where fewer points differ.
    """
    start = rng.choice(len(points), clusters, replace=False)
    centres = points[torch.from_numpy(start).to(points.device)]
    for _ in range(iterations):
        centres = lloyd_step(points, centres)
    return torch.cat([nearest(block, centres) for block in _blocks(points, clusters)])


def lloyd_step(points: Tensor, centres: Tensor) -> Tensor:
    """(C, D) the mean of the `points` (N, D) that are nearest to each of `centres` (C, D); `fill_empty` where none."""
    sums = torch.zeros_like(centres, dtype=torch.float64)
    counts = torch.zeros(len(centres), dtype=torch.int64, device=centres.device)
    for block in _blocks(points, max(centres.shape)):
        chosen = nearest(block, centres)
        sums.index_add_(0, chosen, block.double())
        counts += chosen.bincount(minlength=len(centres))
    means = (sums / counts[:, None].clamp(min=1)).to(points.dtype)
    return fill_empty(torch.where(counts[:, None] > 0, means, centres), counts)


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """(N,) int64, the centre (C, D) at the least Euclidean distance from each of `points` (N, D); of equals the first.

    From |c|^2 - 2 x.c, as in faiss: exact enough for points of length 1, not for a cloud far from the origin.
    """
    return torch.addmm(centres.square().sum(1), points, centres.T, alpha=-2).argmin(1)


def fill_empty(centres: Tensor, counts: Tensor) -> Tensor:
    """`centres` (C, D) with those of empty clusters moved into large ones, given each cluster's size, (C,) int64.

    The first empty cluster shares the largest one, the second the second largest, and so on: both get its centre, moved
    by 1/1024 of itself to opposite sides. A cluster of one isn't shared; an empty one left over keeps its centre.
    faiss does this with clusters drawn with probability proportional to their size.
    """
    empty = (counts == 0).nonzero().flatten()
    donors = counts.argsort(descending=True, stable=True)[: len(empty)]
    donors = donors[counts[donors] > 1]
    empty = empty[: len(donors)]
    shift = torch.full_like(centres[0], SPLIT)
    shift[1::2] = -SPLIT
    filled = centres.clone()
    filled[empty] = centres[donors] * (1 + shift)
    filled[donors] = centres[donors] * (1 - shift)
    return filled


def _blocks(rows: Tensor, width: int) -> tuple[Tensor, ...]:
    """`rows` in parts of which each fills at most BLOCK_BYTES with `width` float64 a row."""
    return torch.split(rows, max(1, BLOCK_BYTES // (8 * width)))
