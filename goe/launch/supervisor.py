"""The process that starts a run's worker, waits for it, and writes down how it ended.

    python -m goe.launch.supervisor RUNDIR ATTEMPT LAUNCHER GPUS THREADS

It lives in a session of its own, so neither the queue's death nor a closed terminal reaches it, and it does nothing
else, so there is little to make it fail. Only a parent learns a process's true exit code; this is that parent.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from goe.core.process import identify, myself
from goe.core.records import Exit, Launch
from goe.core.rundir import RunDir, write_json

GRACE_S = 10
"""Between SIGTERM and SIGKILL."""
RETRY_S = 2.0
"""Between tries to write on a full disk: who the worker is and how it ended is known nowhere else."""


def main(argv: Sequence[str]) -> int:
    """Claim the attempt, run the worker to its end, record it. 0 also when somebody else has the attempt."""
    path, attempt, launcher, gpus, threads = argv
    launch = Launch(
        attempt=int(attempt),
        launcher=launcher,
        supervisor=myself(),
        gpus=tuple(int(gpu) for gpu in gpus.split(",") if gpu),
        threads=int(threads) if threads else None,
        started=time.time(),
    )
    supervise(RunDir(Path(path)), launch)
    return 0


def supervise(run: RunDir, launch: Launch) -> None:
    """Do the supervisor's work for one attempt."""
    claimed = run.claim(launch)
    if claimed is None:
        return
    with run.log_file.open("ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "goe.worker", "train", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=worker_env(os.environ, launch),
            start_new_session=True,
        )
    # After the worker's start, or it would inherit them; the session of its own already keeps the terminal's away.
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _terminate(worker.pid))
    signal.signal(signal.SIGALRM, lambda *_: _signal_group(worker.pid, signal.SIGKILL))
    # The worker waits until it finds itself in this file, so no worker ever trains unrecorded.
    recorded = msgspec.structs.replace(launch, worker=identify(worker.pid))
    _until_written(lambda: write_json(claimed.launch_file, recorded))
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(0)
    _signal_group(worker.pid, signal.SIGKILL)  # whatever the worker left behind
    ended = Exit(
        code=worker.returncode if worker.returncode >= 0 else None,
        signal=-worker.returncode if worker.returncode < 0 else None,
        started=launch.started,
        ended=time.time(),
        peak_memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )
    _until_written(lambda: write_json(claimed.exit_file, ended))


def worker_env(base: Mapping[str, str], launch: Launch) -> dict[str, str]:
    """The worker's environment: its GPUs, numbered as nvidia-smi and NVML number them, and its CPU threads."""
    env = dict(base)
    env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    env["CUDA_VISIBLE_DEVICES"] = ",".join(str(gpu) for gpu in launch.gpus)
    env["PYTHONUNBUFFERED"] = "1"
    if launch.threads:
        env["OMP_NUM_THREADS"] = str(launch.threads)
    return env


def _terminate(worker: int) -> None:
    _signal_group(worker, signal.SIGTERM)
    signal.alarm(GRACE_S)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _until_written(write: Callable[[], None]) -> None:
    while True:
        try:
            return write()
        except OSError:
            time.sleep(RETRY_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
