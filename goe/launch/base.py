"""What every way of starting a run has in common."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from goe.core.errors import GoeError
from goe.core.jobs import JobOptions
from goe.core.overview import RunView
from goe.core.rundir import RunDir


class LaunchError(GoeError):
    """A run could not be started at all."""


class Slot(Struct, frozen=True):
    """The part of a machine one run may use."""

    gpus: tuple[int, ...] = ()
    """GPU numbers in PCI bus order; none means the CPU."""
    threads: int | None = None
    """CPU threads; None leaves the choice to the libraries."""
    gpu_share: float = 1.0
    """Of each GPU, in (0, 1]."""
    gpu_memory: float = 0.0
    """GiB of each GPU that the run is expected to fill; 0 if that is not known."""
    gpu_uuids: tuple[str, ...] = ()
    """What CUDA calls the GPUs, in the order of `gpus`; empty where only their numbers are known."""
    processes: int = 1
    """That train the run together: as many as there are GPUs, or as were asked for."""
    restarts: int = 0
    """How often all of them are started anew when one dies."""


class Start(Struct, frozen=True):
    """A run that is to be started."""

    run: RunDir
    slot: Slot
    attempt: int


class Places(Protocol):
    """Where the runs of a queue may be started, and how many. `live`: every live run of the folder."""

    def take(self, options: JobOptions, live: Sequence[RunView], beside: int = 0) -> Slot | None:
        """A free place for a run queued like this, or None if it has to wait.

        `beside`: how many have places and are to be started together with it.
        """

    def why(self, options: JobOptions, live: Sequence[RunView]) -> str:
        """What such a run waits for, in words; empty if it needn't."""

    def problem(self, options: JobOptions) -> str | None:
        """Why there can never be a place for such a run; None if there can."""


class Launcher(Protocol):
    """Starts and stops runs somewhere. How a run fares is read from its directory, whoever started it."""

    @property
    def most(self) -> int:
        """How many runs with equal slots one call may start."""

    def launch(self, starts: Sequence[Start]) -> list[bool]:
        """Start attempts of runs and return once they are claimed, or sure to be.

        False for one that somebody else claimed first, which is no error. Raises LaunchError if some could not be
        started; the others are live then.
        """

    def stop(self, run: RunDir, *, force: bool = False) -> None:
        """Ask the run to end after its current step; with `force`, end its processes."""


class Site(Protocol):
    """What a queue's turns depend on, of where its runs are."""

    name: str
    look_s: float
    """Between looks at runs that rest; a hold, or a run that somebody else started, is noticed within it."""

    @property
    def problem(self) -> str:
        """Why nothing can be started at the moment; empty if it can."""

    @property
    def full(self) -> str:
        """Why not even one more can be started at the moment, though all is well; empty if it can."""

    def pause(self, live: int) -> float:
        """Seconds between turns while so many runs are live."""

    def ask(self, views: Iterable[RunView]) -> bool:
        """See what became of the runs where their folders don't say it; whether something may have changed there."""

    def started(self) -> None:
        """Runs were started."""

    def puts_off(self, error: Exception) -> bool:
        """Whether a start that failed like this may work later; `problem` then says why."""

    def leave(self, views: Iterable[RunView]) -> None:
        """The queue ends."""
