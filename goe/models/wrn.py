"""Wide residual networks for small images (Zagoruyko and Komodakis, BMVC 2016, arXiv:1605.07146)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goe.models.base import Net, initialise_fan_out


class WideResNet(Net):
    """WRN-depth-width: three groups of n = (depth - 4) / 6 pre-activation blocks, 16, 32 and 64 times `width` wide.

    The same layers and initial values as the WRN of Outlier Exposure and G-OE: WRN-40-2 has 2,243,546 parameters at
    K = 10 and D = 128. Departure: the features are the mean over whatever plane is left, where theirs is an 8x8 window,
    so that images other than 32x32 work; at 32x32 the two are the same.
    """

    def __init__(self, depth: int, width: int, *, num_classes: int, dropout: float) -> None:
        if depth < 10 or (depth - 4) % 6 or width < 1:
            raise ValueError(f"WRN-{depth}-{width}: the depth must be 6n + 4, n >= 1, and the width at least 1")
        super().__init__()
        blocks = (depth - 4) // 6
        planes = (16, 16 * width, 32 * width, 64 * width)
        self.stem = nn.Conv2d(3, planes[0], 3, padding=1, bias=False)
        self.groups = nn.Sequential(
            *(
                _group(blocks, wide_in, wide_out, stride=1 if group == 0 else 2, dropout=dropout)
                for group, (wide_in, wide_out) in enumerate(pairwise(planes))
            )
        )
        self.norm = nn.BatchNorm2d(planes[-1])
        self.feature_dim = planes[-1]
        self.head = nn.Linear(self.feature_dim, num_classes)
        initialise_fan_out(self)

    def features(self, x: Tensor) -> Tensor:
        """Mean over the plane of the last normalised and rectified maps, (B, 64 * width)."""
        maps: Tensor = F.relu(self.norm(self.groups(self.stem(x))), inplace=True)
        return maps.mean((2, 3))


class _Block(nn.Module):
    """Norm, ReLU, 3x3, norm, ReLU, dropout, 3x3, added to the input.

    Where the shape changes, what is added is a 1x1 convolution of the *activated* input, and the input itself is used
    no further.
    """

    def __init__(self, wide_in: int, wide_out: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(wide_in)
        self.conv1 = nn.Conv2d(wide_in, wide_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(wide_out)
        self.conv2 = nn.Conv2d(wide_out, wide_out, 3, padding=1, bias=False)
        self.dropout = dropout
        # By width alone: a block that halves the plane also doubles the width.
        self.shortcut = None if wide_in == wide_out else nn.Conv2d(wide_in, wide_out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x), inplace=True)
        skip: Tensor = x if self.shortcut is None else self.shortcut(active)
        inner = F.relu(self.norm2(self.conv1(active)), inplace=True)
        if self.training and self.dropout:
            inner = drop_out(inner, self.dropout)
        residual: Tensor = self.conv2(inner)
        return skip + residual


def drop_out(x: Tensor, p: float) -> Tensor:
    """`x` with each value 0 with probability `p` in (0, 1), else divided by 1 - p (Srivastava et al., JMLR 2014).

    The law of torch's dropout, but that on the CPU `p` is rounded to 1/65536: 16 random bits a value are drawn there,
    four values at once, as torch's draw takes half of a WRN's forward pass.
    """
    if x.device.type != "cpu":
        return F.dropout(x, p)
    size = x.numel()
    bits = torch.empty(-(-size // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:size]
    keep = (bits >= round(p * 65536) - 32768).as_strided(x.shape, x.stride())
    return x * keep.to(x.dtype).div_(1 - p)


def _group(blocks: int, wide_in: int, wide_out: int, *, stride: int, dropout: float) -> nn.Sequential:
    first = _Block(wide_in, wide_out, stride=stride, dropout=dropout)
    rest = (_Block(wide_out, wide_out, stride=1, dropout=dropout) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
