"""The checkpoints of a run, read without torch."""

from dataclasses import dataclass
from pathlib import Path

from goe.core.errors import RunError
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json


@dataclass(frozen=True, slots=True)
class CheckpointView:
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


def list_checkpoints(run: RunDir) -> list[CheckpointView]:
    """Every checkpoint of `run`: `best` and `last` first. Sizes are checked, digests are not: see `verify`."""
    paths = sorted(run.checkpoints.glob("*.json"), key=lambda path: (path.stem.startswith("epoch-"), path.stem))
    return [_view(run, path) for path in paths if not path.name.startswith(".")]


def _view(run: RunDir, path: Path) -> CheckpointView:
    try:
        index = read_json(path, CheckpointIndex)
    except RunError as error:
        return CheckpointView(run.run_id, path.stem, None, 0, str(error))
    if index is None:
        return CheckpointView(run.run_id, path.stem, None, 0, "removed just now")
    files = [run.checkpoints / index.weights, run.checkpoints / index.state]
    gone = [file.name for file in files if not file.exists()]
    total = sum(file.stat().st_size for file in files if file.exists())
    problem = f"{', '.join(gone)}: missing in {run.checkpoints}" if gone else None
    return CheckpointView(run.run_id, path.stem, index, total, problem)
