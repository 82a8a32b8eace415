"""Residual networks (He et al., CVPR 2016, arXiv:1512.03385) with the usual changes for 32x32 images."""

import torch.nn.functional as F
from torch import Tensor, nn

from goe.models.base import Net

BLOCKS: dict[int, tuple[int, int, int, int]] = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
PLANES = (64, 128, 256, 512)
EXPANSION = 4
"""A bottleneck's output, in units of its inner width."""


class ResNet(Net):
    """ResNet-18, -34 or -50 with a 3x3 stem of stride 1 and no max-pooling; PyTorch's default initial values.

    D = 512, and 2048 for the bottlenecks of ResNet-50. ResNet-34 has 21,282,122 parameters at K = 10, as the authors'
    `res34` does. Departure: the features are the mean over whatever plane is left, where theirs is a 4x4 window; at
    32x32 the two are the same.
    """

    def __init__(self, depth: int, *, num_classes: int) -> None:
        if depth not in BLOCKS:
            raise ValueError(f"ResNet-{depth}: the depth must be one of {', '.join(map(str, BLOCKS))}")
        super().__init__()
        block, expansion = (_Bottleneck, EXPANSION) if depth == 50 else (_Block, 1)
        wide = PLANES[0]
        self.stem = nn.Conv2d(3, wide, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(wide)
        self.groups = nn.Sequential()
        for group, (blocks, planes) in enumerate(zip(BLOCKS[depth], PLANES, strict=True)):
            wide_out = planes * expansion
            first = block(wide, wide_out, stride=1 if group == 0 else 2)
            self.groups.append(nn.Sequential(first, *(block(wide_out, wide_out, stride=1) for _ in range(blocks - 1))))
            wide = wide_out
        self.feature_dim = wide
        self.head = nn.Linear(self.feature_dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Mean over the plane of the last group's maps, (B, D)."""
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
        self.shortcut = _shortcut(wide_in, wide_out, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x), inplace=True)


class _Bottleneck(nn.Module):
    """1x1 to a quarter of the width, 3x3, 1x1 back, each normalised; added to the input as in `_Block`, ReLU."""

    def __init__(self, wide_in: int, wide_out: int, *, stride: int) -> None:
        super().__init__()
        planes = wide_out // EXPANSION
        self.conv1 = nn.Conv2d(wide_in, planes, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, wide_out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(wide_out)
        self.shortcut = _shortcut(wide_in, wide_out, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(x)), inplace=True)
        inner = F.relu(self.norm2(self.conv2(inner)), inplace=True)
        return F.relu(self.norm3(self.conv3(inner)) + self.shortcut(x), inplace=True)


def _shortcut(wide_in: int, wide_out: int, *, stride: int) -> nn.Module:
    # By width alone: a block that halves the plane also changes the width.
    if wide_in == wide_out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(wide_in, wide_out, 1, stride=stride, bias=False), nn.BatchNorm2d(wide_out))
