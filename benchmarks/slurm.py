"""What a queue costs a cluster: 1,000 runs submitted to a real Slurm, the calls of each poll, the queue's memory.

They are submitted as arrays, as queues do, and beside it each by a call of its own, as where a cluster takes no arrays.
The jobs are held (`--hold`), so that all of them stay in Slurm's queue and none starts; they are cancelled in the end.
It needs a Slurm: `export SLURM_CONF=…` as `tests/slurm/cluster.sh up DIR` prints it, or a login node whose users don't
mind. The controller's own time is only told where it is a process of this machine.
"""

import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from harness import Report, arguments

from goe.core.overview import view_runs
from goe.core.queuefile import load_queue
from goe.core.stamp import FRESH_NS
from goe.core.state import RunState
from goe.launch import slurmclient
from goe.launch.queueloop import Runner
from goe.launch.slurm import SlurmLauncher
from goe.launch.slurmsite import SlurmSite
from goe.launch.slurmsubmit import Executor

QUEUE = """
[queue]
launcher = "slurm"
max-jobs = {count}
[queue.slurm]
gres = ""
directives = ["--hold"]
[defaults]
dataset = "digits"
[[experiment]]
name = "held"
seeds = {seeds}
"""
POLLS, TURNS = 10, 10


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts Slurm's clients as they are called, by name."""
    calls: Counter[str] = Counter()
    call, sbatch = slurmclient._call, Executor._make_submission_command  # noqa: SLF001 - what calls them

    def counting(command: Sequence[str]) -> str:
        calls[command[0]] += 1
        return call(command)

    def submitting(executor: Executor, file: Path) -> list[str]:
        calls["sbatch"] += 1
        return sbatch(executor, file)

    slurmclient._call, Executor._make_submission_command = counting, submitting  # type: ignore[method-assign, assignment]  # noqa: SLF001
    try:
        yield calls
    finally:
        slurmclient._call, Executor._make_submission_command = call, sbatch  # type: ignore[method-assign]  # noqa: SLF001


def controller() -> psutil.Process | None:
    """The controller, if it is a process of this machine."""
    found = [each for each in psutil.process_iter(["name"]) if each.info["name"] == "slurmctld"]
    return max(
        found, key=lambda each: each.pid, default=None
    )  # a daemon that has just started has parents for a moment


def busy(process: psutil.Process | None) -> float:
    """Seconds of CPU it has used."""
    return sum(process.cpu_times()[:2]) if process is not None else 0.0


def fill(runner: Runner) -> None:
    """Turn until everything is submitted that may be."""
    while sum(view.state is RunState.PENDING for view in runner.views.values()) < len(runner.jobs):
        if not runner.turn():
            break


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--jobs", type=int, help="default: 1000, 20 with --quick")
    options = parser.parse_args()
    count = options.jobs or (20 if options.quick else 1000)
    me, slurm = psutil.Process(), controller()
    with tempfile.TemporaryDirectory() as folder, Report(__file__, options) as report, counted() as calls:
        file, alone, runs = (Path(folder) / name for name in ("experiments.toml", "alone", "runs"))
        file.write_text(QUEUE.format(count=count, seeds=list(range(count))), encoding="utf-8")
        try:
            report.title(f"{count} runs submitted to Slurm, a call of sbatch for each")
            submit(report, Runner(load_queue(file), alone, launcher=OneByOne()), me, slurm, calls)
            cancel(alone)
            report.title(f"{count} runs submitted to Slurm, as arrays")
            first = submit(report, Runner(load_queue(file), runs), me, slurm, calls)
            report.title("Jobs that wait")
            poll(report, first, slurm, calls)
            idle(report, first, me)
            take_over(report, Runner(load_queue(file), runs), calls)
        finally:
            cancel(alone)
            cancel(runs)


class OneByOne(SlurmLauncher):
    """As where MaxArraySize is 0."""

    @property
    def most(self) -> int:
        """No arrays."""
        return 1


def cancel(runs: Path) -> None:
    """End the jobs: all of an array by its id."""
    jobs = sorted({view.job.job.partition("_")[0] for view in view_runs(runs) if view.job is not None})
    for begin in range(0, len(jobs), 100):
        subprocess.run(["scancel", *jobs[begin : begin + 100]], check=False)


def submit(
    report: Report, runner: Runner, me: psutil.Process, slurm: psutil.Process | None, calls: Counter[str]
) -> Runner:
    before, memory, own, others = busy(slurm), me.memory_info().rss, busy(me), Counter(calls)
    runner._take_jobs(runner.queue)  # noqa: SLF001 - what `run` begins with
    begun = time.perf_counter()
    fill(runner)
    seconds, count = time.perf_counter() - begun, len(runner.jobs)
    made = calls - others
    report.say("submission: jobs, time for all, jobs a second", f"{count}, {seconds:.1f} s, {count / seconds:.1f}")
    report.say("calls meanwhile", ", ".join(f"{number} {name}" for name, number in made.items()))
    report.say("the queue's own CPU per job", f"{(busy(me) - own) / count * 1e3:.1f} ms")
    if slurm is not None:
        report.say("the controller's CPU per job", f"{(busy(slurm) - before) / count * 1e3:.2f} ms")
    more = (me.memory_info().rss - memory) / 2**20
    report.say("the queue's memory, and more than before it", f"{me.memory_info().rss / 2**20:.0f} MiB, {more:.1f} MiB")
    return runner


def poll(report: Report, runner: Runner, slurm: psutil.Process | None, calls: Counter[str]) -> None:
    site = runner._site  # noqa: SLF001
    assert isinstance(site, SlurmSite)
    watch = site._watch  # noqa: SLF001
    before, others, times = busy(slurm), calls.total(), []
    for _ in range(POLLS):
        watch._next = 0.0  # noqa: SLF001 - now, not in half a minute
        begun = time.perf_counter()
        watch.poll(runner.views.values())
        times.append(time.perf_counter() - begun)
    report.say("calls a poll", f"{(calls.total() - others) / POLLS:g}")
    report.say("a poll, the first and the quickest", f"{times[0] * 1e3:.0f}, {min(times) * 1e3:.0f} ms")
    if slurm is not None:
        report.say("the controller's CPU per poll", f"{(busy(slurm) - before) / POLLS * 1e3:.1f} ms")


def idle(report: Report, runner: Runner, me: psutil.Process) -> None:
    """Turns in which nothing is asked of Slurm."""
    time.sleep(FRESH_NS / 1e9)  # what the polls wrote is read at every look until then
    while runner._pause() == 0.0:  # noqa: SLF001
        runner.turn()
    own, pause = busy(me), runner._pause()  # noqa: SLF001
    for _ in range(TURNS):
        runner.turn()
    each = (busy(me) - own) / TURNS
    text = f"{each * 1e3:.0f} ms, {pause:.0f} s ({each / pause:.1%} of a core)"
    report.say("an idle turn, CPU; one in so many seconds", text)


def take_over(report: Report, runner: Runner, calls: Counter[str]) -> None:
    before, begun = Counter(calls), time.perf_counter()
    runner._take_jobs(runner.queue)  # noqa: SLF001
    runner.turn()
    found = sum(view.state is RunState.PENDING for view in runner.views.values())
    made = (calls - before)["sbatch"]
    report.say(
        "a next queue: jobs found, submitted again, time", f"{found}, {made}, {time.perf_counter() - begun:.1f} s"
    )


if __name__ == "__main__":
    main()
