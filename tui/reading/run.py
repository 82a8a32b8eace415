"""Everything the page of one run shows but its curves."""

import contextlib
import os
import time
from pathlib import Path

from goe.core.errors import RunError
from goe.core.integrity import files_of
from goe.core.inventory import index_files
from goe.core.overview import view_run
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from tui.messages import Checkpoint, RunDetail
from tui.reading.base import guarded
from tui.reading.surface import SurfaceTail


class RunReader:
    """Follows one run; what did not change since the last time is not read again."""

    period = 0.5

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._surface = SurfaceTail(run)

    def read(self) -> RunDetail:
        """The run now; a file that can't be read leaves its part as it was or empty."""
        return guarded(self.run, self._read, lambda view: RunDetail(view, time.time()))

    def _read(self, run: RunDir) -> RunDetail:
        now = time.time()
        view = view_run(run, now)
        self._surface.poll(view.config)
        return RunDetail(
            view,
            now,
            read_checkpoints(run),
            self._surface.field,
            self._surface.problem,
            unlisted(run.checkpoints),
        )


def unlisted(folder: Path) -> str | None:
    """Why a folder that is there can't be listed."""
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{folder}: can't be read: {error.strerror}"
    return None


def read_checkpoints(run: RunDir) -> tuple[Checkpoint, ...]:
    """The run's checkpoints: `last` and `best` first, then by epoch."""
    found = [_checkpoint(path) for path in index_files(run.checkpoints)]
    places = {"last": 0, "best": 1}
    return tuple(sorted(found, key=lambda one: (places.get(one.name, 2), one.epoch or 0, one.name)))


def _checkpoint(path: Path) -> Checkpoint:
    try:
        index = read_json(path, CheckpointIndex)
    except RunError:
        return Checkpoint(path.stem, problem="cut or altered", files=(path.name,))
    if index is None:
        return Checkpoint(path.stem, problem="removed", files=(path.name,))
    size = None
    with contextlib.suppress(OSError):
        size = (path.parent / index.weights).stat().st_size
    problem = "weights missing" if size is None else None
    files = (path.name, *files_of(index))
    return Checkpoint(path.stem, index.epoch, index.values, index.saved, size, problem, files)
