"""Several runs on one machine: two on the CPU's cores, more and more on one GPU.

    python benchmarks/sharing.py [--device cuda] [--runs 2 3 4]

Each run is a process that takes steps of G-OE with WRN-40-2 when it is told to. On a CPU two are told to one after the
other, with one thread each, and at once: with the threads that goe's queue gives each of two slots, and with all cores
for both, as torch would have it. On a GPU so many at once, beside one alone.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from harness import ROOT, Report, arguments
from standin import fresh, random_batch
from step import CPU_SIZES, GPU_SIZES, TINY, Side, ways

from goe.core.jobs import JobOptions
from goe.core.queuefile import QueueOptions
from goe.launch.slots import Slots

MODEL = "wrn-40-2"
STEPS = {"cuda": 100, "cpu": 4}
"""Of each run in a round; one with --quick."""
ONE_AFTER_THE_OTHER = "one after the other, 1 thread"
BAR = 1.1
"""Two at once may take so much of their time one after the other."""


class Run:
    """A process with a network of its own."""

    def __init__(self, device: str, threads: int | None, sizes: tuple[int, int]) -> None:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        env.pop("OMP_NUM_THREADS", None)
        if threads is not None:
            env["OMP_NUM_THREADS"] = str(threads)
        argv = [sys.executable, __file__, "--one", device, *map(str, sizes)]
        self._process = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )  # in a session of its own: ctrl-c ends it by `end`

    def wait(self) -> None:
        """Until it is ready, or has taken its steps."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise SystemExit("a run ended early; its error is above")

    def go(self, steps: int) -> None:
        """Tell it to take so many steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it end: there will be no more words for it."""
        self._process.communicate()


@contextmanager
def started(count: int, device: str, threads: int | None, sizes: tuple[int, int]) -> Iterator[list[Run]]:
    """So many, ready."""
    with ExitStack() as stack:
        runs = []
        for _ in range(count):
            runs.append(Run(device, threads, sizes))
            stack.callback(runs[-1].end)
        for run in runs:
            run.wait()
        yield runs


def serve(side: Callable[[], int]) -> None:
    """Take as many steps as each line of stdin says, after one that makes ready."""
    side()
    print("ready", flush=True)
    for steps in sys.stdin:
        done = 0
        while done < int(steps):
            done += side()
        print("done", flush=True)


def one(device: str, sizes: tuple[int, int]) -> None:
    """What a run's process does."""
    batch = random_batch(sizes, torch.device(device))
    *_, everything = ways(MODEL, torch.device(device), compiled=False)
    side = Side(everything, fresh(MODEL, batch, dropout=True), batch)
    serve(side)


def at_once(runs: Sequence[Run], steps: int) -> Callable[[], int]:
    """All of them take their steps. Returns the number of steps of all."""

    def side() -> int:
        for run in runs:
            run.go(steps)
        for run in runs:
            run.wait()
        return steps * len(runs)

    return side


def by_turns(runs: Sequence[Run], steps: int) -> Callable[[], int]:
    """One after the other."""

    def side() -> int:
        return sum(at_once([run], steps)() for run in runs)

    return side


def on_cores(report: Report, sizes: tuple[int, int]) -> None:
    """Two runs on the CPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    steps = 1 if report.quick else STEPS["cpu"]
    slot = Slots(QueueOptions(slots=2), gpus=()).take(JobOptions(), [])
    assert slot is not None
    given = f"at once, {slot.threads} each as goe gives"
    with (
        started(2, "cpu", 1, sizes) as single,
        started(2, "cpu", slot.threads, sizes) as shared,
        started(2, "cpu", cores, sizes) as wide,
    ):
        sides = {
            ONE_AFTER_THE_OTHER: by_turns(single, steps),
            f"the same, {cores} threads each": by_turns(wide, steps),
            given: at_once(shared, steps),
            f"at once, {cores} threads each": at_once(wide, steps),
        }
        title = f"Two runs on {cores} cores, {MODEL}, {sizes[0]} + {sizes[1]} images, time for a step of either"
        table = report.compare(title, sides, unit="ms", baseline=ONE_AFTER_THE_OTHER)
    taken = 1 / (next(table.ratio(row) for row in table.rows if row.name == given) or float("nan"))
    report.title("Two runs at once beside one after the other")
    report.say("share of the time", f"{taken:.2f}; bar {BAR}: {'met' if taken <= BAR else 'MISSED'}")


def on_gpu(report: Report, counts: Sequence[int]) -> None:
    """One run and several on one GPU."""
    with ExitStack() as stack:
        threads = max(1, (os.cpu_count() or 1) // max(counts))
        runs = stack.enter_context(started(max(counts), "cuda", threads, GPU_SIZES))
        sides = {"1 run": at_once(runs[:1], STEPS["cuda"])}
        sides |= {f"{count} runs at once": at_once(runs[:count], STEPS["cuda"]) for count in counts}
        title = f"Runs sharing a GPU, {MODEL}, {GPU_SIZES[0]} + {GPU_SIZES[1]} images, steps of all of them"
        report.compare(title, sides, unit="steps/s", baseline="1 run")


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=STEPS, default=default)
    parser.add_argument("--runs", type=int, nargs="+", default=[2, 3, 4], help="at once, on a GPU")
    parser.add_argument("--one", nargs=3, metavar=("DEVICE", "ID", "OUTLIERS"), help="a run, for the benchmark itself")
    options = parser.parse_args()
    if options.one:
        one(options.one[0], (int(options.one[1]), int(options.one[2])))
        return
    with Report(__file__, options) as report:
        if options.device == "cuda":
            on_gpu(report, options.runs)
        else:
            on_cores(report, TINY if options.quick else CPU_SIZES[MODEL])


if __name__ == "__main__":
    main()
