"""A run trained by several processes: the worker that starts them with torchrun and ends as they do, and each of them.

    supervisor ─► python -m goe.worker train RUN, with torch's elastic agent ─► python -m goe.worker rank RUN … as ranks

Rank 0 is what a worker is otherwise: it has the journal, writes checkpoints and in the end evaluates, alone. The worker
above it only waits. A rank that dies ends the others, and the worker ends as the first of them to fail has: with its
exit code or by its signal, its words in `status.json`.
"""

import contextlib
import logging
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import msgspec
import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from goe.core.config import RunConfig
from goe.core.errors import EXIT_BUG, EXIT_OK, EXIT_STOPPED, EXIT_USER, GoeError, RunError, UserError
from goe.core.jobs import too_many
from goe.core.records import Launch, Status
from goe.core.rundir import Attempt, RunDir, write_json
from goe.parallel import EXIT_LOST, TERMINATED


class RankFailureError(GoeError):
    """A rank failed, and with it the run."""

    def __init__(self, message: str, code: int) -> None:
        """`code` is the rank's exit code, or less than 0 for a signal."""
        self.code: int = code
        super().__init__(message)


def lead(run: RunDir, attempt: Attempt, terminated: Collection[int]) -> int:
    """Have the attempt's ranks train `run`; the exit code to end with. Ends by the signal that ended a rank.

    `terminated` are the SIGTERMs that came before.
    """
    launch = attempt.launch()
    try:
        check(run.config(), launch.processes)
        with tempfile.TemporaryDirectory(prefix="goe-ranks-") as folder:
            told = Path(folder) / "terminated"
            signal.signal(signal.SIGTERM, lambda *_: _touch(told))
            if terminated:
                _touch(told)
            os.environ |= rank_environment(launch, os.environ) | {TERMINATED: str(told)}
            _through_failures(run, attempt, launch, Path(folder))
    except RankFailureError as failure:
        _last_word(attempt, run, failure)
        if failure.code < 0:
            _end_by(-failure.code)
        return max(failure.code, EXIT_BUG)
    except UserError as error:
        _last_word(attempt, run, RankFailureError(str(error), EXIT_USER))
        return EXIT_USER
    return EXIT_OK


def check(config: RunConfig, processes: int) -> None:
    """Raise UserError where so many processes can't train the run here."""
    found = too_many(config, processes)
    if found:
        raise UserError(f"processes: {found}")
    there = torch.cuda.device_count() if config.device != "cpu" else 0
    if 0 < there < processes:
        raise UserError(
            f"device: {processes} processes and {there} GPUs that torch sees; use as many as there are GPUs"
        )


def rank_environment(launch: Launch, base: Mapping[str, str]) -> dict[str, str]:
    """What the ranks' environment has beside the worker's `base`: a share of its threads; talk within the machine."""
    named = base.get("OMP_NUM_THREADS", "")
    given = launch.threads or (int(named) if named.isdecimal() else os.cpu_count() or 1)
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {
        "OMP_NUM_THREADS": str(max(1, given // launch.processes)),
        "GLOO_SOCKET_IFNAME": base.get("GLOO_SOCKET_IFNAME", loopback),
        "NCCL_SOCKET_IFNAME": base.get("NCCL_SOCKET_IFNAME", loopback),
        "TORCH_NCCL_ENABLE_MONITORING": "0",  # it would take a run that was paused for one that hangs
    }


def _through_failures(run: RunDir, attempt: Attempt, launch: Launch, folder: Path) -> None:
    """Start the ranks, and anew when one dies, as often as `launch.restarts` allows."""
    # torch's own max_restarts would also start those again that were asked to stop, or whose loss is NaN.
    for left in reversed(range(launch.restarts + 1)):
        try:
            _start(run, attempt, launch.processes, folder)
        except RankFailureError as failure:
            if not left or not _may_pass(failure) or attempt.stop_requested or (folder / "terminated").exists():
                raise
            print(f"warning: {failure}; all are started anew from the last checkpoint, {left} times at most")  # noqa: T201
        else:
            return


def _may_pass(failure: RankFailureError) -> bool:
    """Whether the failure may be none the next time."""
    return failure.code < 0 or failure.code == EXIT_BUG


def _start(run: RunDir, attempt: Attempt, processes: int, folder: Path) -> None:
    """Raises RankFailureError once one has failed and all have ended."""
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # what it has to say of failures is told below
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
        run_id=run.run_id,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",  # the kernel chooses a port that is free
        max_restarts=0,
        local_addr="127.0.0.1",
    )
    command = ("-P", "-m", "goe.worker", "rank", str(run.path), str(attempt.number))
    failures = _in_a_thread(lambda: elastic_launch(config, sys.executable)(*command))
    if failures:
        raise verdict(failures)


def _in_a_thread(launch: Callable[[], object]) -> list[ProcessFailure]:
    """The failures of ranks. In the main thread the agent would have SIGTERM for itself and end the ranks at once."""
    failures: list[ProcessFailure] = []
    others: list[BaseException] = []

    def work() -> None:
        try:
            launch()
        except ChildFailedError as error:
            failures.extend(error.failures.values())
        except BaseException as error:  # noqa: BLE001 -- raised again where it was asked for
            others.append(error)

    thread = threading.Thread(target=work, name="agent")
    thread.start()
    thread.join()
    if others:
        raise others[0]
    return failures


def verdict(failures: Iterable[ProcessFailure]) -> RankFailureError:
    """The failure that brought the others about: a rank's own words, else a signal, else an end without a word.

    SIGTERM comes last: the agent sends it to the ranks that are left.
    """

    def order(failure: ProcessFailure) -> tuple[int, float, int]:
        worded = failure.exitcode > EXIT_BUG and failure.exitcode != EXIT_LOST
        kinds = {-signal.SIGTERM: 4, EXIT_LOST: 3, EXIT_BUG: 2}
        kind = 0 if worded else kinds.get(failure.exitcode, 1)
        return kind, failure.timestamp, failure.local_rank

    first = min(failures, key=order)
    if first.exitcode < 0:
        return RankFailureError(f"rank {first.local_rank} ended by {first.signal_name()}", first.exitcode)
    if first.exitcode == EXIT_LOST:
        return RankFailureError(f"rank {first.local_rank} {first.message}", EXIT_BUG)
    said = first.message if Path(first.error_file).is_file() else f"rank {first.local_rank} ended without a word"
    return RankFailureError(said, first.exitcode)


def _last_word(attempt: Attempt, run: RunDir, failure: RankFailureError) -> None:
    """What rank 0 would have written, unless it has."""
    with contextlib.suppress(OSError, RunError):
        known = attempt.status() or Status(phase="starting", epochs=run.config().epochs, updated=time.time())
        if failure.code == EXIT_STOPPED or known.error == str(failure):
            return
        if failure.code < 0 or known.phase != "failed":
            print(f"error: {failure}", file=sys.stderr)  # noqa: T201
        word = msgspec.structs.replace(known, phase="failed", error=str(failure), updated=time.time())
        write_json(attempt.status_file, word, durable=False)


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.touch()


def _end_by(number: int) -> None:
    """End as a rank has: by the same signal, without a core of our own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
