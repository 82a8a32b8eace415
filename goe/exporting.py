"""A trained classifier with its preprocessing, score and threshold as one file that other programs run without goe.

ONNX and torch.export hold the whole graph, `Detector`; safetensors holds the weights, and the rest in words. All carry
the same metadata (docs/schemas.md), and none is kept whose outputs are not torch's.
"""

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from goe import checkpoint
from goe.core.errors import RunError, UserError
from goe.core.interchange import check_place
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, write_atomic
from goe.core.scorespecs import LOGIT_SCORES
from goe.core.thresholds import Threshold, read_thresholds
from goe.data import spiral
from goe.data.catalog import Benchmark, benchmark_of
from goe.data.files import SIDE, ImageFiles, Say
from goe.models import build_model
from goe.models.base import Net
from goe.models.mlp import POINT_DIM
from goe.scores import SCORES, Outputs

if TYPE_CHECKING:
    import onnx

METADATA_VERSION = 1
METADATA_FILE = "goe.json"
"""Of the metadata within a `.pt2`."""
TOLERANCE = 1e-4
"""Largest difference of logits and scores from torch's in a file that is kept."""
TRIED = (1, 16)
"""Sizes of the random batches that a file is tried on."""
NEEDED = {"onnx": ("onnx", "onnxscript"), "safetensors": (), "torch": ()}
SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "torch": ".pt2"}
OUTPUTS = ("logits", "score", "accepted")


@dataclass(frozen=True, slots=True)
class Input:
    """What the exported graph takes, and what it does to it before the network."""

    name: str
    shape: tuple[int, ...]
    """Of one item."""
    mean: tuple[float, ...]
    """Subtracted from each channel or coordinate."""
    std: tuple[float, ...]
    """Then divided by."""
    low: float
    high: float
    """Where values lie."""
    rule: str
    """How an item is made."""

    @classmethod
    def of(cls, benchmark: Benchmark) -> "Input":
        """RGB images in [0, 1], or for `spiral` points in the plane's own units."""
        if benchmark.name == "spiral":
            scale = (spiral.SCALE,) * POINT_DIM
            rule = "points (x, y) in the plane's own units"
            return cls("points", (POINT_DIM,), (0.0,) * POINT_DIM, scale, -spiral.HALF_SIDE, spiral.HALF_SIDE, rule)
        rule = f"RGB; short side to {SIDE}, bilinear with antialiasing (Pillow); centre crop; divided by 255"
        return cls("images", (3, SIDE, SIDE), benchmark.mean, benchmark.std, 0.0, 1.0, rule)

    def metadata(self) -> dict[str, str]:
        """Itself in words."""
        return {
            "input": self.name,
            "size": json.dumps(self.shape),
            "mean": json.dumps(self.mean),
            "std": json.dumps(self.std),
            "resize": self.rule,
        }

    def batches(self) -> Iterator[Tensor]:
        """Random batches (n, *shape) for trying a file, always the same."""
        generator = torch.Generator().manual_seed(0)
        for size in TRIED:
            yield self.low + (self.high - self.low) * torch.rand(size, *self.shape, generator=generator)


