"""What state a run is in, derived from its files and never stored, so that it can't go stale."""

from enum import StrEnum

from goe.core.errors import EXIT_OK, EXIT_STOPPED
from goe.core.records import Exit, Launch, Status

HEARTBEAT_TIMEOUT_S = 900.0
"""A worker of another host, which can't be asked whether it lives, is taken for lost after this silence."""


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    PENDING = "pending"
    """Submitted to a cluster, which has yet to start it."""
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    """Its worker's processes are halted; they keep their memory, also the GPU's, and their slot."""
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"
    """Its supervisor was killed with it or before it, so nobody knows its exit code; nor did it say it was finished."""
    BROKEN = "broken"
    """Its files can't be read."""

    @property
    def moves(self) -> bool:
        """Whether the run makes headway, so that its speed and the time left mean something."""
        return self in {RunState.STARTING, RunState.RUNNING, RunState.STOPPING}

    @property
    def is_live(self) -> bool:
        """Whether processes of the run may be alive, or come to be without a queue's doing."""
        return self in {RunState.PENDING, RunState.STARTING, RunState.RUNNING, RunState.PAUSED, RunState.STOPPING}


def derive_state(
    launch: Launch | None,
    *,
    alive: bool | None,
    status: Status | None,
    exit_: Exit | None,
    stop: bool,
    now: float,
    paused: bool = False,
) -> RunState:
    """The state of a run's newest attempt.

    `alive` tells of the supervisor or the worker, by pid and start time; None when they belong to another host. It
    must have been read before `exit_`, because a supervisor writes that before it ends. A worker whose supervisor was
    killed goes on; its `finished`, the last thing it writes, then stands for the exit code that nobody learnt. With a
    clock that jumped back, silence seems shorter and a worker elsewhere lives on; nothing is taken for dead by it.
    `paused` tells of the worker; a paused one can't beat, so its silence means nothing, and can't heed a request to
    stop.
    """
    if launch is None:
        return RunState.QUEUED
    if exit_ is not None:
        return _ended(exit_, stop=stop)
    if alive is not True and status is not None and status.phase == "finished":
        return RunState.DONE
    if alive is None:
        heard = max(launch.started, status.updated if status else 0.0)
        alive = paused or now - heard < HEARTBEAT_TIMEOUT_S
    if not alive:
        return RunState.LOST
    if paused:
        return RunState.PAUSED
    if stop:
        return RunState.STOPPING
    return RunState.STARTING if status is None or status.phase == "starting" else RunState.RUNNING


def _ended(exit_: Exit, *, stop: bool) -> RunState:
    if exit_.code == EXIT_OK:
        return RunState.DONE
    if exit_.cause:
        return RunState.LOST if exit_.cause == "lost" else RunState.FAILED
    if exit_.code == EXIT_STOPPED or (stop and exit_.signal is not None):
        return RunState.STOPPED
    return RunState.FAILED
