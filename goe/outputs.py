"""Logits and features of whole data sets, computed once for a checkpoint and kept beside its results.

`eval/outputs/<16 hex of the weights>/<set>-<16 hex of the images>.safetensors`, float32. A killed evaluation goes on
after the last set that is whole, and further scores need no pass through the network. They take (K + D) x 4 bytes an
image (WRN-40-2 on CIFAR-10: 5.5 MB for 10,000), may be deleted at any time, and go when their weights do.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from goe.core.inventory import HEX, output_folder
from goe.core.rundir import RunDir, write_atomic
from goe.data.catalog import Benchmark
from goe.data.loader import eval_batches
from goe.data.source import ImageSet, TensorSet
from goe.models.base import Net
from goe.scores import Outputs

EVAL_BATCH = 500
_BLOCK = 4096

Done = Callable[[int, int], None]
"""Images done, and in all."""


@dataclass(frozen=True, slots=True, eq=False)
class SetOutputs:
    """What the network says of one data set."""

    outputs: Outputs
    labels: Tensor
    """(N,) int64, -1 where the image is OOD."""

    @property
    def correct(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(N,) whether the largest logit is that of the label."""
        right: np.ndarray[tuple[int], np.dtype[np.bool_]] = (self.outputs.logits.argmax(1) == self.labels).numpy()
        return right


def collect(
    net: Net, batches: Iterable[tuple[Tensor, Tensor]], done: Callable[[int], None] = lambda _: None
) -> SetOutputs:
    """Logits (N, K), features (N, D), both float32, and labels of batches on the network's device, on the CPU.

    In evaluation mode; one pass. `done` gets the number of images of each batch.
    """
    training = net.training
    net.eval()
    logits, features, labels = [], [], []
    with torch.inference_mode():
        for x, y in batches:
            found = net.features(channels_last(x))
            logits.append(net.head(found).float())
            features.append(found.float())
            labels.append(y)
            done(len(y))
    net.train(training)
    # Outside the inference mode, for scores that differentiate by what they make of these.
    return SetOutputs(Outputs(torch.cat(logits).cpu(), torch.cat(features).cpu()), torch.cat(labels).cpu())


def channels_last(x: Tensor) -> Tensor:
    """Images (B, 3, H, W) in the memory format convolutions like; points as they are."""
    return x.to(memory_format=torch.channels_last) if x.ndim == 4 else x


def digest(images: ImageSet, benchmark: Benchmark) -> str:
    """SHA-256 of all that decides what the network is given: pixels, labels, normalisation."""
    found = hashlib.sha256(repr((benchmark.mean, benchmark.std, len(images))).encode())
    for start in range(0, len(images), _BLOCK):
        index = np.arange(start, min(start + _BLOCK, len(images)))
        part = images.data[index] if isinstance(images, TensorSet) else images.images(index)
        found.update(np.ascontiguousarray(part).data)
    found.update(images.labels().astype(np.int64).data)
    return found.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class OutputStore:
    """Outputs of one network; `folder` is None where they are not kept."""

    net: Net
    benchmark: Benchmark
    device: torch.device
    folder: Path | None

    def of(self, images: ImageSet, key: str, done: Done = lambda *_: None) -> SetOutputs:
        """Outputs of a set whose `digest` is `key`, from the folder or, the first time, from the network."""
        file = None if self.folder is None else self.folder / f"{images.name}-{key[:HEX]}.safetensors"
        found = None if file is None else _load(file)
        if found is None:
            found = self._compute(images, done)
            if file is not None:
                tensors = {"logits": found.outputs.logits, "features": found.outputs.features, "labels": found.labels}
                file.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(file, safetensors.torch.save(tensors), durable=False)  # type: ignore[arg-type]

        def again() -> Iterator[Tensor]:
            return (channels_last(x) for x, _ in self._batches(images))

        return SetOutputs(Outputs(found.outputs.logits, found.outputs.features, again), found.labels)

    def _compute(self, images: ImageSet, done: Done) -> SetOutputs:
        count = 0

        def add(images_of_batch: int) -> None:
            nonlocal count
            count += images_of_batch
            done(count, len(images))

        return collect(self.net, self._batches(images), add)

    def _batches(self, images: ImageSet) -> Iterator[tuple[Tensor, Tensor]]:
        return eval_batches(images, self.benchmark, EVAL_BATCH, self.device)


def sweep(run: RunDir, used: set[str]) -> None:
    """Remove outputs of weights that no checkpoint has any more; `used` are the SHA-256 of those there are."""
    keep = {output_folder(run, weights).name for weights in used}
    folder = run.eval / "outputs"
    for found in folder.iterdir() if folder.is_dir() else ():
        if found.name not in keep:
            shutil.rmtree(found, ignore_errors=True)


def _load(file: Path) -> SetOutputs | None:
    """What `file` holds; None where it is missing, or was cut: then it is computed anew."""
    try:
        tensors = safetensors.torch.load_file(file)
        return SetOutputs(Outputs(tensors["logits"], tensors["features"]), tensors["labels"])
    except (OSError, KeyError, safetensors.SafetensorError):
        return None
