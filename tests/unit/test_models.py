"""The architectures: sizes of the paper's, block structure, initial values, memory format."""

from collections.abc import Callable, Iterator
from math import sqrt

import pytest
import torch
from torch import nn

from goe.core.config import MODEL_ALIASES, MODEL_FORMS
from goe.core.errors import ConfigError
from goe.models import Net, build_model
from goe.models.densenet import DenseNet
from goe.models.resnet import ResNet
from goe.models.wrn import WideResNet, drop_out


def net_of(name: str, *, num_classes: int = 10, dropout: float = 0.0) -> Net:
    torch.manual_seed(0)
    return build_model(name, num_classes=num_classes, dropout=dropout)


def images(n: int = 2, size: int = 8) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def inputs(name: str, n: int = 2) -> torch.Tensor:
    return images(n)[:, :2, 0, 0] if name.startswith("mlp") else images(n)


def convolution(wide_in: int, wide_out: int, k: int) -> int:
    """Of a k x k convolution without bias and the norm over its output."""
    return wide_in * wide_out * k * k + 2 * wide_out


def wrn_size(depth: int, width: int, classes: int) -> int:
    total, wide = 3 * 9 * 16, 16
    for planes in (16 * width, 32 * width, 64 * width):
        for _ in range((depth - 4) // 6):
            total += 2 * wide + convolution(wide, planes, 3) + planes * planes * 9
            total += 0 if wide == planes else wide * planes
            wide = planes
    return total + 2 * wide + (wide + 1) * classes


def resnet_size(blocks: tuple[int, ...], expansion: int, classes: int) -> int:
    total, wide = convolution(3, 64, 3), 64
    for planes, count in zip((64, 128, 256, 512), blocks, strict=True):
        for _ in range(count):
            out = planes * expansion
            if expansion == 1:
                total += convolution(wide, planes, 3) + convolution(planes, planes, 3)
            else:
                total += convolution(wide, planes, 1) + convolution(planes, planes, 3) + convolution(planes, out, 1)
            total += 0 if wide == out else convolution(wide, out, 1)
            wide = out
    return total + (wide + 1) * classes


def densenet_size(depth: int, growth: int, classes: int) -> int:
    wide = 2 * growth
    total = 3 * 9 * wide
    for block in (1, 2, 3):
        for _ in range((depth - 4) // 6):
            total += 2 * wide + convolution(wide, 4 * growth, 1) + 4 * growth * growth * 9
            wide += growth
        if block < 3:
            total += 2 * wide + wide * (wide // 2)
            wide //= 2
    return total + 2 * wide + (wide + 1) * classes


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "counted", "feature_dim"),
    [
        ("wrn-40-2", 10, 2_243_546, wrn_size(40, 2, 10), 128),
        ("wrn-40-2", 100, 2_243_546 + 90 * 129, wrn_size(40, 2, 100), 128),
        # 432 stem; groups 4,672 + 14,432 + 57,536 (16, 32, 64 wide); 128 norm; 650 head
        ("wrn-10-1", 10, 77_850, wrn_size(10, 1, 10), 64),
        ("resnet-18", 10, 11_173_962, resnet_size((2, 2, 2, 2), 1, 10), 512),
        ("resnet-34", 10, 21_282_122, resnet_size((3, 4, 6, 3), 1, 10), 512),
        ("resnet-50", 10, 23_520_842, resnet_size((3, 4, 6, 3), 4, 10), 2048),
        ("densenet-bc-100-12", 10, 769_162, densenet_size(100, 12, 10), 342),
        ("densenet-bc-100-12", 100, 769_162 + 90 * 343, densenet_size(100, 12, 100), 342),
        # 216 stem; a layer a block: 752 + 716 + 698; transitions 96 (12 to 6) + 70 (10 to 5); 18 norm; 100 head
        ("densenet-bc-10-4", 10, 2_666, densenet_size(10, 4, 10), 9),
        ("mlp-100-100-100", 3, 3 * 100 + 2 * 101 * 100 + 101 * 3, 300 + 10_100 + 10_100 + 303, 100),
        ("mlp-5", 2, 3 * 5 + 6 * 2, 27, 5),
    ],
)
def test_size(name: str, classes: int, parameters: int, counted: int, feature_dim: int) -> None:
    with torch.device("meta"):
        net = net_of(name, num_classes=classes)
    assert sum(p.numel() for p in net.parameters()) == parameters == counted
    assert net.feature_dim == net.head.in_features == feature_dim
    assert net.head.out_features == classes


@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-2", "resnet-18", "resnet-50", "densenet-bc-16-6", "mlp-7-5"])
def test_logits_are_the_head_of_the_features(name: str) -> None:
    net = net_of(name).eval()
    with torch.no_grad():
        features = net.features(inputs(name))
        assert features.shape == (2, net.feature_dim)
        assert (features >= 0).all()  # the last thing before the head is a ReLU
        assert torch.equal(net(inputs(name)), net.head(features))


@pytest.mark.parametrize(
    ("name", "plane"), [("wrn-16-1", 8), ("resnet-18", 4), ("resnet-50", 4), ("densenet-bc-10-4", 8)]
)
def test_a_32_pixel_image_ends_in_the_papers_plane(name: str, plane: int) -> None:
    planes: list[torch.Size] = []
    with torch.device("meta"):
        net = net_of(name).eval()
        last = {WideResNet: "norm", ResNet: "groups", DenseNet: "norm"}[type(net)]
        net.get_submodule(last).register_forward_hook(lambda _, __, maps: planes.append(maps.shape[2:]))
        net(torch.empty(1, 3, 32, 32))
    assert planes == [(plane, plane)]


@pytest.mark.parametrize("name", ["wrn-10-2", "resnet-18", "resnet-50", "densenet-bc-16-6"])
def test_channels_last_gives_the_same_logits(name: str) -> None:
    net = net_of(name).double().eval()
    with torch.no_grad():
        plain = net(images().double())
        net = net.to(memory_format=torch.channels_last)
        last = net(images().double().to(memory_format=torch.channels_last))
    assert torch.allclose(last, plain)


def weights(net: Net, kind: type[nn.Conv2d | nn.Linear]) -> Iterator[nn.Conv2d | nn.Linear]:
    for module in net.modules():
        if isinstance(module, kind):
            yield module


def is_sample(found: torch.Tensor, std: float, *, kurtosis: float) -> bool:
    """Whether mean and variance lie within five standard errors of 0 and std^2: one in a million outside by chance.

    The variance of n draws has the standard error std^2 * sqrt((kurtosis - 1) / n).
    """
    n = found.numel()
    mean_off = abs(found.double().mean().item()) / (std / sqrt(n))
    variance_off = abs(found.double().square().mean().item() / std**2 - 1) / sqrt((kurtosis - 1) / n)
    return max(mean_off, variance_off) < 5


@pytest.mark.parametrize("name", ["wrn-16-4", "densenet-bc-100-12"])
def test_he_fan_out(name: str) -> None:
    net = net_of(name)
    for module in weights(net, nn.Conv2d):
        assert isinstance(module, nn.Conv2d)
        std = sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels))
        assert is_sample(module.weight, std, kurtosis=3)  # a normal's
        assert module.weight.abs().max() > 2 * std  # beyond sqrt(3) std no uniform reaches
        assert module.bias is None
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        assert (norm.weight == 1).all()
        assert not norm.bias.any()
    assert is_sample(net.head.weight, 1 / sqrt(3 * net.feature_dim), kurtosis=1.8)  # PyTorch's, as the authors left it
    assert not net.head.bias.any()


