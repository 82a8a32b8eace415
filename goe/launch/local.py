"""Runs as processes of this machine, each under a supervisor of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

import msgspec

from goe.core.process import ProcessId, is_alive
from goe.core.rundir import RunDir
from goe.launch.base import LaunchError, Slot

CLAIM_TIMEOUT_S = 30.0
_POLL_S = 0.01


class LocalLauncher:
    """Starts supervisors that outlive the caller."""

    name = "local"

    def launch(self, run: RunDir, slot: Slot, *, attempt: int) -> bool:
        """Start a supervisor and wait until the attempt is claimed, by it or by somebody else's."""
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
        """Leave a stop request; with `force` also end the worker's processes, through its supervisor if it lives."""
        attempt = run.attempt()
        if attempt is None:
            return
        attempt.request_stop()
        if not force:
            return
        launch = attempt.launch()
        if is_alive(launch.supervisor):
            _send(launch.supervisor, signal.SIGTERM)
        elif launch.worker and is_alive(launch.worker):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(launch.worker.pid, signal.SIGKILL)


children: list[subprocess.Popen[bytes]] = []
"""What this process started and did not bury yet."""


def reap() -> None:
    """Collect children that ended, so that none stays a zombie while a queue runs for weeks."""
    children[:] = [child for child in children if child.poll() is None]


def _send(process: ProcessId, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
