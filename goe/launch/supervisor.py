"""The process that starts a run's worker, waits for it, and writes down how it ended.

    python -m goe.launch.supervisor RUNDIR ATTEMPT LAUNCHER SLOT

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

from goe.core.cause import KERNEL_KILLED, cause_of
from goe.core.errors import EXIT_OK, EXIT_STOPPED, RunError
from goe.core.process import identify, myself
from goe.core.records import Exit, Launch
from goe.core.rundir import Attempt, RunDir, write_json
from goe.launch.base import Slot
from goe.launch.family import MARK, end_family, mark_of, signal_group
from goe.launch.oomkills import oom_kills

GRACE_S = 10
"""Between SIGTERM and SIGKILL."""
RETRY_S = 2.0
"""Between tries to write on a full disk: who the worker is and how it ended is known nowhere else."""
LOG_TAIL = 1 << 16
"""Bytes at the end of the log in which the cause of a failure is looked for."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Never set by anybody, and goes on while the machine sleeps."""


def main(argv: Sequence[str]) -> int:
    """Claim the attempt, run the worker to its end, record it. 0 also when somebody else has the attempt."""
    path, attempt, launcher, given = argv
    slot = msgspec.json.decode(given, type=Slot)
    launch = Launch(
        attempt=int(attempt),
        launcher=launcher,
        supervisor=myself(),
        gpus=slot.gpus,
        gpu_share=slot.gpu_share,
        gpu_memory=slot.gpu_memory,
        gpu_uuids=slot.gpu_uuids,
        threads=slot.threads,
        processes=slot.processes,
        restarts=slot.restarts,
        started=time.time(),
    )
    supervise(RunDir(Path(path)), launch)
    return 0


def supervise(run: RunDir, launch: Launch, claimed_it: Callable[[], None] = lambda: None) -> Exit | None:
    """Do the supervisor's work for one attempt; how it ended, None if somebody else has it.

    `claimed_it` is called when the attempt is there and before its worker is.
    """
    begun, kills = time.clock_gettime(_CLOCK), oom_kills()
    claimed = run.claim(launch)
    if claimed is None:
        return None
    claimed_it()
    _end_left_behind(run, launch.attempt - 1)
    worker, log_start = _start(run, launch, claimed)
    told = _listen(worker.pid)
    # The worker waits until it finds itself in this file, so no worker ever trains unrecorded.
    recorded = msgspec.structs.replace(launch, worker=identify(worker.pid), log_start=log_start)
    _until_written(lambda: write_json(claimed.launch_file, recorded))
    _, status, usage = os.wait4(worker.pid, 0)
    returned = worker.returncode = os.waitstatus_to_exitcode(status)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(0)
    end_family(worker.pid, claimed)  # whatever the worker left behind
    if returned == -signal.SIGKILL and not told and (oom_kills() or 0) > (kills or 0):
        _note(run, KERNEL_KILLED)
    ended = Exit(
        code=returned if returned >= 0 else None,
        signal=-returned if returned < 0 else None,
        started=launch.started,
        ended=launch.started + time.clock_gettime(_CLOCK) - begun,
        peak_memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        # A kill after the grace that a SIGTERM began is that SIGTERM's work.
        cause=_cause(run, claimed, -signal.SIGTERM if told and returned < 0 else returned, log_start),
    )
    _until_written(lambda: write_json(claimed.exit_file, ended))
    return ended


def _end_left_behind(run: RunDir, before: int) -> None:
    """Kill what is left of an attempt whose supervisor died before it could do that, so that no one keeps its GPU."""
    if before and not run.numbered(before).exit_file.exists():
        end_family(None, run.numbered(before))


def _start(run: RunDir, launch: Launch, claimed: Attempt) -> tuple[subprocess.Popen[bytes], int]:
    """The worker, and where in `train.log` its words begin."""
    with run.log_file.open("ab") as log:
        log_start = log.tell()
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "goe.worker", "train", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=worker_env(os.environ, launch) | {MARK: mark_of(claimed)},
            start_new_session=True,
        )
        return worker, log_start


def _listen(worker: int) -> list[int]:
    """Pass a SIGTERM on to the worker, and kill it if it takes too long. What was received is in the list."""
    # After the worker's start, or it would inherit them; the session of its own already keeps the terminal's away.
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    told: list[int] = []

    def terminate(number: int, _: object) -> None:
        told.append(number)
        _terminate(worker)

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGALRM, lambda *_: signal_group(worker, signal.SIGKILL))
    return told


def _cause(run: RunDir, attempt: Attempt, returned: int, log_start: int) -> str:
    """Why it failed, from the return code as `subprocess` has it; nothing for success and what was asked for."""
    asked = attempt.stop_requested and (returned == EXIT_STOPPED or returned < 0)
    if returned == EXIT_OK or asked:
        return ""
    error = None
    with contextlib.suppress(RunError):
        status = attempt.status()
        error = status.error if status is not None else None
    code, number = (returned, None) if returned >= 0 else (None, -returned)
    return cause_of(code, number, log_tail(run.log_file, log_start), error)


def log_tail(path: Path, start: int) -> str:
    """What stands in `path` from byte `start` on, its last LOG_TAIL bytes; nothing if it can't be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - LOG_TAIL))
            return file.read(LOG_TAIL).decode(errors="replace")
    except OSError:
        return ""


def _note(run: RunDir, text: str) -> None:
    with contextlib.suppress(OSError), run.log_file.open("a", encoding="utf-8") as log:
        print(text, file=log)


def worker_env(base: Mapping[str, str], launch: Launch) -> dict[str, str]:
    """The worker's environment: its GPUs, by UUID, as NVML numbers them or as Slurm gave them, and its CPU threads."""
    env = dict(base)
    if launch.job:  # Slurm numbers the GPUs that it gives, and sets this wherever it gives any
        env.setdefault("CUDA_VISIBLE_DEVICES", "")
    else:
        env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        env["CUDA_VISIBLE_DEVICES"] = ",".join(launch.gpu_uuids or map(str, launch.gpus))
    env["PYTHONUNBUFFERED"] = "1"
    if launch.threads:
        env["OMP_NUM_THREADS"] = str(launch.threads)
    return env


def _terminate(worker: int) -> None:
    signal_group(worker, signal.SIGTERM)
    signal.alarm(GRACE_S)


def _until_written(write: Callable[[], None]) -> None:
    while True:
        try:
            return write()
        except OSError:
            time.sleep(RETRY_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
