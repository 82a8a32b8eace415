"""Runs paused, continued, held, released and cancelled by hand; each function says in words what it did.

Whatever outlives the caller is a file in the run's directory: `held` keeps queues from starting it, `paused` says that
its worker is halted, `stop` asks it to end.
"""

import signal
import time
from collections.abc import Callable, Sequence

from goe.core.errors import RunError
from goe.core.overview import RunView, view_run
from goe.core.process import ProcessId, is_alive, is_halted
from goe.core.report import ended_by, state_label
from goe.core.rundir import Attempt, RunDir
from goe.core.state import RunState
from goe.launch.detached import queue_process
from goe.launch.family import end_family, signal_family
from goe.launch.launchers import end_job, is_job, stop
from goe.launch.local import continue_worker
from goe.launch.supervisor import GRACE_S

POLL_S = 0.1
CLAIM_S = 1.0
"""From a queue's decision to start a run until its attempt is there to be seen, at most."""
STUCK_S = GRACE_S + 15.0
"""After SIGTERM, when a supervisor that works would long have killed the worker and said so."""


def pause(run: RunDir) -> str:
    """Halt the worker's process group (SIGSTOP). Raises RunError where that can't be done from here."""
    view = view_run(run)
    if view.state is RunState.PAUSED:
        return "is paused already"
    if view.state not in {RunState.STARTING, RunState.RUNNING}:
        raise RunError(
            f"{run.run_id}: is {view.state}; only a run at work is paused, `goe cancel` holds one that waits"
        )
    attempt, worker = _worker(view)
    attempt.paused_file.touch()  # before the signal: whoever sees it halted sees why
    try:
        signal_family(worker.pid, attempt, signal.SIGSTOP)
    except OSError as error:
        attempt.paused_file.unlink(missing_ok=True)
        raise RunError(f"{run.run_id}: can't be paused: {error.strerror}; `goe show {run.run_id}` says more") from None
    return "paused; its memory, also GPU memory, and its slot stay taken; `goe resume` continues it"


def release_memory(run: RunDir) -> str:
    """Let the run end and be held: what `goe pause --release` does."""
    view = view_run(run)
    if view.state is RunState.DONE:
        return "is done; nothing to pause"
    hold(run)
    if not view.is_live:
        return "is not running; held: no queue starts it until `goe resume`"
    stop(run)
    return "ends after its current step and frees its memory; held until `goe resume`, then its last whole epoch stands"


def resume(run: RunDir) -> str:
    """Continue a paused run, and let queues start a held one. Raises RunError where that can't be done from here."""
    view = view_run(run)
    said = []
    if view.state is RunState.PAUSED or (view.is_live and _halted_by_hand(view)):
        attempt, worker = _worker(view)
        continue_worker(attempt, worker)
        said.append("continued")
    if run.held:
        run.held_file.unlink(missing_ok=True)
        said.append("ends first, as it was asked to" if view.state is RunState.STOPPING else "released")
    return ", ".join(said) or f"is {view.state}: neither paused nor held"


def hold(run: RunDir) -> None:
    """Keep queues from starting the run."""
    run.held_file.touch()


def retry(run: RunDir) -> str:
    """Let a queue start the run again, its automatic retries counted anew. Raises RunError for what can't be."""
    view = view_run(run)
    if view.state is RunState.BROKEN:
        raise RunError(str(view.problem))
    if view.state is RunState.DONE or (view.is_live and not view.held):
        return f"is {view.state}; nothing to retry"
    attempt = run.attempt()
    if attempt is not None and not view.is_live:
        attempt.retry_file.touch()
    run.held_file.unlink(missing_ok=True)
    if view.is_live:
        return f"is {view.state}; released: a queue may start it again when it has ended"
    after = view_run(run)
    if not after.needs_start:
        return f"is {after.state}: {after.problem}"
    return "may be started again, its retries counted anew"


