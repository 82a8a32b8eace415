"""The one shape every architecture has: features, then a linear head."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Net(nn.Module, ABC):
    """A classifier whose logits are a linear function of its features."""

    head: nn.Linear
    """The last layer, (feature_dim -> K)."""
    feature_dim: int
    """D, the length of one feature vector."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Penultimate features, (B, D), of images (B, 3, H, W) in any memory format, or of points (B, 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, K), of what `features` takes."""
        logits: Tensor = self.head(self.features(x))
        return logits


def initialise_fan_out(net: Net) -> None:
    """He et al. (2015) with fan-out: each kernel from N(0, 2 / (k^2 * channels out)); the head's bias is 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(net.head.bias)
