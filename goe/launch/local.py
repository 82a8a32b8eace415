"""Runs as processes of this machine, each under a supervisor of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence

import msgspec

from goe.core.errors import RunError
from goe.core.overview import RunView
from goe.core.process import ProcessId, is_alive
from goe.core.records import Launch
from goe.core.rundir import Attempt, RunDir
from goe.launch.base import LaunchError, Slot, Start
from goe.launch.family import end_family, signal_family

CLAIM_TIMEOUT_S = 30.0
WORKER_S = 1.0
"""From a claim until its worker is recorded, at most, on a disk that is not full."""
POLL_S = 0.3
"""Between a queue's turns."""
_POLL_S = 0.01


class LocalLauncher:
    """Starts supervisors that outlive the caller."""

    name = "local"
    most = 1

    def launch(self, starts: Sequence[Start]) -> list[bool]:
        """Start a supervisor for each and wait until the attempt is claimed, by it or by somebody else's."""
        return [self._launch(start.run, start.slot, start.attempt) for start in starts]

    def _launch(self, run: RunDir, slot: Slot, attempt: int) -> bool:
        given = msgspec.json.encode(slot).decode()
        with tempfile.TemporaryFile() as errors:
            supervisor = subprocess.Popen(
                [sys.executable, "-P", "-m", "goe.launch.supervisor", run.path, str(attempt), self.name, given],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            children.append(supervisor)
            deadline = time.monotonic() + CLAIM_TIMEOUT_S
            while run.attempt_count() < attempt:
                if supervisor.poll() not in {None, 0} or time.monotonic() > deadline:
                    errors.seek(0)
                    said = errors.read().decode(errors="replace").strip().splitlines()
                    raise LaunchError(f"{run.run_id}: could not be started: {said[-1] if said else 'no answer'}")
                time.sleep(_POLL_S)
        mine = run.attempt()
        return mine is not None and mine.launch().supervisor.pid == supervisor.pid

    def stop(self, run: RunDir, *, force: bool = False) -> None:
        """Leave a stop request and continue the run if it is paused, so that it can heed it.

        With `force` also end its processes: through the supervisor, if it lives, by SIGTERM and after 10 s SIGKILL.
        """
        attempt = run.attempt()
        if attempt is None:
            return
        attempt.request_stop()
        launch = _with_worker(attempt) if force else attempt.launch()
        if attempt.paused and launch.worker and is_alive(launch.worker):
            continue_worker(attempt, launch.worker)
        if not force:
            return
        if is_alive(launch.supervisor):
            _send(launch.supervisor, signal.SIGTERM)
        elif launch.worker and is_alive(launch.worker):
            end_family(launch.worker.pid, attempt)


class Here:
    """The machine itself, as a queue's site: runs' folders and processes say everything."""

    name = "this machine"
    look_s = 3.0
    problem = ""
    full = ""

    def pause(self, live: int) -> float:  # noqa: ARG002 - processes wake it anyway
        """A moment."""
        return POLL_S

    def ask(self, views: Iterable[RunView]) -> bool:  # noqa: ARG002
        """There is nobody to ask."""
        return False

    def started(self) -> None:
        """Nothing is to be done."""

    def puts_off(self, error: Exception) -> bool:  # noqa: ARG002
        """What can't be started is refused."""
        return False

    def leave(self, views: Iterable[RunView]) -> None:
        """Nothing is left behind."""


def _with_worker(attempt: Attempt) -> Launch:
    """The attempt's launch, once its worker is in it: before, a SIGTERM would end the supervisor and not the worker."""
    deadline = time.monotonic() + WORKER_S
    while True:
        launch = attempt.launch()
        if launch.worker or not is_alive(launch.supervisor) or time.monotonic() > deadline:
            return launch
        time.sleep(_POLL_S)


def continue_worker(attempt: Attempt, worker: ProcessId) -> None:
    """SIGCONT to a live worker's family; the marker goes after it. Raises RunError if it is somebody else's."""
    try:
        signal_family(worker.pid, attempt, signal.SIGCONT)
    except ProcessLookupError:
        pass
    except OSError as error:
        raise RunError(f"{attempt.path}: can't be continued: {error.strerror}; do it as the run's owner") from None
    attempt.paused_file.unlink(missing_ok=True)


children: list[subprocess.Popen[bytes]] = []
"""What this process started and did not bury yet."""


def reap() -> None:
    """Collect children that ended, so that none stays a zombie while a queue runs for weeks."""
    children[:] = [child for child in children if child.poll() is None]


def _send(process: ProcessId, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
