"""What every way of starting a run has in common."""

from collections.abc import Sequence
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


class Places(Protocol):
    """Where the runs of a queue may be started, and how many. `live`: every live run of the folder."""

    def take(self, options: JobOptions, live: Sequence[RunView]) -> Slot | None:
        """A free place for a run queued like this, or None if it has to wait."""

    def why(self, options: JobOptions, live: Sequence[RunView]) -> str:
        """What such a run waits for, in words; empty if it needn't."""

    def problem(self, options: JobOptions) -> str | None:
        """Why there can never be a place for such a run; None if there can."""


class Launcher(Protocol):
    """Starts and stops runs somewhere. How a run fares is read from its directory, whoever started it."""

    def launch(self, run: RunDir, slot: Slot, *, attempt: int) -> bool:
        """Start `attempt` of `run` and return once it is claimed.

        False if somebody else claimed it first, which is no error. Raises LaunchError if nothing could be started.
        """

    def stop(self, run: RunDir, *, force: bool = False) -> None:
        """Ask the run to end after its current step; with `force`, end its processes."""
