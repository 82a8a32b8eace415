"""The checkpoints of a run, read without torch."""

from pathlib import Path

from msgspec import Struct

from goe.core.errors import RunError
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json


class CheckpointView(Struct, frozen=True):
    """One named checkpoint."""

    run_id: str
    name: str
    index: CheckpointIndex | None
    size: int
    """Bytes of weights and training state on disk."""
    problem: str | None = None

    def value(self, name: str) -> float | None:
        """A metric at that epoch."""
        return self.index.values.get(name) if self.index else None


HEX = 16
"""Digits of a digest in a file's name."""


def output_folder(run: RunDir, weights_sha256: str) -> Path:
    """Where outputs of these weights are kept."""
    return run.eval / "outputs" / weights_sha256[:HEX]


def list_checkpoints(run: RunDir) -> list[CheckpointView]:
    """Every checkpoint of `run`: `best` and `last` first. Digests are not checked; loading a checkpoint does that."""
    return [_view(run, path) for path in index_files(run.checkpoints)]


def index_files(folder: Path) -> list[Path]:
    """The index of each checkpoint in a run's `checkpoints/`."""
    paths = sorted(folder.glob("*.json"), key=lambda path: (path.stem.startswith("epoch-"), path.stem))
    return [path for path in paths if "." not in path.stem]  # neither thresholds nor what is half written


def _view(run: RunDir, path: Path) -> CheckpointView:
    try:
        index = read_json(path, CheckpointIndex)
    except RunError as error:
        return CheckpointView(run.run_id, path.stem, None, 0, str(error))
    if index is None:
        return CheckpointView(run.run_id, path.stem, None, 0, "removed just now")
    sizes = {name: _size(run.checkpoints / name) for name in (index.weights, index.state)}
    gone = [name for name, size in sizes.items() if size is None]
    if gone and _replaced(path, index):
        return _view(run, path)
    problem = f"{', '.join(gone)}: missing in {run.checkpoints}" if gone else None
    return CheckpointView(run.run_id, path.stem, index, sum(size or 0 for size in sizes.values()), problem)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _replaced(path: Path, index: CheckpointIndex) -> bool:
    """Whether training went on meanwhile and replaced the checkpoint, so that its old files are rightly gone."""
    try:
        return read_json(path, CheckpointIndex) != index
    except RunError:
        return True
