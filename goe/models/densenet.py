"""Densely connected networks for small images (Huang et al., CVPR 2017, arXiv:1608.06993)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goe.models.base import Net, initialise_fan_out

BOTTLENECK = 4
"""Channels within a layer, in units of the growth."""


class DenseNet(Net):
    """DenseNet-BC-depth-growth: three blocks of n = (depth - 4) / 6 bottleneck layers, halved in width in between.

    The same layers and initial values as the `dense` of G-OE, which has no dropout either: DenseNet-BC-100-12 has
    769,162 parameters at K = 10 and D = 342. Departure: the features are the mean over whatever plane is left, where
    theirs is an 8x8 window; at 32x32 the two are the same.
    """

    def __init__(self, depth: int, growth: int, *, num_classes: int) -> None:
        if depth < 10 or (depth - 4) % 6 or growth < 1:
            raise ValueError(
                f"DenseNet-BC-{depth}-{growth}: the depth must be 6n + 4, n >= 1, and the growth at least 1"
            )
        super().__init__()
        layers = (depth - 4) // 6
        wide = 2 * growth
        self.stem = nn.Conv2d(3, wide, 3, padding=1, bias=False)
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        for block in range(3):
            self.blocks.append(nn.Sequential(*(_Layer(wide + i * growth, growth) for i in range(layers))))
            wide += layers * growth
            if block < 2:
                self.transitions.append(_Transition(wide, wide // 2))
                wide //= 2
        self.norm = nn.BatchNorm2d(wide)
        self.feature_dim = wide
        self.head = nn.Linear(self.feature_dim, num_classes)
        initialise_fan_out(self)

    def features(self, x: Tensor) -> Tensor:
        """Mean over the plane of the last normalised and rectified maps, (B, D)."""
        first, second, third = self.blocks
        halve, quarter = self.transitions
        maps: Tensor = third(quarter(second(halve(first(self.stem(x))))))
        return F.relu(self.norm(maps), inplace=True).mean((2, 3))


class _Layer(nn.Module):
    """Norm, ReLU, 1x1 to 4 times the growth, norm, ReLU, 3x3 to the growth; appended to the input's channels."""

    def __init__(self, wide_in: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(wide_in)
        self.conv1 = nn.Conv2d(wide_in, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.conv2 = nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(F.relu(self.norm1(x), inplace=True))
        new = self.conv2(F.relu(self.norm2(inner), inplace=True))
        return torch.cat((x, new), 1)


class _Transition(nn.Module):
    """Norm, ReLU, 1x1, then the mean of each 2x2."""

    def __init__(self, wide_in: int, wide_out: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(wide_in)
        self.conv = nn.Conv2d(wide_in, wide_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.norm(x), inplace=True)), 2)
