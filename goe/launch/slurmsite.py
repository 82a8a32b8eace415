"""A cluster as the place where a queue's runs are: what its turns ask of Slurm, and how they wait for it."""

from collections.abc import Iterable
from pathlib import Path

from goe.core.overview import RunView
from goe.launch.slurmclient import UnansweredError
from goe.launch.slurmwatch import SlurmWatch

TURN_S = 10.0
"""Between two turns at most: each looks at all live runs, which is work for a file server that others share."""


class SlurmSite:
    """The cluster, as far as the runs of one folder are concerned."""

    name = "Slurm"
    look_s = 15.0

    def __init__(self, runs: Path) -> None:
        self._watch = SlurmWatch(runs)

    @property
    def problem(self) -> str:
        """Why Slurm could not be asked the last time; empty if it could."""
        return self._watch.problem

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
        """Leave a Slurm alone for a while that doesn't answer, or that takes no more at the moment."""
        if not isinstance(error, UnansweredError):
            return False
        self._watch.back_off(str(error))
        return True

    def leave(self, views: Iterable[RunView]) -> None:
        """Leave nothing behind of jobs that are over."""
        self._watch.leave(views)