class Detector(nn.Module):
    """Classifier and OOD detector in one graph."""

    mean: Tensor
    std: Tensor
    threshold: Tensor

    def __init__(self, net: Net, given: Input, score: str, threshold: float) -> None:
        super().__init__()
        self.net = net
        self._score = SCORES[score]
        rest = (1,) * (len(given.shape) - 1)
        self.register_buffer("mean", torch.tensor(given.mean).view(-1, *rest))
        self.register_buffer("std", torch.tensor(given.std).view(-1, *rest))
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float64))
        self.eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Of `images` (N, 3, 32, 32) float32 RGB in [0, 1], or points (N, 2): what a program decides by.

        `logits` (N, K) float32; `score` (N,) float64, higher = more ID; `accepted` (N,) bool, score >= threshold. The
        score stays float64, in which the threshold was taken: in float32 a confident softmax saturates.
        """
        logits: Tensor = self.net((images - self.mean) / self.std)
        score = self._score(Outputs(logits))
        return dict(zip(OUTPUTS, (logits, score, score >= self.threshold), strict=True))


def export_detector(
    run: RunDir,
    form: str,
    *,
    root: Path,
    checkpoint_name: str = "",
    score: str = "",
    out: Path | None = None,
    say: Say = lambda _: None,
) -> Path:
    """Write the classifier of a run as `form` (one of DETECTOR_FORMATS) and return the file's path.

    `score` is one of goe's own (LOGIT_SCORES). By default, checkpoint and score are those that the run evaluates, and
    the file is `<run_id>-<checkpoint>` with the form's suffix in the current folder; one that exists is replaced. `say`
    gets a line on what was written. OOD test sets need not be there, nor images of goe's own ID sets. Raises UserError
    if a library is missing, CheckpointError, DataError, RunError without a threshold.
    """
    _check_installed(form)
    config = run.config()
    name = checkpoint_name or config.evaluate
    score = score or next((each for each in config.scores if each in LOGIT_SCORES), "msp")
    out = out or Path(f"{run.run_id}-{name}{SUFFIXES[form]}")
    check_place(out)
    benchmark = benchmark_of(config, ImageFiles(root, config.skip_broken, say))
    net = build_model(config.model, num_classes=benchmark.num_classes, dropout=config.dropout)
    index = checkpoint.load_weights(run, name, net)
    threshold = threshold_of(run, name, index, score)
    given = Input.of(benchmark)
    detector = Detector(net, given, score, threshold.value)
    metadata = {
        "metadata_version": str(METADATA_VERSION),
        "goe_version": version("goe"),
        "run_id": run.run_id,
        "dataset": benchmark.name,
        "model": config.model,
        "checkpoint": name,
        "epoch": str(index.epoch),
        "weights_sha256": index.weights_sha256,
        "classes": json.dumps(benchmark.class_names, ensure_ascii=False),
        "score": score,
        **_threshold_metadata(threshold),
        **given.metadata(),
    }
    data, found = _FORMS[form](detector, given, metadata)
    if found is not None:
        _check_difference(found, form, out)
    write_atomic(out, data)
    what = f"checkpoint {name} of {run.run_id} accepts from {score} {threshold.value:.6g} on"
    say(f"{out}: {what}{_tried(form, found)}")
    return out


def _threshold_metadata(threshold: Threshold) -> dict[str, str]:
    return {
        "threshold": repr(threshold.value),
        "share": repr(threshold.share),
        "threshold_images": str(threshold.images),
    }


def _tried(form: str, found: float | None) -> str:
    if found is not None:
        return f"; differs from torch by at most {found:.1e} on random inputs"
    missing = "; not tried: onnxruntime is not installed, `pip install 'goe[export]'` adds it"
    return missing if form == "onnx" else ""


def threshold_of(run: RunDir, name: str, index: CheckpointIndex, score: str) -> Threshold:
    """The score from which on checkpoint `name` accepts. Raises RunError if none was taken."""
    found = read_thresholds(run, index).get(score)
    if found is None:
        remedy = f"`goe eval {run.run_id} --checkpoint {name} --scores {score}` finds it"
        raise RunError(f"{run.run_id}: no threshold of score {score} for checkpoint {name}; {remedy}")
    return found


def _check_installed(form: str) -> None:
    missing = [name for name in NEEDED[form] if find_spec(name) is None]
    if missing:
        raise UserError(f"--format {form}: {' and '.join(missing)} not installed; `pip install 'goe[export]'` adds it")


def _check_difference(found: float, form: str, out: Path) -> None:
    if not found <= TOLERANCE:  # NaN is refused too
        others = ", ".join(other for other in SUFFIXES if other != form)
        raise UserError(
            f"{out}: not written: outputs differ from torch's by {found:.1e}, more than {TOLERANCE:g}; use {others}"
        )


def _as_safetensors(detector: Detector, _: Input, metadata: dict[str, str]) -> tuple[bytes, None]:
    """The network's weights by goe's names. Nothing to try: there is no graph in it."""
    weights = {key: value.contiguous() for key, value in detector.net.state_dict().items()}
    return safetensors.torch.save(weights, metadata), None


def _as_torch(detector: Detector, given: Input, metadata: dict[str, str]) -> tuple[bytes, float]:
    """A program of torch.export, read with `torch.export.load`."""
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(_program(detector, given), buffer, extra_files={METADATA_FILE: json.dumps(metadata)})
    data = buffer.getvalue()
    return data, difference(run_program(data), detector, given)


def _as_onnx(detector: Detector, given: Input, metadata: dict[str, str]) -> tuple[bytes, float | None]:
    """An ONNX model in one file. The difference is None where there is no ONNX Runtime to try it."""
    import onnx

    with _quiet():
        exported = torch.onnx.export(
            _program(detector, given), input_names=[given.name], output_names=OUTPUTS, dynamo=True, verbose=False
        )
    assert exported is not None, "with dynamo there is always a program"
    model = exported.model_proto
    _tidy(model)
    onnx.helper.set_model_props(model, metadata)
    data = model.SerializeToString()
    return data, difference(run_onnx(data), detector, given) if find_spec("onnxruntime") else None


_FORMS: Mapping[str, Callable[[Detector, Input, dict[str, str]], tuple[bytes, float | None]]] = {
    "onnx": _as_onnx,
    "safetensors": _as_safetensors,
    "torch": _as_torch,
}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks on their own deprecations and progress, which are not the user's business."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _program(detector: Detector, given: Input) -> torch.export.ExportedProgram:
    """The graph for any number of items, without the paths of this machine's source files."""
    batch = torch.zeros(2, *given.shape)  # of one, the number of items would be taken for a constant
    program = torch.export.export(detector, (batch,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _tidy(model: "onnx.ModelProto") -> None:
    """Leave out the exporter's notes on where each node came from, and call the batch axis `batch`."""
    graph = model.graph
    values = [*graph.input, *graph.output, *graph.value_info]
    for part in (graph, *graph.node, *graph.initializer, *values):
        del part.metadata_props[:]
    for value in values:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = "batch"


Run = Callable[[Tensor], Mapping[str, np.ndarray[Any, Any]]]
"""Runs an exported file on a batch."""


def run_onnx(data: bytes) -> Run:
    """An ONNX model in ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # its own choice pins threads, and complains where it can't
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]
    return lambda batch: dict(zip(OUTPUTS, session.run(list(OUTPUTS), {name: batch.numpy()}), strict=True))


def run_program(data: bytes) -> Run:
    """A program of torch.export."""
    module = torch.export.load(io.BytesIO(data)).module()
    return lambda batch: {key: value.detach().numpy() for key, value in module(batch).items()}


@torch.inference_mode()
def difference(run: Run, detector: Detector, given: Input) -> float:
    """Largest absolute difference of `run`'s logits and scores from the detector's, over random batches.

    Infinite if shapes differ, or if what `run` accepts does not agree with its own scores; NaN if an output is.
    """
    largest = [0.0]
    for batch in given.batches():
        found, wanted = run(batch), detector(batch)
        if any(found[name].shape != tuple(wanted[name].shape) for name in OUTPUTS):
            return float("inf")
        if not np.array_equal(found["accepted"], found["score"] >= detector.threshold.item()):
            return float("inf")
        largest += [np.abs(found[name] - wanted[name].numpy()).max() for name in ("logits", "score")]
    return float(np.max(largest))
