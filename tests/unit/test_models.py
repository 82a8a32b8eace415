"""The architectures: sizes of the paper's, block structure, initial values, memory format."""

from math import sqrt

import pytest
import torch
from torch import nn

from goe.core.config import MODEL_ALIASES
from goe.core.errors import ConfigError
from goe.models import Net, build_model
from goe.models.resnet import ResNet
from goe.models.wrn import WideResNet


def net_of(name: str, *, num_classes: int = 10, dropout: float = 0.0) -> Net:
    torch.manual_seed(0)
    return build_model(name, num_classes=num_classes, dropout=dropout)


def images(n: int = 2, size: int = 8) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "feature_dim"),
    [
        ("wrn-40-2", 10, 2_243_546, 128),
        ("wrn-40-2", 100, 2_243_546 + 90 * 129, 128),
        ("resnet-34", 10, 21_282_122, 512),
        ("resnet-18", 10, 11_173_962, 512),
        # 432 stem; groups 4,672 + 14,432 + 57,536 (16, 32, 64 wide); 128 norm; 650 head
        ("wrn-10-1", 10, 77_850, 64),
    ],
)
def test_size(name: str, classes: int, parameters: int, feature_dim: int) -> None:
    net = net_of(name, num_classes=classes)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert net.feature_dim == net.head.in_features == feature_dim
    assert net.head.out_features == classes


@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-2", "resnet-18"])
def test_logits_are_the_head_of_the_features(name: str) -> None:
    net = net_of(name).eval()
    with torch.no_grad():
        features = net.features(images())
        assert features.shape == (2, net.feature_dim)
        assert torch.equal(net(images()), net.head(features))


@pytest.mark.parametrize(("name", "plane"), [("wrn-16-1", 8), ("resnet-18", 4)])
def test_a_32_pixel_image_ends_in_the_papers_plane(name: str, plane: int) -> None:
    net = net_of(name).eval()
    assert isinstance(net, WideResNet | ResNet)
    with torch.no_grad():
        assert net.groups(net.stem(images(1, 32))).shape[2:] == (plane, plane)


@pytest.mark.parametrize("name", ["wrn-10-2", "resnet-18"])
def test_channels_last_gives_the_same_logits(name: str) -> None:
    net = net_of(name).double().eval()
    with torch.no_grad():
        plain = net(images().double())
        net = net.to(memory_format=torch.channels_last)
        last = net(images().double().to(memory_format=torch.channels_last))
    assert torch.allclose(last, plain)


def test_wrn_starts_from_he_fan_out() -> None:
    net = net_of("wrn-16-4")
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            k = module.kernel_size[0]
            assert module.weight.std().item() == pytest.approx(sqrt(2 / (k * k * module.out_channels)), rel=0.03)
            assert module.bias is None
    assert not net.head.bias.any()


def test_resnet_keeps_pytorchs_initial_values() -> None:
    # Uniform in +-1/sqrt(fan in); for the widest kernels 1/sqrt(512 * 9).
    net = net_of("resnet-18")
    wide = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 512]
    assert len(wide) == 3
    for weight in wide:
        assert weight.abs().max().item() == pytest.approx(1 / sqrt(512 * 9), rel=1e-3)
    assert net.head.bias.any()


def test_wrn_block_adds_its_input_or_a_projection_of_the_activated_input() -> None:
    net = net_of("wrn-16-1")
    assert isinstance(net, WideResNet)
    same, halving = net.groups[0][0].eval(), net.groups[1][0].eval()  # type: ignore[index]
    for block in (same, halving):
        nn.init.zeros_(block.conv2.weight)
    maps = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(same(maps), maps)
        # Fresh batch norm in evaluation divides by sqrt(1 + 1e-5).
        expected = halving.shortcut(maps.clamp(min=0) / sqrt(1 + 1e-5))
        assert torch.allclose(halving(maps), expected, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_acts_in_training_only(dropout: float) -> None:
    net = net_of("wrn-10-1", dropout=dropout)
    with torch.no_grad():
        first, second = net(images()), net(images())
        assert torch.equal(first, second) == (dropout == 0)
        net.eval()
        assert torch.equal(net(images()), net(images()))


def test_gradient_reaches_every_parameter() -> None:
    for name in ("wrn-16-1", "resnet-18"):
        net = net_of(name)
        net(images(4)).logsumexp(1).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("name", MODEL_ALIASES.values())
def test_every_model_with_an_alias_is_built(name: str) -> None:
    assert net_of(name, num_classes=7).head.out_features == 7


@pytest.mark.parametrize("name", ["vgg-16", "wrn-40", "wrn-a-2", "resnet-50", ""])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown model.*known: wrn-<depth>-<width>, resnet-18, resnet-34"):
        net_of(name)


@pytest.mark.parametrize("name", ["wrn-4-1", "wrn-11-1", "wrn-10-0"])
def test_impossible_wrns_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the depth must be 6n \\+ 4"):
        net_of(name)


def test_a_resnet_with_dropout_is_refused() -> None:
    with pytest.raises(ConfigError, match="dropout: resnet-34 has none"):
        net_of("resnet-34", dropout=0.3)
