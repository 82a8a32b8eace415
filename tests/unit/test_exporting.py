"""Exported files give what torch gives, carry their threshold and preprocessing, and need no goe."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD

from goe import checkpoint, exporting
from goe.core.config import complete
from goe.core.errors import CheckpointError, RunError, UserError
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from goe.core.thresholds import Threshold, threshold_file, write_threshold
from goe.exporting import Detector, Input, difference, export_detector, run_onnx
from goe.models import Net, build_model

NOWHERE = Path("/nonexistent")


def make_run(runs: Path, **choices: object) -> tuple[RunDir, Net]:
    """A run with checkpoint `last`: an untrained network whose batch norm has seen something, and its network."""
    raw = {"experiment": "x", "seed": 1, **choices}
    config = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    run = RunDir.create(runs, config)
    torch.manual_seed(0)
    points = config.dataset == "spiral"
    net = build_model(config.model, num_classes=2 if points else 8, dropout=config.dropout)
    nn.init.normal_(net.head.weight)
    if not points:
        net(torch.rand(64, 3, 32, 32))  # in training mode
    checkpoint.save(
        run,
        ("last",),
        net=net,
        method=nn.Module(),
        optimiser=SGD(net.parameters(), lr=0.1),
        epoch=3,
        step=30,
        values={},
        best_accuracy=0.5,
    )
    return run, net.eval()


def index_of(run: RunDir) -> CheckpointIndex:
    found = read_json(run.checkpoints / "last.json", CheckpointIndex)
    assert found is not None
    return found


def set_threshold(run: RunDir, score: str, value: float) -> None:
    write_threshold(run, index_of(run), score, Threshold(value=value, images=150))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, Net]:
    run, net = make_run(tmp_path_factory.mktemp("digits"), model="wrn-10-1", method="baseline")
    set_threshold(run, "msp", middle(net))
    return run, net


@pytest.fixture(scope="module")
def spiral(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, Net]:
    choices = {"dataset": "spiral", "model": "mlp-20-20", "scores": ["energy", "msp"]}
    run, net = make_run(tmp_path_factory.mktemp("spiral"), **choices)
    for score, value in {"msp": 0.7, "max-logit": 1.0, "energy": 1.5, "entropy": -0.5, "margin": 0.5}.items():
        set_threshold(run, score, value)
    return run, net


def reference(net: Net, images: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits and MSP of digits, normalised by hand."""
    with torch.inference_mode():
        logits = net((images - 0.5) / 0.25).double().numpy()
    return logits, softmax(logits).max(1)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(count))


def middle(net: Net) -> float:
    """A threshold between the MSPs of 40 images, not near any; it accepts about half of them."""
    scores = np.sort(reference(net, images(40))[1])
    place = 15 + int(np.diff(scores[15:26]).argmax())
    return float((scores[place] + scores[place + 1]) / 2)


@pytest.fixture(scope="module")
def onnx_file(digits: tuple[RunDir, Net], tmp_path_factory: pytest.TempPathFactory) -> Path:
    said: list[str] = []
    out = tmp_path_factory.mktemp("onnx") / "x.onnx"
    assert export_detector(digits[0], "onnx", root=NOWHERE, out=out, say=said.append) == out
    (line,) = said
    said_first = f"{out}: checkpoint last of {digits[0].run_id} accepts from msp {middle(digits[1]):.6g} on"
    begin = f"{said_first}; differs from torch by at most "
    assert line.startswith(begin)
    assert float(line.removeprefix(begin).removesuffix(" on random inputs")) <= 1e-4
    assert [entry.name for entry in out.parent.iterdir()] == ["x.onnx"]
    return out


