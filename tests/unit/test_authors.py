"""Imported weights: the authors' names for every layer, what is refused and how, and the run that comes of it.

The networks here are written from the papers, with the attribute names the authors' files were saved under.
"""

import io
import os
import pickle
import random
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goe import checkpoint
from goe.core.config import RunConfig, complete
from goe.core.errors import CheckpointError, ConfigError, RunError
from goe.core.inventory import list_checkpoints
from goe.core.overview import view_run
from goe.core.records import CheckpointIndex
from goe.core.report import describe
from goe.core.rundir import RunDir, find_runs, read_json
from goe.core.state import RunState
from goe.data import builtin
from goe.importing import CLASSES, import_weights, read_weights
from goe.models import Net, build_model
from goe.models.authors import looks_like

CLASSES_OF = {10: "cifar10", 100: "cifar100", 8: "digits"}


def conv(wide_in: int, wide_out: int, k: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(wide_in, wide_out, k, stride=stride, padding=k // 2, bias=False)


class Layers(nn.Module):
    """Gives the extra level, `layer`, that the authors' WRN and DenseNet have in their names."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layer = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class WideBlock(nn.Module):
    def __init__(self, wide_in: int, wide_out: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(wide_in), conv(wide_in, wide_out, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(wide_out), conv(wide_out, wide_out, 3)
        if wide_in != wide_out:
            self.convShortcut = conv(wide_in, wide_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu()
        added = self.convShortcut(active) if hasattr(self, "convShortcut") else x
        return added + self.conv2(self.bn2(self.conv1(active)).relu())  # type: ignore[no-any-return]


class TheirWRN(nn.Module):
    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        n, wide = (depth - 4) // 6, [16, 16 * width, 32 * width, 64 * width]
        self.conv1 = conv(3, 16, 3)
        for g in (1, 2, 3):
            first = WideBlock(wide[g - 1], wide[g], 1 if g == 1 else 2)
            setattr(self, f"block{g}", Layers([first, *(WideBlock(wide[g], wide[g], 1) for _ in range(n - 1))]))
        self.bn1, self.fc = nn.BatchNorm2d(wide[3]), nn.Linear(wide[3], classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.block3(self.block2(self.block1(self.conv1(x))))  # type: ignore[operator]
        return self.fc(F.avg_pool2d(self.bn1(maps).relu(), 8).flatten(1))  # type: ignore[no-any-return]


class ResidualBlock(nn.Module):
    def __init__(self, wide_in: int, planes: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        wide_out = 4 * planes if bottleneck else planes
        if bottleneck:
            kernels = [conv(wide_in, planes, 1), conv(planes, planes, 3, stride), conv(planes, wide_out, 1)]
        else:
            kernels = [conv(wide_in, planes, 3, stride), conv(planes, planes, 3)]
        self.count = len(kernels)
        for i, kernel in enumerate(kernels, start=1):
            setattr(self, f"conv{i}", kernel)
            setattr(self, f"bn{i}", nn.BatchNorm2d(kernel.out_channels))
        self.shortcut = nn.Sequential()
        if stride != 1 or wide_in != wide_out:
            self.shortcut = nn.Sequential(conv(wide_in, wide_out, 1, stride), nn.BatchNorm2d(wide_out))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in range(1, self.count + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            out = out.relu() if i < self.count else out
        return (out + self.shortcut(x)).relu()  # type: ignore[no-any-return]


class TheirResNet(nn.Module):
    def __init__(self, blocks: tuple[int, ...], classes: int, *, bottleneck: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 3), nn.BatchNorm2d(64)
        wide = 64
        for g, (count, planes) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), start=1):
            group = []
            for i in range(count):
                stride = 2 if g > 1 and i == 0 else 1
                group.append(ResidualBlock(wide, planes, stride, bottleneck=bottleneck))
                wide = 4 * planes if bottleneck else planes
            setattr(self, f"layer{g}", nn.Sequential(*group))
        self.linear = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.bn1(self.conv1(x)).relu()
        for g in (1, 2, 3, 4):
            maps = getattr(self, f"layer{g}")(maps)
        return self.linear(F.avg_pool2d(maps, 4).flatten(1))  # type: ignore[no-any-return]


class DenseLayer(nn.Module):
    def __init__(self, wide: int, growth: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(wide), conv(wide, 4 * growth, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv2(self.bn2(self.conv1(self.bn1(x).relu())).relu())], 1)


class Transition(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(wide), conv(wide, wide // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv1(self.bn1(x).relu()), 2)


class TheirDenseNet(nn.Module):
    def __init__(self, depth: int, growth: int, classes: int) -> None:
        super().__init__()
        n, wide = (depth - 4) // 6, 2 * growth
        self.conv1 = conv(3, wide, 3)
        for b in (1, 2, 3):
            setattr(self, f"block{b}", Layers([DenseLayer(wide + i * growth, growth) for i in range(n)]))
            wide += n * growth
            if b < 3:
                setattr(self, f"trans{b}", Transition(wide))
                wide //= 2
        self.bn1, self.fc = nn.BatchNorm2d(wide), nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.trans1(self.block1(self.conv1(x)))  # type: ignore[operator]
        maps = self.block3(self.trans2(self.block2(maps)))  # type: ignore[operator]
        return self.fc(F.avg_pool2d(self.bn1(maps).relu(), 8).flatten(1))  # type: ignore[no-any-return]


def theirs(model: str, classes: int = 10) -> nn.Module:
    """The authors' `model`, with a value of its own in each norm, as after training."""
    kind, *sizes = model.replace("densenet-bc", "densenet").split("-")
    numbers = [int(size) for size in sizes]
    torch.manual_seed(1)
    net: nn.Module
    match kind:
        case "wrn":
            net = TheirWRN(numbers[0], numbers[1], classes)
        case "densenet":
            net = TheirDenseNet(numbers[0], numbers[1], classes)
        case _:
            blocks = (2, 2, 2, 2) if numbers == [18] else (3, 4, 6, 3)
            net = TheirResNet(blocks, classes, bottleneck=numbers == [50])
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        for tensor, low, high in (
            (norm.weight, 0.5, 1.5),
            (norm.bias, -0.2, 0.2),
            (norm.running_mean, -0.2, 0.2),
            (norm.running_var, 0.5, 1.5),
        ):
            assert tensor is not None
            nn.init.uniform_(tensor, low, high)
    return net.eval()


def config_of(model: str, dataset: str = "cifar10", **more: Any) -> RunConfig:
    raw = {"experiment": "theirs", "seed": 1, "preset": "paper", "dataset": dataset, "model": model, "method": "goe"}
    problems: list[str] = []
    config = complete(raw | more, lambda path, finding: problems.append(f"{path}: {finding}"))
    assert config is not None, problems
    return config


def imported(tmp_path: Path, content: object, model: str, dataset: str = "cifar10") -> RunDir:
    file = tmp_path / "theirs.pth"
    torch.save(content, file)
    return import_weights(file, tmp_path / "runs", config_of(model, dataset))


def network(run: RunDir, name: str = "last") -> Net:
    config = run.config()
    net = build_model(config.model, num_classes=CLASSES[config.dataset], dropout=config.dropout)
    checkpoint.load_weights(run, name, net)
    return net.eval()


def assert_same_logits(ours: nn.Module, reference: nn.Module) -> None:
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = reference.double()(x)
        assert expected.std() > 0.01  # else nothing would be shown
        torch.testing.assert_close(ours.double()(x), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("model", "classes"),
    [
        ("wrn-40-2", 10),
        ("wrn-40-2", 100),
        ("wrn-10-1", 8),
        ("resnet-18", 100),
        ("resnet-34", 10),
        ("resnet-50", 10),
        ("densenet-bc-100-12", 10),
        ("densenet-bc-16-5", 100),
    ],
)
def test_the_same_network(model: str, classes: int, tmp_path: Path) -> None:
    reference = theirs(model, classes)
    run = imported(tmp_path, reference.state_dict(), model, CLASSES_OF[classes])
    assert_same_logits(network(run), reference)
    assert looks_like(reference.state_dict()) == model


def test_names_as_in_the_authors_files() -> None:
    """A few names by hand, so that the networks above are not believed alone."""
    wrn, dense = theirs("wrn-16-2").state_dict(), theirs("densenet-bc-16-12").state_dict()
    assert wrn["block2.layer.0.convShortcut.weight"].shape == (64, 32, 1, 1)
    assert {"conv1.weight", "bn1.running_var", "fc.bias", "block3.layer.1.bn2.num_batches_tracked"} <= wrn.keys()
    assert dense["block1.layer.1.conv1.weight"].shape == (48, 36, 1, 1)
    assert {"trans1.bn1.weight", "trans2.conv1.weight", "block3.layer.1.conv2.weight"} <= dense.keys()
    resnet = theirs("resnet-18").state_dict()
    assert {"layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.running_mean", "layer4.1.conv2.weight"} <= resnet.keys()
    assert {"linear.weight", "linear.bias", "bn1.bias"} <= resnet.keys()


SMALL = "wrn-10-1"


@pytest.fixture(scope="module")
def small() -> dict[str, Tensor]:
    """The authors' WRN-10-1 of 8 classes, as saved. Don't write."""
    return dict(theirs(SMALL, 8).state_dict())


def prefixed(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


def without_counters(state: Mapping[str, Tensor]) -> "OrderedDict[str, Tensor]":
    return OrderedDict((key, value) for key, value in state.items() if not key.endswith("num_batches_tracked"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: prefixed(state, "module."),
        lambda state: prefixed(state, "net."),
        lambda state: prefixed(state, "module.net.module."),
        without_counters,
        lambda state: {"state_dict": prefixed(state, "module."), "epoch": 3, "best": 0.5, "args": ["a", None]},
        lambda state: {"net": state, "acc": 91.2},
        lambda state: {
            key: nn.Parameter(value) if value.is_floating_point() else value for key, value in state.items()
        },
    ],
)
def test_wrapped_and_older_files(wrap: Any, small: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = network(imported(tmp_path / "plain", small, SMALL, "digits"))
    run = imported(tmp_path, wrap(small), SMALL, "digits")
    for key, value in network(run).state_dict().items():
        assert torch.equal(value, plain.state_dict()[key])


def test_files_of_other_kinds(small: dict[str, Tensor], tmp_path: Path) -> None:
    old, tensors, half = tmp_path / "old.pt", tmp_path / "theirs.safetensors", tmp_path / "half.pth"
    torch.save(small, old, _use_new_zipfile_serialization=False)  # PyTorch before 1.6
    safetensors.torch.save_file(small, tensors)
    torch.save({key: value.half() for key, value in small.items()}, half)
    for number, (file, tolerance) in enumerate({old: 0.0, tensors: 0.0, half: 1e-3}.items()):
        run = import_weights(file, tmp_path / "runs", config_of(SMALL, "digits", seed=number))
        state = network(run).state_dict()
        assert state["stem.weight"].dtype == torch.float32
        torch.testing.assert_close(state["stem.weight"], small["conv1.weight"], atol=tolerance, rtol=0)


@pytest.mark.parametrize("model", [SMALL, "densenet-bc-10-4"])
def test_goes_own_names_are_taken_too(model: str, tmp_path: Path) -> None:
    net = build_model(model, num_classes=8, dropout=0.0).eval()
    run = imported(tmp_path, net.state_dict(), model, "digits")
    assert_same_logits(network(run), net)


def test_what_becomes_of_it(small: dict[str, Tensor], tmp_path: Path) -> None:
    run = imported(tmp_path, small, SMALL, "digits")
    config = run.config()
    assert run.path == tmp_path / "runs" / config.run_id
    assert [found.run_id for found in find_runs(tmp_path / "runs")] == [config.run_id]
    assert sorted(entry.name for entry in (tmp_path / "runs").iterdir()) == [config.run_id]
    view = view_run(run)
    assert (view.state, view.needs_start, view.problem, view.attempt) == (RunState.DONE, False, None, 1)
    assert view.launch is not None
    assert (view.launch.launcher, view.launch.worker, view.status) == ("import", None, None)
    assert [found.name for found in list_checkpoints(run)] == ["best", "last"]
    best, last = (read_json(run.checkpoints / f"{name}.json", CheckpointIndex) for name in ("best", "last"))
    assert last is not None
    assert best == last
    assert (last.epoch, last.step, last.values) == (200, 0, {})
    assert "not trained here" in run.log_file.read_text(encoding="utf-8")
    assert str(tmp_path / "theirs.pth") in run.log_file.read_text(encoding="utf-8")
    assert any("✓ done" in line for line in describe(view))
    assert not run.metrics_file.exists()
    for name in ("best", "last"):
        assert torch.equal(network(run, name).head.bias, small["fc.bias"])


def test_the_class_counts_need_no_data() -> None:
    assert CLASSES == {"cifar10": 10, "cifar100": 100, "digits": builtin.NUM_CLASSES}


def refusal(tmp_path: Path, content: object, model: str = SMALL, dataset: str = "digits") -> str:
    """What is said of a file; the folder of runs stays as it was."""
    with pytest.raises(CheckpointError) as error:
        imported(tmp_path, content, model, dataset)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
    said = str(error.value)
    assert said.startswith(f"{tmp_path / 'theirs.pth'}: ")
    assert "\n" not in said
    assert len(said) < 600
    return said


@pytest.mark.parametrize(
    ("saved", "asked"),
    [
        ("wrn-16-2", "wrn-40-2"),
        ("wrn-10-2", "wrn-10-1"),
        ("wrn-10-1", "densenet-bc-100-12"),
        ("densenet-bc-16-5", "wrn-40-2"),
        ("densenet-bc-16-5", "resnet-34"),
        ("resnet-18", "resnet-34"),
        ("resnet-18", "wrn-10-1"),
    ],
)
def test_another_architecture_is_named(saved: str, asked: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, prefixed(theirs(saved).state_dict(), "module."), asked, "cifar10")
    assert f"looks like a {saved}, not a {asked}; pass --model {saved}" in said


def test_another_number_of_classes(small: dict[str, Tensor], tmp_path: Path) -> None:
    assert "has 8 classes, cifar100 has 100; pass the --dataset" in refusal(tmp_path, small, SMALL, "cifar100")


def test_missing_and_unexpected_names(small: dict[str, Tensor], tmp_path: Path) -> None:
    lacking = {key: value for key, value in small.items() if not key.startswith("block2.layer.0.bn")}
    said = refusal(tmp_path, lacking)
    assert "it lacks block2.layer.0.bn1.weight, block2.layer.0.bn1.bias, block2.layer.0.bn1.running_mean and 5" in said
    more = {**small, "ema.decay": torch.tensor(0.9)}
    assert "is of another network: it has ema.decay; " in refusal(tmp_path, more)
    renamed = {key.replace("fc.", "linear."): value for key, value in small.items()}
    assert "it lacks fc.weight, fc.bias and it has linear.weight, linear.bias; " in refusal(tmp_path, renamed)
    partly = {("module." if key == "fc.bias" else "") + key: value for key, value in small.items()}
    assert "it lacks fc.bias and it has module.fc.bias; " in refusal(tmp_path, partly)


def test_other_shapes_and_values(small: dict[str, Tensor], tmp_path: Path) -> None:
    stem = {**small, "conv1.weight": torch.zeros(16, 3, 7, 7)}
    assert "conv1.weight is 16x3x7x7 instead of 16x3x3x3; check --model" in refusal(tmp_path, stem)
    head = {**small, "fc.weight": torch.tensor(1.0)}
    assert "fc.weight is a number instead of 8x64" in refusal(tmp_path, head)
    broken = {**small, "fc.bias": torch.full((8,), torch.nan)}
    assert "holds NaN or infinite values in fc.bias" in refusal(tmp_path, broken)
    sparse = {**small, "fc.weight": small["fc.weight"].to_sparse()}
    assert "fc.weight is no plain tensor but a Tensor" in refusal(tmp_path, sparse)


class Forbidden:
    """Unpickled, this makes the folder `bait`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("bait",)


class Custom:
    """An object of the file's own program."""


def test_nothing_is_executed(small: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = refusal(tmp_path, {**small, "args": Forbidden()})
    assert "holds posix.mkdir, and such objects can execute code on loading, so they are refused; " in said
    assert "torch.save(net.state_dict(), FILE)" in said
    assert f"holds {__name__}.Custom, and" in refusal(tmp_path, {"state_dict": small, "args": Custom()})
    assert "holds torch.nn.modules.linear.Linear, and" in refusal(tmp_path, nn.Linear(2, 2))
    for protocol in (2, 4):
        (tmp_path / "theirs.pth").write_bytes(pickle.dumps(Forbidden(), protocol))
        with pytest.raises(CheckpointError, match=r"theirs\.pth: (holds posix\.mkdir|not a file of torch\.save)"):
            read_weights(tmp_path / "theirs.pth")
    assert not (tmp_path / "bait").exists()


@pytest.mark.parametrize("content", [[1, 2], 3, {}, torch.zeros(3), {"epoch": 3}, {1: torch.zeros(2)}, None])
def test_files_without_weights(content: object, tmp_path: Path) -> None:
    assert "import takes what torch.save(net.state_dict(), FILE) writes" in refusal(tmp_path, content)


def test_no_file_and_no_torch_file(small: dict[str, Tensor], tmp_path: Path) -> None:
    def said(file: Path, content: bytes | None) -> str:
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CheckpointError) as error:
            import_weights(file, tmp_path / "runs", config_of(SMALL, "digits"))
        assert not (tmp_path / "runs").exists()
        return str(error.value)

    pth, tensors = tmp_path / "a.pth", tmp_path / "a.safetensors"
    assert said(pth, None) == f"{pth}: can't be read: No such file or directory; check the path"
    assert said(tmp_path, None) == f"{tmp_path}: can't be read: Is a directory; check the path"
    whole = io.BytesIO()
    torch.save(small, whole)
    for content in (b"", b"hello", b"<html>" * 50, whole.getvalue()[:-100], whole.getvalue()[:1000]):
        assert said(pth, content).startswith(f"{pth}: not a file of torch.save, or cut or altered; import takes ")
    cut = safetensors.torch.save(small)[:-1]
    assert said(tensors, cut).startswith(f"{tensors}: not a safetensors file, or cut or altered: ")
    assert said(tensors, whole.getvalue()).startswith(f"{tensors}: not a safetensors file")


@pytest.mark.parametrize("zipped", [False, True])
def test_altered_files_are_refused_or_read_and_never_a_bug(zipped: bool, tmp_path: Path) -> None:
    whole = io.BytesIO()
    state = {"fc.weight": torch.ones(3, 2), "fc.bias": torch.zeros(3)}
    torch.save({"state_dict": state, "epoch": 3}, whole, _use_new_zipfile_serialization=zipped)
    file, rng, refused = tmp_path / "altered.pth", random.Random(0), []
    for _ in range(400):
        data = bytearray(whole.getvalue())
        for _ in range(rng.choice((1, 1, 4))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)
        try:
            read_weights(file)
        except CheckpointError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(said.startswith(f"{file}: ") for said in refused)


def test_an_existing_run_stays_as_it_is(small: dict[str, Tensor], tmp_path: Path) -> None:
    run = imported(tmp_path, small, SMALL, "digits")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=f"{run.path}: exists already; pass another --name or --trial"):
        imported(tmp_path, {key: value * 2 for key, value in small.items()}, SMALL, "digits")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_data_set_without_published_weights(tmp_path: Path) -> None:
    config = config_of("mlp-3", "spiral", outliers={"source": "square"}, epochs=2)
    with pytest.raises(ConfigError, match="--dataset: no weights are published for spiral; import takes cifar10, "):
        import_weights(tmp_path / "a.pth", tmp_path / "runs", config)
