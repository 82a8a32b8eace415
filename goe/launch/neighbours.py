"""Live runs beside a queue's own in its folder: those of other queues and of `goe train`. They take slots too."""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from goe.core.overview import RunView, view_run
from goe.core.rundir import RunDir
from goe.launch.look import Look


class Neighbours:
    """What else is in the folder."""

    def __init__(self, folder: Path, look: Look) -> None:
        self.live: list[RunView] = []
        self._folder, self._look = folder, look
        self._runs: dict[str, RunDir] = {}

    def refresh(self) -> None:
        """See which of the live ones still are."""
        self.live = [view for view in (view_run(old.run) for old in self.live) if view.is_live]

    def search(self, own: Collection[str]) -> None:
        """See what has come, runs with an id in `own` left out."""
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:  # the queue says so of each of its runs
            names = {entry.name for entry in entries if not entry.name.startswith(".")}.difference(own)
            self._runs = {name: self._runs.get(name) or RunDir(self._folder / name) for name in names}
        views = [self._look.at(run).view for run in self._runs.values()]
        self.live = [view for view in views if view.is_live]