def test_onnx_gives_what_torch_gives(onnx_file: Path, digits: tuple[RunDir, Net]) -> None:
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    verdicts = set()
    for count in (1, 7, 40):
        batch = images(count)
        logits, score, accepted = session.run(["logits", "score", "accepted"], {"images": batch.numpy()})
        wanted, msp = reference(digits[1], batch)
        assert (logits.shape, logits.dtype) == ((count, 8), np.float32)
        assert np.abs(logits - wanted).max() <= 1e-4
        assert (score.shape, score.dtype) == ((count,), np.float64)
        assert np.abs(score - msp).max() <= 1e-4
        assert accepted.dtype == np.bool_
        assert accepted.tolist() == (score >= middle(digits[1])).tolist()
        verdicts |= set(accepted.tolist())
    assert verdicts == {False, True}


def expected_metadata(run: RunDir, net: Net) -> dict[str, str]:
    return {
        "metadata_version": "1",
        "goe_version": version("goe"),
        "run_id": run.run_id,
        "dataset": "digits",
        "model": "wrn-10-1",
        "checkpoint": "last",
        "epoch": "3",
        "weights_sha256": index_of(run).weights_sha256,
        "classes": '["0", "1", "2", "3", "4", "5", "6", "7"]',
        "score": "msp",
        "threshold": repr(middle(net)),
        "share": "0.95",
        "threshold_images": "150",
        "input": "images",
        "size": "[3, 32, 32]",
        "mean": "[0.5, 0.5, 0.5]",
        "std": "[0.25, 0.25, 0.25]",
        "resize": "RGB; short side to 32, bilinear with antialiasing (Pillow); centre crop; divided by 255",
    }


