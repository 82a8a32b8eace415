"""Runs as lists and screens show them: one read of a run's small files, which never raises."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from goe.core.config import RunConfig
from goe.core.errors import RunError
from goe.core.process import is_alive, is_halted
from goe.core.records import Exit, Launch, Status
from goe.core.rundir import Attempt, RunDir, find_runs
from goe.core.slurm import SlurmJob
from goe.core.state import HEARTBEAT_TIMEOUT_S, RunState, derive_state

T = TypeVar("T")


class RunView(Struct, frozen=True):
    """What is known of a run at one moment."""

    run: RunDir
    state: RunState
    config: RunConfig | None = None
    attempt: int = 0
    launch: Launch | None = None
    status: Status | None = None
    exit: Exit | None = None
    problem: str | None = None
    """One message, when the run failed or its files can't be read."""
    held: bool = False
    """No queue starts it."""
    lives: bool = False
    """BROKEN: its processes are alive all the same, as far as its launch record tells."""
    job: SlurmJob | None = None
    """The job last submitted for it."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def is_live(self) -> bool:
        """Whether processes of the run may be alive, also where its files can't be read."""
        return self.state.is_live or self.lives

    def value(self, name: str) -> float | None:
        """The newest value of a metric."""
        return self.status.values.get(name) if self.status else None

    @property
    def needs_start(self) -> bool:
        """Whether a queue should start it: not done, not held, not alive, and surely not alive on another host."""
        if self.held:
            return False
        if self.state is RunState.LOST:
            return self.exit is not None or (self.launch is not None and _alive(self.launch) is False)
        return self.state in {RunState.QUEUED, RunState.STOPPED, RunState.FAILED}


def view_run(
    run: RunDir, now: float | None = None, read_config: Callable[[RunDir], RunConfig] = RunDir.config
) -> RunView:
    """Read one run. Damage of any kind becomes state `broken` with its message; other runs are unaffected."""
    config, unread = _tried(lambda: read_config(run))
    try:
        return _broken(_view(run, config, time.time() if now is None else now), unread)
    except (RunError, OSError) as error:
        return RunView(run, RunState.BROKEN, problem=unread or str(error))


def view_runs(runs: Path) -> list[RunView]:
    """Every run under `runs`."""
    now = time.time()
    return [view_run(run, now) for run in find_runs(runs)]


def _view(run: RunDir, config: RunConfig | None, now: float) -> RunView:
    job, damage = _tried(run.job)  # only news: the queue asks Slurm itself
    attempt = run.attempt()
    if attempt is None:
        state = _awaited(job) if job is not None and not job.over else RunState.QUEUED
        return RunView(run, state, config, problem=damage, held=run.held, job=job)
    launch = attempt.launch()
    alive = _alive(launch)  # before exit.json: see derive_state
    exit_, unread = _tried(attempt.exit)
    status, no_beat = _tried(attempt.status)  # only a heartbeat: the state does not hang on it
    stop, paused = attempt.stop_requested, _paused(attempt, launch)
    if alive is None and job is not None:
        alive = _at_work(job, launch, now)
    state = derive_state(launch, alive=alive, status=status, exit_=exit_, stop=stop, now=now, paused=paused)
    if job is not None and _goes_on(job, attempt.number, launch, exit_):
        state = _awaited(job)
    held = run.held
    problem = _problem(state, alive, launch, exit_, status, job, held=held) or no_beat or damage
    view = RunView(run, state, config, attempt.number, launch, status, exit_, problem, held, job=job)
    return _broken(view, unread)


def _tried(read: Callable[[], T | None]) -> tuple[T | None, str | None]:
    """What a file holds, or what is wrong with it."""
    try:
        return read(), None
    except RunError as error:
        return None, str(error)


def _broken(view: RunView, unread: str | None) -> RunView:
    """The view of a run of which a file can't be read: it may be alive, and then keeps its slot."""
    if unread is None or view.state is RunState.BROKEN:
        return view
    lives = view.state.is_live
    alive = f"; its processes live ({view.state}), so first end them with `goe stop` or `goe cancel`, or wait"
    return replace(view, state=RunState.BROKEN, lives=lives, problem=unread + alive if lives else unread)


def _paused(attempt: Attempt, launch: Launch) -> bool:
    """Whether the worker is halted: the marker says so, and the kernel, where it can be asked, agrees."""
    if not attempt.paused or launch.worker is None:
        return False
    alive = is_alive(launch.worker)
    return alive is not False and is_halted(launch.worker) is not False


def _alive(launch: Launch) -> bool | None:
    """Whether the attempt has a living process; None if its host is another one."""
    asked = [is_alive(process) for process in (launch.supervisor, launch.worker) if process is not None]
    return True if True in asked else None if None in asked else False


def _awaited(job: SlurmJob) -> RunState:
    """The state of a run whose next attempt is a job's to make."""
    return RunState.PENDING if job.waits else RunState.STARTING


def _goes_on(job: SlurmJob, attempt: int, launch: Launch, exit_: Exit | None) -> bool:
    """Whether the job has yet to make the attempt after this one, or may: Slurm starts again what it preempted."""
    if job.over:
        return False
    preempted = exit_ is not None and exit_.cause == "preempted"
    return job.attempt > attempt or (launch.job == job.job and preempted)


def _at_work(job: SlurmJob, launch: Launch, now: float) -> bool | None:
    """True if Slurm said not long ago that the attempt's job is at work; else nobody knows."""
    mine = launch.job == job.job and not job.over and not job.waits
    return True if mine and now - job.seen < HEARTBEAT_TIMEOUT_S else None


_RESUMES = "resumes it while it has retries left, `goe retry` gives it new ones"


def _problem(
    state: RunState,
    alive: bool | None,
    launch: Launch,
    exit_: Exit | None,
    status: Status | None,
    job: SlurmJob | None,
    *,
    held: bool,
) -> str | None:
    if exit_ is not None and exit_.said and state in {RunState.FAILED, RunState.LOST}:
        return exit_.said
    if state is RunState.LOST and alive is None:
        return f"no sign of life from {launch.supervisor.host} for a long time; a queue on that machine {_RESUMES}"
    if state is RunState.LOST:
        return f"its processes are gone and left no exit code (killed, or the machine went down); a queue {_RESUMES}"
    if state is not RunState.FAILED or exit_ is None:
        return None
    if status and status.error:
        return status.error
    if exit_.cause == "preempted":
        return _turned_out(launch, job, held=held)
    how = f"signal {exit_.signal}" if exit_.signal else f"exit code {exit_.code}"
    cause = f" ({exit_.cause})" if exit_.cause not in {"", "signal"} else ""
    return f"ended by {how}{cause}; the end of train.log says more"


def _turned_out(launch: Launch, job: SlurmJob | None, *, held: bool) -> str:
    """What is said of an attempt that had to leave its node."""
    cancelled = job is not None and job.job == launch.job and job.state == "CANCELLED"
    how = f"job {launch.job} was cancelled in Slurm" if cancelled else "ended by a SIGTERM that goe did not send"
    return f"preempted: {how}; " + ("held: `goe resume` releases it" if held else f"a queue {_RESUMES}")
