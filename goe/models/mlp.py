"""A plain multilayer perceptron for points of the plane."""

from collections.abc import Sequence

from torch import Tensor, nn

from goe.models.base import Net

POINT_DIM = 2


class MLP(Net):
    """Linear layers with ReLU, as wide as `widths` says; D is the last of them; PyTorch's default initial values."""

    def __init__(self, widths: Sequence[int], *, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        wide_in = POINT_DIM
        for wide_out in widths:
            self.layers.extend([nn.Linear(wide_in, wide_out), nn.ReLU(inplace=True)])
            wide_in = wide_out
        self.feature_dim = wide_in
        self.head = nn.Linear(self.feature_dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer's activation, (B, D), of points (B, 2)."""
        hidden: Tensor = self.layers(x)
        return hidden
