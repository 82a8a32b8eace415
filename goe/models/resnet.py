"""Residual networks (He et al., CVPR 2016, arXiv:1512.03385) with the usual changes for 32x32 images."""

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from goe.models.base import Net

BLOCKS: dict[int, tuple[int, int, int, int]] = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
PLANES = (64, 64, 128, 256, 512)


class ResNet(Net):
    """ResNet-18 or -34 with a 3x3 stem of stride 1 and no max-pooling; D = 512; PyTorch's default initial values.

    ResNet-34 has 21,282,122 parameters at K = 10, as the authors' `res34` does.
    """

    def __init__(self, depth: Literal[18, 34], *, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, PLANES[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(PLANES[0])
        self.groups = nn.Sequential(
            *(
                _group(blocks, wide_in, wide_out, stride=1 if group == 0 else 2)
                for group, (blocks, (wide_in, wide_out)) in enumerate(zip(BLOCKS[depth], pairwise(PLANES), strict=True))
            )
        )
        self.feature_dim = PLANES[-1]
        self.head = nn.Linear(self.feature_dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Mean over the plane of the last group's maps, (B, 512)."""
        maps: Tensor = self.groups(F.relu(self.norm(self.stem(x)), inplace=True))
        return maps.mean((2, 3))


class _Block(nn.Module):
    """3x3, norm, ReLU, 3x3, norm, added to the input (or its 1x1 projection where the shape changes), ReLU."""

    def __init__(self, wide_in: int, wide_out: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(wide_in, wide_out, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(wide_out)
        self.conv2 = nn.Conv2d(wide_out, wide_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(wide_out)
        self.shortcut = (
            nn.Identity()
            if wide_in == wide_out
            else nn.Sequential(nn.Conv2d(wide_in, wide_out, 1, stride=stride, bias=False), nn.BatchNorm2d(wide_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x), inplace=True)


def _group(blocks: int, wide_in: int, wide_out: int, *, stride: int) -> nn.Sequential:
    first = _Block(wide_in, wide_out, stride=stride)
    rest = (_Block(wide_out, wide_out, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
