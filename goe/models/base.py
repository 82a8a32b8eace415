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
        """Penultimate features, (B, D), of images (B, 3, H, W) in any memory format."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, K), of images (B, 3, H, W)."""
        logits: Tensor = self.head(self.features(x))
        return logits
