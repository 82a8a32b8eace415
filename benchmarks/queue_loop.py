"""What the queue itself costs: no-op jobs one after another, an idle queue, an edited file, beside task-spooler.

A no-op job is a run with everything that belongs to it (claim, supervisor, launch.json, train.log, exit.json) whose
worker is `true` instead of training; task-spooler's is `true` too. task-spooler 1.0 starts a job from a small C server;
goe starts a Python supervisor that outlives the queue. Times are of wall clocks on a machine that may have other work.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

import psutil
from harness import ROOT, Report, arguments

from goe.core.overview import view_run
from goe.core.queuefile import load_queue
from goe.core.rundir import RunDir
from goe.launch.detached import Announcement
from goe.launch.queueloop import Runner

NOOP = Path(__file__).with_name("noop.py")
HEAD = '[defaults]\ndataset = "digits"\n'
SHARE = 10
"""One in so many jobs are those at either end, which are compared."""


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A detached queue of `folder` with no-op workers."""
    argv = [
        sys.executable,
        str(NOOP),
        str(folder),
        "exec true",
        str(folder / "runs"),
        str(folder / "experiments.toml"),
        *options,
    ]
    with (folder / "log").open("wb") as log:
        queue = subprocess.Popen(argv, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        yield queue
    finally:
        queue.terminate()
        queue.wait(60)


def wait_until(condition: Callable[[], bool], timeout: float = 120.0) -> float:
    """Seconds until `condition` held."""
    begun = time.perf_counter()
    while not condition():
        if time.perf_counter() - begun > timeout:
            sys.exit(f"{condition} did not hold within {timeout} s")
        time.sleep(0.005)
    return time.perf_counter() - begun


def was_started(folder: Path, name: str) -> bool:
    """Whether the experiment's run with seed 1 has an attempt."""
    return any(folder.glob(f"runs/{name}-s1-*/attempts/1/launch.json"))


def spread(seconds: list[float]) -> str:
    """Median, 95th percentile and largest, in ms."""
    return f"{median(seconds) * 1e3:.0f} / {quantiles(seconds, n=20)[-1] * 1e3:.0f} / {max(seconds) * 1e3:.0f} ms"


def ends(periods: list[float]) -> str:
    count = max(1, len(periods) // SHARE)
    first, last = median(periods[:count]), median(periods[-count:])
    return f"{first * 1e3:.0f} ms, {last * 1e3:.0f} ms ({last / first - 1:+.0%})"


def goe_jobs(report: Report, folder: Path, count: int) -> None:
    (folder / "experiments.toml").write_text(
        f'{HEAD}seeds = {list(range(count))}\n[[experiment]]\nname = "noop"\n', encoding="utf-8"
    )
    begun = time.time()
    with started(folder, "--slots", "1") as queue:
        peak = 0
        used = 0.0
        process = psutil.Process(queue.pid)
        while queue.poll() is None:
            try:
                peak, used = max(peak, process.memory_info().rss), sum(process.cpu_times()[:2])
            except psutil.NoSuchProcess:
                break
            time.sleep(0.2)
        code = queue.wait(60)
    ended = time.time()
    views = [view_run(RunDir(folder / "runs" / job.run_id)) for job in load_queue(folder / "experiments.toml").jobs]
    times = [(view.launch.started, view.exit.ended) for view in views if view.launch and view.exit]
    wrong = sum(view.attempt != 1 or view.exit is None or view.exit.code != 0 for view in views)
    gaps = [after[0] - before[1] for before, after in pairwise(times)]
    periods = [after[0] - before[0] for before, after in pairwise(times)]
    report.say(f"goe: {count} jobs, exit code {code}, not done once with code 0", f"{wrong}")
    report.say("goe: until the first starts (all folders are made)", f"{times[0][0] - begun:.1f} s")
    report.say(
        "goe: all, and per job after the first start", f"{ended - begun:.0f} s, {(ended - times[0][0]) / count:.3f} s"
    )
    report.say("goe: start to start, median of the first and the last tenth", ends(periods))
    report.say("goe: slot free to next start, median / p95 / max", spread(gaps))
    report.say("goe: the queue's own CPU per job, peak memory", f"{used / count * 1e3:.0f} ms, {peak / 2**20:.0f} MiB")


def spooler_jobs(report: Report, folder: Path, count: int) -> None:
    spooler = shutil.which("tsp")
    if spooler is None:
        report.say("tsp: not measured", "task-spooler is not installed (apt-get install task-spooler)")
        return
    stamps = folder / "stamps"
    env = os.environ | {"TS_SOCKET": str(folder / "socket"), "TS_MAXFINISHED": str(count), "TMPDIR": str(folder)}

    def tsp(*words: str) -> None:
        subprocess.run([spooler, *words], env=env, stdout=subprocess.DEVNULL, check=True)

    try:
        begun = time.time()
        for _ in range(count):
            tsp("-n", "sh", "-c", f"date +%s.%N >> {stamps}; exec true")
        queued = time.time()
        tsp("-w", str(count - 1))
        ended = time.time()
    finally:
        tsp("-K")
    found = [float(line) for line in stamps.read_text().split()]
    periods = [after - before for before, after in pairwise(found)]
    report.say(f"tsp: {count} jobs, lost", f"{count - len(found)}")
    report.say("tsp: to queue them, per job", f"{(queued - begun) / count:.3f} s")
    report.say("tsp: all, and per job", f"{ended - begun:.0f} s, {(ended - begun) / count:.3f} s")
    report.say("tsp: start to start, median of the first and the last tenth", ends(periods))


def waiting(count: int) -> str:
    """A file of `count` runs that never start: the first is held, every other one too, the rest come after it."""
    held = [f'[[experiment]]\nname = "e{number}"\nhold = true\n' for number in range(0, count, 2)]
    after = [f'[[experiment]]\nname = "e{number}"\nafter = ["e0"]\n' for number in range(1, count, 2)]
    return HEAD + "".join(held + after)


def idle(report: Report, folder: Path, count: int, seconds: float) -> None:
    file = folder / "experiments.toml"
    file.write_text(waiting(count), encoding="utf-8")
    with started(folder, "--stay", "--slots", "1") as queue:
        wait_until(lambda: sum(1 for _ in folder.glob("runs/*/attempts")) == count)
        time.sleep(5)
        process = psutil.Process(queue.pid)
        before, begun = process.cpu_times(), time.perf_counter()
        time.sleep(seconds)
        after, took = process.cpu_times(), time.perf_counter() - begun
        used = (after.user + after.system - before.user - before.system) / took
        memory = process.memory_info().rss
        report.say(f"goe: idle queue of {count} entries over {took:.0f} s", f"{used:.2%} CPU, {memory / 2**20:.0f} MiB")
        waits = []
        for number in range(5):
            name = f"new{number}"
            file.write_text(file.read_text(encoding="utf-8") + f'[[experiment]]\nname = "{name}"\n', encoding="utf-8")
            waits.append(wait_until(partial(was_started, folder, name)))
        report.say(f"goe: save to start, {count} entries in the file, median / largest of 5",
            f"{median(waits):.2f} s, {max(waits):.2f} s")  # fmt: skip
    runner = Runner(load_queue(file), folder / "runs", count=1)
    runner._take_jobs(runner.queue)  # noqa: SLF001 - what `run` begins with
    runner.turn()
    turns = []
    for _ in range(50):
        begun = time.perf_counter()
        runner.turn()
        turns.append(time.perf_counter() - begun)
    report.say("goe: state written per turn; a turn of an idle queue, median / p95 / max", f"nothing; {spread(turns)}")
    word(report, folder, file)


def word(report: Report, folder: Path, file: Path) -> None:
    """What a queue leaves of itself in the folder, each time with other plans, or it would not be written."""
    runs = [job.run_id for job in load_queue(file).jobs]
    left, writes = Announcement(folder / "word", file), []
    left.renew()
    for number in range(50):
        asked = dict.fromkeys(runs, number + 1)  # the most it ever has to say
        begun = time.perf_counter()
        left.renew(asked, {})
        writes.append(time.perf_counter() - begun)
    left.withdraw()
    report.say(f"goe: .queue.json when {len(runs)} runs are asked for again, median / p95 / max", spread(writes))


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--jobs", type=int, help="default: 1000, 20 with --quick")
    parser.add_argument("--entries", type=int, help="default: 400, 40 with --quick")
    parser.add_argument("--idle", type=float, help="seconds; default: 60, 5 with --quick")
    options = parser.parse_args()
    jobs, entries, seconds = (20, 40, 5.0) if options.quick else (1000, 400, 60.0)
    with tempfile.TemporaryDirectory() as folder, Report(__file__, options) as report:
        parts = [Path(folder) / name for name in ("goe", "tsp", "idle")]
        for part in parts:
            part.mkdir()
        report.title("No-op jobs one after another")
        goe_jobs(report, parts[0], options.jobs or jobs)
        spooler_jobs(report, parts[1], options.jobs or jobs)
        report.title("A queue that has nothing to start")
        idle(report, parts[2], options.entries or entries, options.idle or seconds)


if __name__ == "__main__":
    main()
