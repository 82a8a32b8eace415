"""Network architectures of one shape: `net(x)`, `net.features(x)`, `net.head`, `net.feature_dim`."""

from goe.core.errors import ConfigError
from goe.models.base import Net
from goe.models.resnet import ResNet
from goe.models.wrn import WideResNet

__all__ = ["Net", "build_model"]


def build_model(name: str, *, num_classes: int, dropout: float) -> Net:
    """The network called `name` as in a run's configuration (`wrn-40-2`, `resnet-34`), freshly initialised.

    `dropout` is the share of activations zeroed in each WRN block; the ResNets have no dropout. Raises ConfigError for
    a name that isn't known and for a ResNet with dropout, which would otherwise be ignored without a word.
    """
    match name.split("-"):
        case ["wrn", depth, width] if depth.isdecimal() and width.isdecimal():
            return WideResNet(int(depth), int(width), num_classes=num_classes, dropout=dropout)
        case ["resnet", ("18" | "34")] if dropout:
            raise ConfigError([f"dropout: {name} has none, found {dropout}; use 0 or a wrn-<depth>-<width>"])
        case ["resnet", "18"]:
            return ResNet(18, num_classes=num_classes)
        case ["resnet", "34"]:
            return ResNet(34, num_classes=num_classes)
        case _:
            raise ConfigError([f'model: unknown model "{name}"; known: wrn-<depth>-<width>, resnet-18, resnet-34'])
