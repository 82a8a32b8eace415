"""The one evaluation: outputs once for each data set, then every score and metric from them."""

import io
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goe.core.config import RunConfig, Tests, with_tests
from goe.core.errors import RunError, ScoreError
from goe.core.evalfile import stem
from goe.core.evaljob import EvalProgress
from goe.core.records import EVAL_VERSION, EvalResult
from goe.core.rundir import RunDir, read_json, write_atomic, write_json
from goe.core.scorespecs import PROBABILITIES
from goe.core.specs import Baseline
from goe.data.catalog import EvaluationSets, load_evaluation
from goe.data.spiral import SCALE
from goe.metrics import DetectionMetrics, as_values, classification_metrics, detection_metrics
from goe.outputs import SetOutputs
from goe.scores import Outputs, Score, msp
from goe.scoring import description, needs_gradients
from goe.surface import grid, write_surface
from goe.trained import Progress, Trained

if TYPE_CHECKING:
    from goe.data.source import ImageSet

AS_CONFIGURED = Tests()

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(slots=True)
class Evaluated:
    """What came of an evaluation."""

    paths: list[Path] = field(default_factory=list)
    """The result of each score, those that were there already included."""
    problems: list[str] = field(default_factory=list)
    """Why scores have none."""


def evaluate(
    run: RunDir,
    *,
    checkpoint_name: str,
    scores: Iterable[str],
    root: Path,
    force: bool = False,
    tests: Tests = AS_CONFIGURED,
    keep_outputs: bool = False,
    progress: Progress = lambda _: None,
) -> Evaluated:
    """Evaluate one checkpoint under `scores` and write a result for each.

    A result that exists for the same weights and images is kept as it is unless `force`. `tests` names other OOD test
    sets than the run's own. A score that can't be computed does not keep the others from being written. With
    `keep_outputs` logits and features stay for further scores. Raises CheckpointError, ConfigError, DataError.
    """
    config = with_tests(run.config(), tests)
    sets = load_evaluation(config, root, lambda line: progress(EvalProgress(note=line)))
    trained = Trained(run, config, checkpoint_name, root, keep_outputs=keep_outputs, progress=progress)
    asked = _TestSets(sets, trained)
    done = Evaluated()
    for name, remedy in sets.missing.items():
        progress(EvalProgress(note=f"without {name}: {remedy}"))
    for score in scores:
        path = run.eval / f"{stem(checkpoint_name, score, sets.benchmark.protocol)}.json"
        try:
            if force or not _is_current(path, trained.index.weights_sha256, asked.digests):
                _write(path, _Result(config, checkpoint_name, score, trained, asked))
            trained.threshold(score)  # also where only its file has gone
        except ScoreError as error:
            done.problems.append(str(error))
            continue
        done.paths.append(path)
    surface = run.surface_file(checkpoint_name)
    if config.dataset == "spiral" and (force or not surface.exists() or surface.stat().st_mtime < trained.index.saved):
        write_surface(run, checkpoint_name, _confidence(trained))
    return done


class _TestSets:
    """The test sets with what the network says of them, asked for when the first score needs it."""

    def __init__(self, sets: EvaluationSets, trained: Trained) -> None:
        self.sets, self._trained = sets, trained
        self._images: dict[str, ImageSet] = {sets.benchmark.name: sets.test}
        self._images |= {ood.name: ood.images for ood in sets.ood}
        # Images in an OOD set's list that count as ID beside the ID test set.
        self._images |= {f"{ood.name}/id": ood.with_id for ood in sets.ood if ood.with_id is not None}
        self.digests = {name: trained.digest(images) for name, images in self._images.items()}

    @property
    def id_name(self) -> str:
        return self.sets.benchmark.name

    def __getitem__(self, name: str) -> SetOutputs:
        return self._trained.outputs(self._images[name], self.digests[name])

    def scored(self, name: str, score: Score) -> dict[str, Floats]:
        """Each set's scores under one function."""
        found: dict[str, Floats] = {}
        for set_name in self._images:
            asked = self[set_name]
            if needs_gradients(name):
                self._trained.progress(EvalProgress(part=f"{name}: {set_name}", total=len(asked.labels)))
            found[set_name] = score(asked.outputs).numpy()
        return found