@pytest.mark.parametrize("name", ["resnet-18", "resnet-50", "mlp-100-100-100"])
def test_pytorchs_initial_values(name: str) -> None:
    """Uniform in +-1/sqrt(fan in), whose variance is 1 / (3 fan in) and kurtosis 1.8; norms 1 and 0."""
    net = net_of(name)
    for module in (*weights(net, nn.Conv2d), *weights(net, nn.Linear)):
        bound = 1 / sqrt(module.weight[0].numel())
        assert is_sample(module.weight, bound / sqrt(3), kurtosis=1.8)
        assert 0.95 * bound < module.weight.abs().max() <= bound
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        assert (norm.weight == 1).all()
        assert not norm.bias.any()
    assert net.head.bias.any()


def test_a_denselayer_appends_to_its_input_and_a_transition_halves_plane_and_width() -> None:
    net = net_of("densenet-bc-16-4").eval()
    assert isinstance(net, DenseNet)
    maps = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for layer in net.blocks[0]:  # type: ignore[attr-defined]
            grown = layer(maps)
            assert torch.equal(grown[:, : maps.shape[1]], maps)
            assert grown.shape[1] == maps.shape[1] + 4
            maps = grown
        active = maps.clamp(min=0) / sqrt(1 + 1e-5)  # what fresh batch norm in evaluation makes of it
        expected = net.transitions[0].conv(active).unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))  # type: ignore[operator]
        assert expected.shape[1] == maps.shape[1] // 2
        assert torch.allclose(net.transitions[0](maps), expected, atol=1e-6)


