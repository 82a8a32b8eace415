"""The score from which on a checkpoint's detector accepts an image as ID, kept beside its weights.

`checkpoints/<weights>.thresholds.json`, one entry a score, taken on the ID validation images: the test sets must not
choose it.
"""

from pathlib import Path

from msgspec import Struct

from goe.core.errors import RunError
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json, write_json

SHARE = 0.95
"""Of ID images that are accepted, at least."""
SUFFIX = ".thresholds.json"


class Threshold(Struct, frozen=True, kw_only=True):
    """Accept where score >= `value`."""

    value: float
    share: float = SHARE
    images: int
    """ID validation images that it was taken on."""


class Thresholds(Struct, frozen=True, kw_only=True):
    """The file. Thresholds of other weights than the index names count for nothing."""

    weights_sha256: str
    scores: dict[str, Threshold] = {}


def threshold_file(run: RunDir, index: CheckpointIndex) -> Path:
    """Where the thresholds of a checkpoint are."""
    return run.checkpoints / f"{index.weights.removesuffix('.safetensors')}{SUFFIX}"


def read_thresholds(run: RunDir, index: CheckpointIndex) -> dict[str, Threshold]:
    """The checkpoint's thresholds by score; none where the file is missing, damaged, or of other weights."""
    try:
        found = read_json(threshold_file(run, index), Thresholds)
    except RunError:
        return {}  # evaluation writes it anew
    return found.scores if found is not None and found.weights_sha256 == index.weights_sha256 else {}


def write_threshold(run: RunDir, index: CheckpointIndex, score: str, threshold: Threshold) -> None:
    """Add or replace one score's threshold."""
    scores = {**read_thresholds(run, index), score: threshold}
    write_json(threshold_file(run, index), Thresholds(weights_sha256=index.weights_sha256, scores=scores))
