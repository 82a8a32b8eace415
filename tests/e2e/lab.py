"""A folder of its own with a queue file and runs, the real `goe` command in it, and an end to all it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from goe.core.errors import GoeError
from goe.core.overview import RunView, view_run, view_runs
from goe.core.process import is_alive
from goe.core.records import Metric, MetricsTail
from goe.core.rundir import RunDir, find_runs
from goe.core.state import RunState

GOE = Path(sys.executable).with_name("goe")
TIMEOUT_S = 200.0
OWN_VARIABLES = {"GOE_RUNS", "GOE_QUEUE", "GOE_DATA", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONDONTWRITEBYTECODE"}

# The smallest network, 8 steps an epoch.
TINY = """
[defaults]
dataset = "digits"
model = "wrn-10-1"
batch-size = 100
outlier-batch-size = 16
outliers = { size = 64 }
method = "baseline"
epochs = 1
schedule = "multistep"
evaluate = "best"
"""

TINY_OPTIONS = [f"--set={option}" for option in ("batch-size=100", "outlier-batch-size=16", "outliers.size=64")]
"""The same for `goe train`, but for the epochs."""


def wait_until(condition: Callable[[], bool], timeout: float = TIMEOUT_S) -> None:
    """Return once `condition` holds; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not hold within {timeout} s"
        time.sleep(0.02)


class Lab:
    """Runs `goe` in `folder`, on the CPU, one thread a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.started: list[subprocess.Popen[str]] = []
        self.env = {key: value for key, value in os.environ.items() if key not in OWN_VARIABLES}
        self.env |= {"TERM": "dumb", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def queue(self, text: str) -> None:
        """Write `experiments.toml`."""
        (self.folder / "experiments.toml").write_text(text, encoding="utf-8")

    def goe(self, *args: str, timeout: float = TIMEOUT_S, **options: object) -> subprocess.CompletedProcess[str]:
        """Run `goe` to its end."""
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [GOE, *args], cwd=self.folder, env=self.env, text=True, capture_output=True, timeout=timeout, **options
        )

    def start(self, *args: str, program: Path | str = GOE) -> "subprocess.Popen[str]":
        """Start `goe`, or another program, what it says going to `output`."""
        with self.output(len(self.started)).open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [program, *args], cwd=self.folder, env=self.env, text=True, stdout=output, stderr=output
            )
        self.started.append(process)
        return process

    def output(self, number: int) -> Path:
        """Where process `number` (from 0) that was started writes."""
        return self.folder / f"output-{number}"

    def said(self, number: int) -> str:
        """What process `number` has said so far."""
        return self.output(number).read_text(encoding="utf-8")

    def views(self) -> list[RunView]:
        """All runs."""
        return view_runs(self.runs)

    def view(self) -> RunView:
        """The only run."""
        (view,) = self.views()
        return view

    def wait_for_start(self) -> RunView:
        """The only run, once its worker is at work (and so has its signal handlers and its attempt)."""
        wait_until(lambda: bool(self.views()) and self.view().state is RunState.RUNNING)
        return self.view()

    def wait_for_end(self) -> RunView:
        """The only run, once it has ended."""
        wait_until(lambda: bool(self.views()) and not self.view().state.is_live)
        return self.view()

    def close(self) -> None:
        """End every process, whatever became of the test."""
        for process in self.started:
            process.kill()
            process.wait(30)
        for run in find_runs(self.runs):
            with contextlib.suppress(GoeError, OSError):
                end(run)


def worker_pid(view: RunView) -> int:
    """The pid of a live run's worker."""
    assert view.launch is not None
    assert view.launch.worker is not None
    assert is_alive(view.launch.worker)
    return view.launch.worker.pid


def end(run: RunDir) -> None:
    """Kill the worker, then the supervisor, of the newest attempt if they live."""
    attempt = run.attempt()
    if attempt is None:
        return
    launch = attempt.launch()
    for process in (launch.supervisor, launch.worker):
        if process is not None and is_alive(process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not view_run(run).state.is_live, 30)


def metrics(run: RunDir) -> list[Metric]:
    """Every record a watcher of the run sees; none may be damaged."""
    tail = MetricsTail(run.metrics_file)
    tail.poll()
    assert tail.bad == 0
    return tail.records