def test_mlp_by_hand() -> None:
    net = net_of("mlp-2-1", num_classes=2)
    values = {
        "layers.0.weight": [[1.0, 2.0], [-1.0, 0.0]],
        "layers.0.bias": [0.5, 0.25],
        "layers.2.weight": [[1.0, 3.0]],
        "layers.2.bias": [-1.0],
        "head.weight": [[2.0], [-2.0]],
        "head.bias": [0.0, 1.0],
    }
    net.load_state_dict({key: torch.tensor(value) for key, value in values.items()})
    # (1, 1): relu(3.5, -0.75) = (3.5, 0), relu(2.5) = 2.5; (-2, 0): relu(-1.5, 2.25) = (0, 2.25), relu(5.75) = 5.75
    with torch.no_grad():
        assert torch.equal(net.features(torch.tensor([[1.0, 1.0], [-2.0, 0.0]])), torch.tensor([[2.5], [5.75]]))
        assert torch.equal(net(torch.tensor([[1.0, 1.0]])), torch.tensor([[5.0, -4.0]]))


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


@pytest.mark.parametrize("name", ["wrn-16-1", "resnet-18", "resnet-50", "densenet-bc-16-6", "mlp-20-20"])
def test_gradient_reaches_every_parameter(name: str) -> None:
    net = net_of(name)
    net(inputs(name, 4)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("name", MODEL_ALIASES.values())
def test_every_model_with_an_alias_is_built(name: str) -> None:
    with torch.device("meta"):
        assert net_of(name, num_classes=7).head.out_features == 7


EXAMPLES = ["wrn-16-2", "resnet-50", "densenet-bc-10-2", "mlp-3-4"]


def test_every_form_has_a_network() -> None:
    assert all(any(form.fullmatch(name) for name in EXAMPLES) for form in MODEL_FORMS)
    with torch.device("meta"):
        assert {type(net_of(name)).__name__ for name in EXAMPLES} == {"WideResNet", "ResNet", "DenseNet", "MLP"}


@pytest.mark.parametrize(
    "name", ["vgg-16", "wrn-40", "wrn-a-2", "wrn-10-0", "resnet-101", "densenet-100-12", "densenet-bc-100", "mlp", ""]
)
def test_unknown_names_are_refused(name: str) -> None:
    known = r"unknown model.*known: wrn-<depth>-<width>.*resnet-18.*densenet-bc-<depth>-<growth>.*mlp-<width>"
    with pytest.raises(ConfigError, match=known):
        net_of(name)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: WideResNet(4, 1, num_classes=2, dropout=0.0), "the depth must be 6n \\+ 4"),
        (lambda: WideResNet(11, 1, num_classes=2, dropout=0.0), "the depth must be 6n \\+ 4"),
        (lambda: WideResNet(10, 0, num_classes=2, dropout=0.0), "the width at least 1"),
        (lambda: DenseNet(4, 12, num_classes=2), "the depth must be 6n \\+ 4"),
        (lambda: DenseNet(101, 12, num_classes=2), "DenseNet-BC-101-12: the depth must be 6n \\+ 4"),
        (lambda: DenseNet(10, 0, num_classes=2), "the growth at least 1"),
        (lambda: ResNet(101, num_classes=2), "ResNet-101: the depth must be one of 18, 34, 50"),
    ],
)
def test_impossible_sizes_are_refused(build: Callable[[], Net], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build()


@pytest.mark.parametrize("name", ["resnet-34", "densenet-bc-100-12", "mlp-10"])
def test_dropout_where_there_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"dropout: {name} has none, found 0.3"):
        net_of(name, dropout=0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_dropout_zeroes_a_share_and_keeps_the_mean(dtype: torch.dtype, layout: torch.memory_format, p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(16, 32, 17, 13, dtype=dtype).to(memory_format=layout).requires_grad_()
    y = drop_out(x, p)
    zero = (y == 0).double()
    assert y.stride() == x.stride()
    assert set(y.unique().tolist()) == {0.0, float(torch.tensor(1 / (1 - p), dtype=dtype))}
    for dims in ((), (0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)):  # overall and along each dimension
        share = zero.mean(dims) if dims else zero.mean()
        spread = sqrt(p * (1 - p) / (zero.numel() / share.numel()))
        assert (share - p).abs().max() < 5 * spread
    neighbours = ((zero[..., 1:] - p) * (zero[..., :-1] - p)).mean()
    assert abs(float(neighbours)) < 5 * p * (1 - p) / sqrt(zero.numel())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y)  # of ones


def test_dropout_repeats_with_the_seed() -> None:
    x = torch.randn(2, 3, 5, 7)
    torch.manual_seed(4)
    first, second = drop_out(x, 0.5), drop_out(x, 0.5)
    torch.manual_seed(4)
    assert torch.equal(drop_out(x, 0.5), first)
    assert not torch.equal(first, second)
