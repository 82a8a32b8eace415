"""Network architectures of one shape: `net(x)`, `net.features(x)`, `net.head`, `net.feature_dim`."""

from goe.core.config import MODEL_FORMS
from goe.core.errors import ConfigError
from goe.models.base import Net
from goe.models.densenet import DenseNet
from goe.models.mlp import MLP
from goe.models.resnet import ResNet
from goe.models.wrn import WideResNet

__all__ = ["Net", "build_model"]


def build_model(name: str, *, num_classes: int, dropout: float) -> Net:
    """The network called `name` as in a run's configuration (`wrn-40-2`, `resnet-34`), freshly initialised.

    `dropout` is the share of activations zeroed in each WRN block; the others have no dropout. Raises ConfigError for
    a name that isn't known and for another network with dropout, which would otherwise be ignored without a word.
    """
    if not any(form.fullmatch(name) for form in MODEL_FORMS):
        raise ConfigError([f'model: unknown model "{name}"; known: {"; ".join(MODEL_FORMS.values())}'])
    kind, *sizes = name.replace("densenet-bc-", "densenet-").split("-")
    numbers = [int(size) for size in sizes]
    if dropout and kind != "wrn":
        raise ConfigError([f"dropout: {name} has none, found {dropout}; use 0 or a wrn-<depth>-<width>"])
    match kind, numbers:
        case "wrn", [depth, width]:
            return WideResNet(depth, width, num_classes=num_classes, dropout=dropout)
        case "resnet", [depth]:
            return ResNet(depth, num_classes=num_classes)
        case "densenet", [depth, growth]:
            return DenseNet(depth, growth, num_classes=num_classes)
        case "mlp", widths:
            return MLP(widths, num_classes=num_classes)
        case _:
            raise AssertionError(f"{name} is one of MODEL_FORMS and has no network")
