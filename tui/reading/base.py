"""What every reader is, and the border that keeps one run's damage from the others."""

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from goe.core.overview import RunView
from goe.core.rundir import RunDir
from goe.core.state import RunState
from tui.faults import told

T = TypeVar("T")


class Reader(Protocol):
    """Reads one thing again and again, from the poller's thread."""

    @property
    def period(self) -> float:
        """Seconds between two reads; 0 while there is more to read at once."""

    def read(self) -> object:
        """What there is now, for the screens; None where nothing is new. Never raises for what files hold."""


@runtime_checkable
class Unhurried(Protocol):
    """A reader that looks at some things seldom."""

    def hurry(self) -> None:
        """The next read looks at everything."""


def guarded(run: RunDir, read: Callable[[RunDir], T], broken: Callable[[RunView], T]) -> T:
    """`read(run)`; whatever goes wrong becomes this run's message and never reaches the others."""
    try:
        return read(run)
    except Exception as error:  # noqa: BLE001 - the border between one run and the rest of the dashboard
        fault = f"{run.path}: can't be read: {type(error).__name__}: {error}; `goe runs` shows the others"
        problem = told(error, run.path) if isinstance(error, OSError) else fault
        return broken(RunView(run, RunState.BROKEN, problem=problem))