@dataclass(frozen=True, slots=True)
class _Result:
    """One checkpoint under one score, still to be computed."""

    config: RunConfig
    checkpoint: str
    score: str
    trained: Trained
    asked: _TestSets


def _write(path: Path, wanted: _Result) -> None:
    trained, asked, id_name = wanted.trained, wanted.asked, wanted.asked.id_name
    scores = asked.scored(wanted.score, trained.score(wanted.score))
    correct = asked[id_name].correct
    right = {id_name: correct, **{name: asked[name].correct for name in scores if name.endswith("/id")}}
    result = EvalResult(
        version=EVAL_VERSION,
        run_id=trained.run.run_id,
        **_origin(wanted.config, wanted.checkpoint),
        epoch=trained.index.epoch,
        weights_sha256=trained.index.weights_sha256,
        score=wanted.score,
        score_code=description(wanted.score),
        protocol=asked.sets.benchmark.protocol,
        id_dataset=id_name,
        threshold=trained.threshold(wanted.score).value,
        classification=as_values(
            classification_metrics(correct, scores[id_name], probability=wanted.score in PROBABILITIES)
        ),
        detection={ood.name: as_values(_detection(ood.name, id_name, scores, right)) for ood in asked.sets.ood},
        sizes={name: len(found) for name, found in scores.items()},
        digests=asked.digests,
        filter={
            name.removeprefix("filter/"): value
            for name, value in trained.index.values.items()
            if name in {"filter/rate", "filter/precision", "filter/recall", "filter/base-rate"}
        },
        created=time.time(),
    )
    _save_scores(path.with_suffix(".npz"), scores, right, id_name)
    write_json(path, result)


def _detection(name: str, id_name: str, scores: Mapping[str, Floats], right: Mapping[str, Bools]) -> DetectionMetrics:
    """Metrics of one OOD set against the ID test set, and the images of ID classes in the set's own list."""
    sides = [id_name, *([f"{name}/id"] if f"{name}/id" in scores else [])]
    id_scores = np.concatenate([scores[side] for side in sides])
    return detection_metrics(id_scores, scores[name], correct=np.concatenate([right[side] for side in sides]))


def _origin(config: RunConfig, checkpoint: str) -> dict[str, Any]:
    """What was trained, on what, and which of its checkpoints this is."""
    exposed = not isinstance(config.method, Baseline)
    rules = {"best": "highest validation accuracy, the first of equals", "last": "last epoch"}
    return {
        "experiment": config.experiment,
        "seed": config.seed,
        "method": config.method_name,
        "model": config.model,
        "outliers": config.outliers.source if exposed else "",
        "outliers_without_id": _without_id(config) if exposed else None,
        "checkpoint": checkpoint,
        "checkpoint_rule": rules.get(checkpoint, "chosen by epoch"),
    }


def _without_id(config: RunConfig) -> bool | None:
    """Whether the outliers hold no image of an ID class. Of images of one's own nobody knows."""
    if config.outliers.contamination > 0 or config.dataset == "spiral":  # outliers lie on the arms too
        return False
    source = config.outliers.source
    if source == "china":
        return True
    if config.dataset not in {"cifar10", "cifar100"} or source in {"folder", "list"}:
        return None
    return source in {"random-300k", "tin-597"}  # made so by their authors


@torch.inference_mode()
def _confidence(trained: Trained) -> NDArray[np.float32]:
    """The network's MSP on the grid of the plane."""
    logits: Tensor = trained.net(torch.from_numpy(grid() / SCALE).to(trained.device))
    return msp(Outputs(logits.float().cpu())).float().numpy()


def _is_current(path: Path, weights_sha256: str, digests: Mapping[str, str]) -> bool:
    try:
        result = read_json(path, EvalResult)
    except RunError:
        return False  # damaged: written anew
    same = result is not None and (result.weights_sha256, result.digests) == (weights_sha256, digests)
    return same and path.with_suffix(".npz").exists()


def _save_scores(path: Path, scores: Mapping[str, Floats], right: Mapping[str, Bools], id_name: str) -> None:
    """Raw scores, the ID test set's first, and which ID images the network classifies right."""
    buffer = io.BytesIO()
    arrays: dict[str, NDArray[Any]] = {f"score/{name}": found for name, found in scores.items()}
    arrays |= {f"correct/{name}": found for name, found in right.items() if name != id_name}
    np.savez_compressed(buffer, correct=right[id_name], **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
