"""What the queue itself costs: no-op jobs one after another, an idle queue, an edited file, beside task-spooler.

A no-op job is a run with everything that belongs to it (claim, supervisor, launch.json, train.log, exit.json) whose
worker is `true` instead of training; task-spooler's is `true` too. task-spooler 1.0 starts a job from a small C server;
goe starts a Python supervisor that outlives the queue. Times are of wall clocks on a machine that may have other work.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

import psutil

from goe.core.overview import view_run
from goe.core.queuefile import load_queue
from goe.core.rundir import RunDir
from goe.launch.detached import Announcement
from goe.launch.queueloop import Runner

ROOT = Path(__file__).parents[1]
NOOP = ROOT / "tests" / "e2e" / "noop.py"
HEAD = '[defaults]\ndataset = "digits"\n'
ENDS = 100  # jobs at either end that are compared


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A detached queue of `folder` with no-op workers."""
    argv = [sys.executable, NOOP, folder, "exec true", folder / "runs", folder / "experiments.toml", *options]
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


def say(what: str, value: str) -> None:
    print(f"{what:<66} {value}", flush=True)


def spread(seconds: list[float]) -> str:
    """Median, 95th percentile and largest, in ms."""
    return f"{median(seconds) * 1e3:.0f} / {quantiles(seconds, n=20)[-1] * 1e3:.0f} / {max(seconds) * 1e3:.0f} ms"


def ends(periods: list[float]) -> str:
    first, last = median(periods[:ENDS]), median(periods[-ENDS:])
    return f"{first * 1e3:.0f} ms, {last * 1e3:.0f} ms ({last / first - 1:+.0%})"


def goe_jobs(folder: Path, count: int) -> None:
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
    say(f"goe: {count} jobs, exit code {code}, not done once with code 0", f"{wrong}")
    say("goe: until the first starts (all folders are made)", f"{times[0][0] - begun:.1f} s")
    say("goe: all, and per job after the first start", f"{ended - begun:.0f} s, {(ended - times[0][0]) / count:.3f} s")
    say(f"goe: start to start, median of the first and last {ENDS}", ends(periods))
    say("goe: slot free to next start, median / p95 / max", spread(gaps))
    say("goe: the queue's own CPU per job, peak memory", f"{used / count * 1e3:.0f} ms, {peak / 2**20:.0f} MiB")


def spooler_jobs(folder: Path, count: int) -> None:
    spooler = shutil.which("tsp")
    if spooler is None:
        print("task-spooler is not installed (apt-get install task-spooler)")
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
    say(f"tsp: {count} jobs, lost", f"{count - len(found)}")
    say("tsp: to queue them, per job", f"{(queued - begun) / count:.3f} s")
    say("tsp: all, and per job", f"{ended - begun:.0f} s, {(ended - begun) / count:.3f} s")
    say(f"tsp: start to start, median of the first and last {ENDS}", ends(periods))


def waiting(count: int) -> str:
    """A file of `count` runs that never start: the first is held, every other one too, the rest come after it."""
    held = [f'[[experiment]]\nname = "e{number}"\nhold = true\n' for number in range(0, count, 2)]
    after = [f'[[experiment]]\nname = "e{number}"\nafter = ["e0"]\n' for number in range(1, count, 2)]
    return HEAD + "".join(held + after)


def idle(folder: Path, count: int, seconds: float) -> None:
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
        say(f"goe: idle queue of {count} entries over {took:.0f} s", f"{used:.2%} CPU, {memory / 2**20:.0f} MiB")
        waits = []
        for number in range(5):
            name = f"new{number}"
            file.write_text(file.read_text(encoding="utf-8") + f'[[experiment]]\nname = "{name}"\n', encoding="utf-8")
            waits.append(wait_until(lambda name=name: any(folder.glob(f"runs/{name}-s1-*/attempts/1/launch.json"))))
        say(f"goe: save to start, {count} entries in the file, median / largest of 5",
            f"{median(waits):.2f} s, {max(waits):.2f} s")  # fmt: skip
    runner = Runner(load_queue(file), folder / "runs", count=1)
    runner._take_jobs(runner.queue)  # noqa: SLF001 - what `run` begins with
    runner.turn()
    turns = []
    for _ in range(50):
        begun = time.perf_counter()
        runner.turn()
        turns.append(time.perf_counter() - begun)
    say("goe: state written per turn; a turn of an idle queue, median / p95 / max", f"nothing; {spread(turns)}")
    word(folder, file)


def word(folder: Path, file: Path) -> None:
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
    say(f"goe: .queue.json when {len(runs)} runs are asked for again, median / p95 / max", spread(writes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--entries", type=int, default=400)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())  # fmt: skip
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True, cwd=ROOT
    ).stdout
    print(f"CPU: {cpu}, {os.cpu_count()} cores; {time.strftime('%Y-%m-%d')}; commit {commit.strip()}")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.release()}")
    if shutil.which("tsp"):
        said = subprocess.run(["tsp", "-V"], check=False, capture_output=True, text=True).stdout.split("-")[0].strip()
        print(f"beside: {said}")
    print(f"load average before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        parts = [Path(folder) / name for name in ("goe", "tsp", "idle")]
        for part in parts:
            part.mkdir()
        goe_jobs(parts[0], options.jobs)
        spooler_jobs(parts[1], options.jobs)
        idle(parts[2], options.entries, options.idle)
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
