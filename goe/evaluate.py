"""The one evaluation: outputs once for each data set, then every score and metric from them."""

import io
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from goe import checkpoint
from goe.core.config import Tests, with_tests
from goe.core.errors import RunError
from goe.core.records import EvalResult, Values
from goe.core.rundir import RunDir, read_json, write_atomic, write_json
from goe.data.catalog import Benchmark, load_evaluation
from goe.data.loader import eval_batches
from goe.data.source import ImageSet
from goe.data.spiral import SCALE
from goe.device import pick_device
from goe.metrics import classification_metrics, detection_metrics
from goe.models import build_model
from goe.models.base import Net
from goe.scores import SCORES, Outputs, msp
from goe.surface import grid, write_surface

EVAL_BATCH = 500
AS_CONFIGURED = Tests()


def predict(net: Net, images: ImageSet, benchmark: Benchmark, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logits (N, K) float32 and labels (N,) int64 of a whole set, on the CPU, in evaluation mode and float32."""
    return predict_batches(net, eval_batches(images, benchmark, EVAL_BATCH, device))


@torch.inference_mode()
def predict_batches(net: Net, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """`predict` for batches of inputs and labels that are on the network's device."""
    training = net.training
    net.eval()
    logits, labels = [], []
    for x, y in batches:
        logits.append(net(channels_last(x)).float())
        labels.append(y)
    net.train(training)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()


def channels_last(x: Tensor) -> Tensor:
    """Images (B, 3, H, W) in the memory format convolutions like; points as they are."""
    return x.to(memory_format=torch.channels_last) if x.ndim == 4 else x


def evaluate(
    run: RunDir,
    *,
    checkpoint_name: str,
    scores: Iterable[str],
    root: Path,
    force: bool = False,
    tests: Tests = AS_CONFIGURED,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Evaluate one checkpoint under `scores` and write a result for each; returns their paths.

    A result that exists for the same weights and data sets is kept as it is unless `force`. `tests` names other OOD
    test sets than the run's own. `progress` gets the name of each data set as it is run through. Raises
    CheckpointError, ConfigError, DataError.
    """
    config = with_tests(run.config(), tests)
    sets = load_evaluation(config, root, progress)
    benchmark = sets.benchmark
    device = pick_device(config)
    net = build_model(config.model, num_classes=benchmark.num_classes, dropout=config.dropout)
    index = checkpoint.load_weights(run, checkpoint_name, net)
    paths = {score: run.eval / f"{checkpoint_name}-{score}-{benchmark.protocol}.json" for score in scores}
    names = [benchmark.name, *(ood.name for ood in sets.ood)]
    wanted = {
        score: path for score, path in paths.items() if force or not _is_current(path, index.weights_sha256, names)
    }
    if not wanted:
        return list(paths.values())
    net.to(device).to(memory_format=torch.channels_last)
    outputs: dict[str, Outputs] = {}
    id_outputs: dict[str, Outputs] = {}
    """Of images in an OOD set's list that count as ID beside the ID test set."""
    for name, remedy in sets.missing.items():
        progress(f"without {name}: {remedy}")
    progress(benchmark.name)
    logits, labels = predict(net, sets.test, benchmark, device)
    correct = (logits.argmax(1) == labels).numpy()
    for ood in sets.ood:
        progress(ood.name)
        outputs[ood.name] = Outputs(predict(net, ood.images, benchmark, device)[0])
        if ood.with_id is not None:
            id_outputs[ood.name] = Outputs(predict(net, ood.with_id, benchmark, device)[0])
    if config.dataset == "spiral":
        write_surface(run, checkpoint_name, _confidence(net, device))
    for score, path in wanted.items():
        function = SCORES[score]
        id_scores = function(Outputs(logits)).numpy()
        ood_scores = {name: function(output).numpy() for name, output in outputs.items()}
        more_id = {name: function(output).numpy() for name, output in id_outputs.items()}
        against = {name: np.concatenate([id_scores, more_id.get(name, id_scores[:0])]) for name in outputs}
        result = EvalResult(
            run_id=run.run_id,
            checkpoint=checkpoint_name,
            epoch=index.epoch,
            weights_sha256=index.weights_sha256,
            score=score,
            protocol=benchmark.protocol,
            id_dataset=benchmark.name,
            classification=_values(classification_metrics(correct, id_scores)),
            detection={name: _values(detection_metrics(against[name], found)) for name, found in ood_scores.items()},
            sizes={benchmark.name: len(id_scores), **{name: len(found) for name, found in ood_scores.items()}},
            filter={
                name.removeprefix("filter/"): value
                for name, value in index.values.items()
                if name in {"filter/rate", "filter/precision", "filter/recall", "filter/base-rate"}
            },
            created=time.time(),
        )
        raw = {**ood_scores, **{f"{name}/id": found for name, found in more_id.items()}}
        _save_scores(path.with_suffix(".npz"), benchmark.name, id_scores, correct, raw)
        write_json(path, result)
    return list(paths.values())


@torch.inference_mode()
def _confidence(net: Net, device: torch.device) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The network's MSP on the grid of the plane, in evaluation mode."""
    net.eval()
    logits: Tensor = net(torch.from_numpy(grid() / SCALE).to(device))
    return msp(Outputs(logits.float().cpu())).float().numpy()


def _is_current(path: Path, weights_sha256: str, names: Sequence[str]) -> bool:
    try:
        result = read_json(path, EvalResult)
    except RunError:
        return False  # damaged: written anew
    return result is not None and result.weights_sha256 == weights_sha256 and list(result.sizes) == names


def _values(metrics: object) -> Values:
    """A metrics record as plain values; NaN, which JSON has not, becomes None."""
    fields = asdict(metrics)  # type: ignore[call-overload]
    return {name: float(value) if isfinite(value) else None for name, value in fields.items()}


def _save_scores(
    path: Path,
    id_dataset: str,
    id_scores: np.ndarray[tuple[int], np.dtype[np.float64]],
    correct: np.ndarray[tuple[int], np.dtype[np.bool_]],
    ood_scores: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]],
) -> None:
    buffer = io.BytesIO()
    arrays = {f"score/{name}": found for name, found in {id_dataset: id_scores, **ood_scores}.items()}
    np.savez_compressed(buffer, correct=correct, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