def test_onnx_metadata(onnx_file: Path, digits: tuple[RunDir, Net]) -> None:
    model = onnx.load(onnx_file, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert {each.key: each.value for each in model.metadata_props} == expected_metadata(*digits)
    (given,) = model.graph.input
    axes = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
    assert (given.name, axes) == ("images", ["batch", 3, 32, 32])
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert str(Path(exporting.__file__).parent).encode() not in onnx_file.read_bytes()


LOAD = """
import sys
sys.modules["goe"] = None  # importing it fails
import safetensors.torch, torch
extra = {"goe.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
print(extra["goe.json"])
for path in sys.argv[2:]:
    found = program(safetensors.torch.load_file(path)["images"])
    safetensors.torch.save_file({key: value.detach() for key, value in found.items()}, path)
"""


def test_torch_loads_without_goe(digits: tuple[RunDir, Net], tmp_path: Path) -> None:
    run, net = digits
    out = export_detector(run, "torch", root=NOWHERE, out=tmp_path / "x.pt2")
    files = {count: tmp_path / f"{count}.safetensors" for count in (1, 7)}
    for count, file in files.items():
        safetensors.torch.save_file({"images": images(count)}, file)
    command = [sys.executable, "-W", "error", "-c", LOAD, out, *files.values()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == expected_metadata(run, net)
    for count, file in files.items():
        found = safetensors.torch.load_file(file)
        logits, msp = reference(net, images(count))
        assert np.abs(found["logits"].numpy() - logits).max() <= 1e-6
        assert np.abs(found["score"].numpy() - msp).max() <= 1e-6
        assert found["accepted"].tolist() == (found["score"].numpy() >= middle(net)).tolist()


def test_safetensors_holds_weights_and_metadata(
    digits: tuple[RunDir, Net], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, net = digits
    monkeypatch.chdir(tmp_path)
    out = export_detector(run, "safetensors", root=NOWHERE)
    assert out == Path(f"{run.run_id}-last.safetensors")
    found = safetensors.torch.load_file(out)
    assert found.keys() == net.state_dict().keys()
    assert all(torch.equal(value, found[key]) for key, value in net.state_dict().items())
    with safetensors.safe_open(out, "pt") as file:
        assert file.metadata() == expected_metadata(run, net)


BY_HAND: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "msp": lambda z: softmax(z).max(1),
    "max-logit": lambda z: z.max(1),
    "energy": lambda z: np.log(np.exp(z).sum(1)),
    "entropy": lambda z: (softmax(z) * np.log(softmax(z))).sum(1),
    "margin": lambda z: np.abs(softmax(z)[:, 0] - softmax(z)[:, 1]),
}


@pytest.mark.parametrize("score", BY_HAND)
def test_every_score_of_goe_and_points(score: str, spiral: tuple[RunDir, Net], tmp_path: Path) -> None:
    run, net = spiral
    out = export_detector(run, "onnx", root=NOWHERE, score=score, out=tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    points = np.array([[0.0, 0.0], [-12.5, 30.0], [40.0, -40.0]], np.float32)
    logits, found, accepted = session.run(["logits", "score", "accepted"], {"points": points})
    with torch.inference_mode():
        wanted = net(torch.tensor(points / 10)).double().numpy()
    assert np.abs(logits - wanted).max() <= 1e-5
    assert np.abs(found - BY_HAND[score](wanted)).max() <= 1e-5
    metadata = {each.key: each.value for each in onnx.load(out).metadata_props}
    assert (metadata["score"], metadata["mean"], metadata["std"]) == (score, "[0.0, 0.0]", "[10.0, 10.0]")
    assert accepted.tolist() == (found >= float(metadata["threshold"])).tolist()


def test_the_score_is_the_first_configured_one(spiral: tuple[RunDir, Net], tmp_path: Path) -> None:
    out = export_detector(spiral[0], "safetensors", root=NOWHERE, out=tmp_path / "x")
    with safetensors.safe_open(out, "pt") as file:
        assert file.metadata()["score"] == "energy"


def test_a_file_that_gives_something_else_is_refused(onnx_file: Path, digits: tuple[RunDir, Net]) -> None:
    net = digits[1]
    given = Input("images", (3, 32, 32), (0.5,) * 3, (0.25,) * 3, 0.0, 1.0, "")
    run = run_onnx(onnx_file.read_bytes())
    assert difference(run, Detector(net, given, "msp", middle(net)), given) <= 1e-4
    assert difference(run, Detector(net, given, "msp", 2.0), given) == float("inf")
    elsewhere = Input("images", (3, 32, 32), (0.5,) * 3, (0.2,) * 3, 0.0, 1.0, "")
    off = difference(run, Detector(net, elsewhere, "msp", middle(net)), given)
    assert 1e-4 < off < 100
    for found in (off, float("inf"), float("nan"), 1.1e-4):
        with pytest.raises(UserError, match=r"x\.onnx: not written: outputs differ from torch's by "):
            exporting._check_difference(found, "onnx", Path("x.onnx"))
    exporting._check_difference(1e-4, "onnx", Path("x.onnx"))


def test_a_missing_threshold_leaves_the_older_file(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "runs", model="wrn-10-1", method="baseline")
    set_threshold(run, "energy", 1.0)
    out = tmp_path / "old.safetensors"
    out.write_text("old")
    with pytest.raises(RunError) as raised:
        export_detector(run, "safetensors", root=NOWHERE, out=out)
    remedy = f"`goe eval {run.run_id} --checkpoint last --scores msp` finds it"
    assert str(raised.value) == f"{run.run_id}: no threshold of score msp for checkpoint last; {remedy}"
    assert out.read_text() == "old"
    threshold_file(run, index_of(run)).write_text("{")
    with pytest.raises(RunError, match="no threshold of score energy"):
        export_detector(run, "safetensors", root=NOWHERE, score="energy", out=out)
    with pytest.raises(CheckpointError, match=r"epoch-002\.json: there is no such checkpoint"):
        export_detector(run, "safetensors", root=NOWHERE, checkpoint_name="epoch-002", out=out)


def test_without_the_extra_nothing_is_done(
    digits: tuple[RunDir, Net], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError) as raised:
        export_detector(RunDir(tmp_path / "not-even-read"), "onnx", root=NOWHERE)
    assert str(raised.value) == "--format onnx: onnxscript not installed; `pip install 'goe[export]'` adds it"
    export_detector(digits[0], "safetensors", root=NOWHERE, out=tmp_path / "x.safetensors")
