"""A checkpoint's network, ready to be asked: its outputs, its scores, and the threshold of each score."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from goe import checkpoint
from goe.core.config import RunConfig
from goe.core.evaljob import EvalProgress
from goe.core.inventory import list_checkpoints, output_folder
from goe.core.rundir import RunDir
from goe.core.thresholds import SHARE, Threshold, read_thresholds, write_threshold
from goe.data.catalog import load_id
from goe.data.source import ImageSet, TensorSet
from goe.device import Compute, pick_device
from goe.metrics import threshold_at
from goe.models import build_model
from goe.outputs import OutputStore, SetOutputs, digest, sweep
from goe.scores import Outputs, Score
from goe.scoring import Material, fit_score

Progress = Callable[[EvalProgress], None]


class Trained:
    """The network of one checkpoint, in evaluation mode and float32, on the run's device."""

    def __init__(
        self,
        run: RunDir,
        config: RunConfig,
        checkpoint_name: str,
        root: Path,
        *,
        keep_outputs: bool,
        progress: Progress,
    ) -> None:
        """Load it. Raises CheckpointError, and DataError if the ID training images are missing."""
        self.run, self.progress = run, progress
        self.ids = load_id(config, root, lambda line: progress(EvalProgress(note=line)))
        benchmark = self.ids.benchmark
        self.device = pick_device(config)
        Compute(self.device, "float32").apply()  # also after a training in TF32
        self.net = build_model(config.model, num_classes=benchmark.num_classes, dropout=config.dropout)
        self.index = checkpoint.load_weights(run, checkpoint_name, self.net)
        self.net.to(self.device).eval()
        if keep_outputs:
            sweep(run, {view.index.weights_sha256 for view in list_checkpoints(run) if view.index is not None})
        folder = output_folder(run, self.index.weights_sha256) if keep_outputs else None
        self._store = OutputStore(self.net, benchmark, self.device, folder)
        points = isinstance(self.ids.train, TensorSet)
        self._material = Material(self.net, self._training, None if points else benchmark.std)
        self._scores: dict[str, Score] = {}
        self._asked: dict[str, SetOutputs] = {}

    def digest(self, images: ImageSet) -> str:
        """SHA-256 of what the network is given of a set."""
        return digest(images, self.ids.benchmark)

    def outputs(self, images: ImageSet, key: str | None = None) -> SetOutputs:
        """What the network says of a set; asked for once. `key` is its digest, if it is known already."""
        key = self.digest(images) if key is None else key
        if key not in self._asked:
            name = images.name

            def done(count: int, total: int) -> None:
                self.progress(EvalProgress(part=name, done=count, total=total))

            self._asked[key] = self._store.of(images, key, done)
        return self._asked[key]

    def score(self, name: str) -> Score:
        """The score, fitted if it must be. Raises ScoreError."""
        if name not in self._scores:
            self._scores[name] = fit_score(name, self._material)
        return self._scores[name]

    def threshold(self, name: str) -> Threshold:
        """From which score on an image is accepted; taken on the ID validation images and kept with the weights."""
        found = read_thresholds(self.run, self.index).get(name)
        if found is None:
            scores = self.score(name)(self.outputs(self.ids.validation).outputs).numpy()
            found = Threshold(value=threshold_at(scores, SHARE), images=len(scores))
            write_threshold(self.run, self.index, name, found)
        return found

    def _training(self) -> tuple[Outputs, Tensor]:
        found = self.outputs(self.ids.train)
        return found.outputs, found.labels
