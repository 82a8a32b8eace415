"""Everything the page of one run shows but its curves."""

import contextlib
import os
import time
from pathlib import Path

from msgspec.structs import replace

from goe.core.errors import RunError
from goe.core.integrity import files_of
from goe.core.inventory import index_files
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from goe.core.stamp import Watch
from goe.launch.look import Look
from tui.messages import Checkpoint, RunDetail
from tui.reading.base import guarded
from tui.reading.pace import CALM_S, QUICK_S
from tui.reading.surface import SurfaceTail

AGES_S = 10.0
"""How old what a resting run's page says of ages may be."""
TRUST_S = 30.0
"""Then checkpoints are read again in any case: a file altered in place doesn't change its folder."""


class RunReader:
    """Follows one run; what did not change since the last time is not read again, and no news if nothing did."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._look = Look()
        self._surface = SurfaceTail(run)
        self._watch = Watch(run.checkpoints, TRUST_S)
        self._checkpoints: tuple[Checkpoint, ...] = ()
        self._told: RunDetail | None = None

    @property
    def period(self) -> float:
        """Half a second while it lives."""
        return CALM_S if self._told is not None and not self._told.view.is_live else QUICK_S

    def read(self) -> RunDetail | None:
        """The run now, None where the last word on it stands; a file that can't be read leaves its part as it was."""
        found = guarded(self.run, self._read, lambda view: RunDetail(view, time.time()))
        told = self._told
        if told is None or found.view.is_live or not 0 <= found.read_at - told.read_at < AGES_S:
            told = None
        if told is None or replace(found, read_at=told.read_at) != told:
            self._told = found
            return found
        return None

    def _read(self, run: RunDir) -> RunDetail:
        view = self._look.at(run).view
        self._surface.poll(view.config)
        if self._watch.is_news():
            self._checkpoints = read_checkpoints(run)
            self._watch.was_read()
        return RunDetail(
            view,
            time.time(),
            self._checkpoints,
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