def cancel(runs: Sequence[RunDir], grace: float, say: Callable[[RunDir, str], None]) -> bool:
    """End runs whatever their state, and hold them; True if each has come to its end or needed none.

    A live one is asked to stop, has `grace` seconds, then gets SIGTERM and 10 s later SIGKILL, each to the whole
    process group by its supervisor, which records the true exit. Interrupted, the requests stand.
    """
    _hold_all(runs)
    asked = [run for run in runs if _begin(run, say)]
    left = _until_ended(asked, grace, say)
    for run in left:
        say(run, f"did not stop within {grace:g} s; ending its processes")
        stop(run, force=True)
    left = _until_ended(left, STUCK_S, say)
    for run in left:
        attempt = run.attempt()
        if not end_job(view_run(run)) and attempt is not None:  # a supervisor that is itself halted or stuck
            launch = attempt.launch()
            end_family(launch.worker.pid if launch.worker and is_alive(launch.worker) else None, attempt)
    left = _until_ended(left, STUCK_S, say)
    for run in left:
        view = view_run(run)
        job = view.job.job if view.job is not None and is_job(view) else None
        where = "the kernel doesn't let go of its processes; look at them with ps"
        say(run, f"has not ended: {f'look at its job with `squeue -j {job}`' if job else where}")
    return not left and all(_over(run) for run in runs if run not in asked)


def _hold_all(runs: Sequence[RunDir]) -> None:
    """Hold what is not done; then give a queue that was just about to start one of them the time to show it."""
    views = [view_run(run) for run in runs]
    for view in views:
        if view.is_live or view.state not in {RunState.DONE, RunState.BROKEN}:
            hold(view.run)
    if any(view.needs_start and queue_process(view.run.path.parent) for view in views):
        time.sleep(CLAIM_S)


def _begin(run: RunDir, say: Callable[[RunDir, str], None]) -> bool:
    """Hold the run and ask it to stop; whether there is an end to wait for."""
    view = view_run(run)
    if view.state is RunState.DONE:
        say(run, "is done; nothing to cancel")
        return False
    if view.state is RunState.BROKEN and not view.is_live:
        say(run, f"can't be cancelled: {view.problem}")
        return False
    host = view.launch.supervisor.host if view.launch else ""
    here = view.launch is None or is_alive(view.launch.supervisor) is not None or is_job(view)
    if view.is_live:
        stop(run)
        say(run, "asked to stop; held" if here else f"asked to stop; held; only on {host} can it be forced to end")
        return here
    if view.state is RunState.LOST and not here:
        say(run, f"held; whether it lives on {host} can't be seen from here: end its processes there")
        return False
    attempt = run.attempt()
    if attempt is not None:  # a lost run's children may live on
        end_family(None, attempt)
    say(run, f"is {view.state}; held: no queue starts it until `goe retry`")
    return False


def _until_ended(runs: Sequence[RunDir], seconds: float, say: Callable[[RunDir, str], None]) -> list[RunDir]:
    """Wait for the runs' ends and say each; those that have not ended after `seconds`."""
    left = list(runs)
    deadline = time.monotonic() + seconds
    while True:
        for run in list(left):
            view = view_run(run)
            if not view.is_live:
                left.remove(run)
                say(run, f"{state_label(view.state)}: {ended_by(view) or view.problem}")
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))


def _over(run: RunDir) -> bool:
    view = view_run(run)
    if view.state is RunState.LOST:
        return view.launch is not None and is_alive(view.launch.supervisor) is not None
    return not view.is_live and view.state is not RunState.BROKEN


def _worker(view: RunView) -> tuple[Attempt, ProcessId]:
    """The live worker of a run of this host."""
    attempt, launch = view.run.attempt(), view.launch
    if attempt is None or launch is None or launch.worker is None:
        raise RunError(f"{view.run_id}: is {view.state} and has no worker yet; try again in a moment")
    alive = is_alive(launch.worker)
    if alive is None:
        raise RunError(f"{view.run_id}: runs on {launch.worker.host}; pause and continue it there")
    if not alive:
        raise RunError(f"{view.run_id}: its worker has just ended; `goe show {view.run_id}` says how")
    return attempt, launch.worker


def _halted_by_hand(view: RunView) -> bool:
    worker = view.launch.worker if view.launch else None
    return worker is not None and is_halted(worker) is True
