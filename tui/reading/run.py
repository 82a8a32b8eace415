"""Everything the page of one run shows but its curves."""

import contextlib
import time
from pathlib import Path

from goe.core.errors import RunError
from goe.core.overview import view_run
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from tui.messages import Checkpoint, RunDetail
from tui.reading.base import guarded
from tui.reading.log import LogTail
from tui.reading.surface import SurfaceTail


class RunReader:
    """Follows one run; what did not change since the last time is not read again."""

    period = 0.5

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._log = LogTail(run.log_file)
        self._surface = SurfaceTail(run)

    def read(self) -> RunDetail:
        """The run now; a file that can't be read leaves its part as it was or empty."""
        return guarded(self.run, self._read, lambda view: RunDetail(view, time.time()))

    def _read(self, run: RunDir) -> RunDetail:
        now = time.time()
        self._log.poll()
        view = view_run(run, now)
        self._surface.poll(view.config)
        return RunDetail(
            view,
            now,
            self._log.lines,
            self._log.cut,
            read_checkpoints(run),
            self._surface.field,
            self._surface.problem,
        )


def read_checkpoints(run: RunDir) -> tuple[Checkpoint, ...]:
    """The run's checkpoints: `last` and `best` first, then by epoch."""
    found = [_checkpoint(path) for path in run.checkpoints.glob("*.json")]
    places = {"last": 0, "best": 1}
    return tuple(sorted(found, key=lambda one: (places.get(one.name, 2), one.epoch or 0, one.name)))


def _checkpoint(path: Path) -> Checkpoint:
    try:
        index = read_json(path, CheckpointIndex)
    except RunError:
        return Checkpoint(path.stem, problem="cut or altered")
    if index is None:
        return Checkpoint(path.stem, problem="removed")
    size = None
    with contextlib.suppress(OSError):
        size = (path.parent / index.weights).stat().st_size
    problem = "weights missing" if size is None else None
    return Checkpoint(path.stem, index.epoch, index.values, index.saved, size, problem)
