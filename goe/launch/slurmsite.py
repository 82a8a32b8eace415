"""A cluster as the place where a queue's runs are: what its turns ask of Slurm, and how they wait for it."""

import time
from collections.abc import Iterable
from pathlib import Path

from goe.core.overview import RunView
from goe.launch.slurmclient import CrowdedError, UnansweredError
from goe.launch.slurmwatch import SlurmWatch

TURN_S = 10.0
"""Between two turns at most: each looks at all live runs, which is work for a file server that others share."""
FULL_S = 60.0
"""Between two tries where Slurm takes not even one more job."""


class SlurmSite:
    """The cluster, as far as the runs of one folder are concerned."""

    name = "Slurm"
    look_s = 15.0

    def __init__(self, runs: Path) -> None:
        self._watch = SlurmWatch(runs)
        self._full, self._again = "", 0.0

    @property
    def problem(self) -> str:
        """Why Slurm could not be asked the last time; empty if it could."""
        return self._watch.problem

    @property
    def full(self) -> str:
        """Why Slurm takes no more jobs; empty as soon as another may be tried."""
        return self._full if time.monotonic() < self._again else ""

    def pause(self, live: int) -> float:
        """The longer, the more there is to look at."""
        return min(TURN_S, max(1.0, live / 100))

    def ask(self, views: Iterable[RunView]) -> bool:
        """Ask Slurm if it is time to; whether it answered."""
        return self._watch.poll(views)

    def started(self) -> None:
        """Something was submitted: ask soon."""
        self._watch.hurry()

    def puts_off(self, error: Exception) -> bool:
        """Leave a Slurm alone for a while that doesn't answer; submit less, and later, where it takes no more."""
        if isinstance(error, CrowdedError):
            if error.jobs == 1:  # else fewer may still be taken
                self._full = f"{error}; lower max-jobs to what the cluster allows"
                self._again = time.monotonic() + FULL_S
            return True
        if not isinstance(error, UnansweredError):
            return False
        self._watch.back_off(str(error))
        return True

    def leave(self, views: Iterable[RunView]) -> None:
        """Leave nothing behind of jobs that are over."""
        self._watch.leave(views)
