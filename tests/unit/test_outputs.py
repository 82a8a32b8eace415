"""Outputs of whole sets: computed once, read back bit for bit, told apart by what the network is given."""

from pathlib import Path

import numpy as np
import pytest
import torch

from goe.core.rundir import RunDir
from goe.data.catalog import Benchmark
from goe.data.source import ArraySource, TensorSet
from goe.models import build_model
from goe.models.base import Net
from goe.outputs import EVAL_BATCH, OutputStore, collect, digest, output_folder, sweep

BENCHMARK = Benchmark("toy", "toy", ("a", "b"), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
CPU = torch.device("cpu")


def images(count: int, seed: int = 0, labels: int = 0) -> ArraySource:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return ArraySource("set", data, np.full(count, labels, dtype=np.int64))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return build_model("wrn-10-1", num_classes=2, dropout=0.0).eval()


def test_logits_are_the_head_of_the_features(net: Net) -> None:
    x, y = torch.randn(5, 3, 32, 32), torch.tensor([0, 1, 0, 1, -1])
    net.train()
    found = collect(net, [(x[:3], y[:3]), (x[3:], y[3:])])
    assert net.training
    net.eval()
    with torch.no_grad():
        assert torch.allclose(found.outputs.logits, net(x), atol=1e-6)
        assert found.outputs.features is not None
        assert torch.allclose(net.head(found.outputs.features), net(x), atol=1e-6)
    assert found.correct.tolist() == (net(x).argmax(1) == y).tolist()
    assert found.labels.tolist() == y.tolist()


def test_the_second_time_the_network_is_not_asked(net: Net, tmp_path: Path) -> None:
    source, steps = images(EVAL_BATCH + 7), []
    store = OutputStore(net, BENCHMARK, CPU, tmp_path)
    first = store.of(source, digest(source, BENCHMARK), lambda *done: steps.append(done))
    assert steps == [(EVAL_BATCH, EVAL_BATCH + 7), (EVAL_BATCH + 7, EVAL_BATCH + 7)]
    second = store.of(source, digest(source, BENCHMARK), lambda *done: steps.append(done))
    assert len(steps) == 2
    assert torch.equal(first.outputs.logits, second.outputs.logits)
    assert first.outputs.features is not None
    assert second.outputs.features is not None
    assert torch.equal(first.outputs.features, second.outputs.features)
    assert torch.equal(first.labels, second.labels)
    assert second.outputs.images is not None
    again = torch.cat(list(second.outputs.images()))
    with torch.no_grad():
        assert torch.allclose(net(again), second.outputs.logits, atol=1e-5)


def test_a_cut_file_is_computed_anew(net: Net, tmp_path: Path) -> None:
    source = images(6)
    store = OutputStore(net, BENCHMARK, CPU, tmp_path)
    whole = store.of(source, "0" * 64)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    again = store.of(source, "0" * 64)
    assert torch.equal(again.outputs.logits, whole.outputs.logits)
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_without_a_folder_nothing_is_kept(net: Net, tmp_path: Path) -> None:
    OutputStore(net, BENCHMARK, CPU, None).of(images(2), "0" * 64)
    assert not list(tmp_path.iterdir())


def test_a_digest_tells_pixels_labels_and_normalisation_apart() -> None:
    mean = Benchmark("toy", "toy", ("a", "b"), (0.4, 0.5, 0.5), (0.25, 0.25, 0.25))
    points = TensorSet("set", np.zeros((6, 2), dtype=np.float32))
    moved = TensorSet("set", np.full((6, 2), 1e-3, dtype=np.float32))
    found = [digest(images(6), BENCHMARK), digest(images(6, seed=1), BENCHMARK), digest(images(6, labels=1), BENCHMARK)]
    found += [
        digest(images(7), BENCHMARK),
        digest(images(6), mean),
        digest(points, BENCHMARK),
        digest(moved, BENCHMARK),
    ]
    assert len(set(found)) == len(found)
    assert digest(images(6), BENCHMARK) == found[0]


def test_outputs_go_with_their_weights(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    for weights in ("a" * 64, "b" * 64):
        output_folder(run, weights).mkdir(parents=True)
    sweep(run, {"b" * 64})
    assert [each.name for each in (run.eval / "outputs").iterdir()] == ["b" * 16]
