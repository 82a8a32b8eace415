"""How soon a run's curves are there, what they cost, and how long a key waits meanwhile; beside MetricsTail.

Each reading is a process of its own: Textual is loaded as in the dashboard, the poller reads in a thread, and the main
thread stands for the screen: 1 ms of Python every 20 ms, late by as long as Python's lock is held elsewhere.
MetricsTail is what the dashboard read its curves with before: every record as an object, all in one go, no first look.
Its records have still to be made into curves; that is not counted. Times are of wall clocks on a machine that may have
other work.
"""

import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median, quantiles

import textual.app  # noqa: F401 - what the dashboard has in memory anyway
from harness import ROOT, Report, arguments

from goe.core.records import Metric, MetricsTail, Values, metric_line
from goe.core.rundir import RunDir
from tui.curves.columns import RunCurves
from tui.messages import News
from tui.poller import Poller
from tui.reading.curves import CurveReader

NAMES = ("loss", "loss/ce", "loss/oe", "loss/mix", "filter/rate")
EVERY_S, WORK_S = 0.02, 0.001


def record(step: int, steps: int, draw: random.Random) -> Metric:
    values: Values = {name: 2 * math.exp(-3 * step / steps) + 0.1 * draw.random() for name in NAMES}
    return Metric(kind="train", epoch=1 + step // 1000, step=step, time=1.79e9 + step * 0.05, values=values)


def make_run(folder: Path, steps: int) -> RunDir:
    """A folder with the records of `steps` steps and nothing else."""
    folder.mkdir()
    run, draw = RunDir(folder), random.Random(0)
    with run.metrics_file.open("wb") as file:
        file.writelines(metric_line(record(step, steps, draw)) for step in range(1, steps + 1))
    return run


def work(until: Callable[[], bool]) -> list[float]:
    """Seconds from each key to its answer, until `until` says so."""
    waits = []
    due = time.perf_counter()
    while not until():
        time.sleep(max(0.0, due - time.perf_counter()))
        begun, used = time.thread_time(), 0
        while time.thread_time() - begun < WORK_S:
            used += 1
        waits.append(time.perf_counter() - due)
        due = max(due + EVERY_S, time.perf_counter())
    return waits


def read_curves(run: RunDir) -> dict[str, object]:
    """The whole file through the poller."""
    said: list[tuple[float, RunCurves]] = []
    begun = time.perf_counter()

    def hear(news: News) -> None:
        assert isinstance(news.what, RunCurves)
        said.append((time.perf_counter() - begun, news.what))
        del said[1:-1]  # keeps no more of them alive than a screen would

    poller = Poller(hear)
    thread = threading.Thread(target=poller.run)
    poller.follow("curves", CurveReader(run))
    thread.start()
    waits = work(lambda: bool(said) and said[-1][1].read == 1.0)
    poller.stop()
    thread.join()
    (first, shown), (full, curves) = said[0], said[-1]
    return {
        "first": first,
        "spread": len(shown.train.step),
        "full": full,
        "rows": len(curves.train.step),
        "waits": waits,
    }


def read_tail(run: RunDir) -> dict[str, object]:
    """The whole file through MetricsTail."""
    tail, done = MetricsTail(run.metrics_file), threading.Event()
    begun = time.perf_counter()
    full: list[float] = []

    def read() -> None:
        tail.poll()
        full.append(time.perf_counter() - begun)
        done.set()

    thread = threading.Thread(target=read)
    thread.start()
    waits = work(done.is_set)
    thread.join()
    return {"full": full[0], "rows": len(tail.records), "waits": waits}


def idle(_: RunDir) -> dict[str, object]:
    """Nothing is read: what the keys wait for anyway."""
    calls = count()
    return {"waits": work(lambda: next(calls) >= 200)}


CASES = {"curves": read_curves, "tail": read_tail, "idle": idle}


def measured(case: str, run: RunDir) -> dict[str, float]:
    """One reading in a process of its own."""
    argv = [sys.executable, __file__, "--case", case, str(run.path)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(argv, env=environ, stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(found.stdout)
    return result


def freshness(run: RunDir, records: int) -> list[float]:
    """Seconds from the append of a record, about one a second, to the news with it."""
    news = threading.Event()
    newest = [0.0]

    def hear(what: News) -> None:
        assert isinstance(what.what, RunCurves)
        newest[0] = what.what.train.step[-1]
        news.set()

    poller, draw, waits = Poller(hear), random.Random(1), []
    thread = threading.Thread(target=poller.run)
    poller.follow("curves", CurveReader(run))
    thread.start()
    for step in range(2_000_000, 2_000_000 + records):
        time.sleep(draw.uniform(0.5, 1.5))
        with run.metrics_file.open("ab") as file:
            file.write(metric_line(record(step, 2 * step, draw)))
        begun = time.perf_counter()
        while newest[0] < step:
            news.wait()
            news.clear()
        waits.append(time.perf_counter() - begun)
    poller.stop()
    thread.join()
    return waits


def shapes(run: RunDir) -> dict[str, float]:
    """Seconds for what is drawn of all records of one metric, the median of 20."""
    from tui.curves.shape import envelope, line, x_range
    from tui.curves.smoothing import smooth

    reader = CurveReader(run)
    curves = reader.read()
    while curves is None or curves.read < 1.0:
        curves = reader.read() or curves
    whole = line(curves, "loss")
    spanned = x_range([whole])
    assert spanned is not None
    cases: dict[str, Callable[[], object]] = {
        "envelope on 320 dot columns": lambda: envelope(whole, spanned, 320),
        "smoothing 0.9": lambda: smooth(whole, 0.9),
        "x in epochs": lambda: line(curves, "loss", "epoch"),
        "a look at a file that did not change": reader.read,
        "x in seconds": lambda: line(curves, "loss", "time"),
    }
    return {name: median(timed(case) for _ in range(20)) for name, case in cases.items()}


def timed(case: Callable[[], object]) -> float:
    begun = time.perf_counter()
    case()
    return time.perf_counter() - begun


def spread(rounds: list[dict[str, float]], key: str, form: str = "{:.2f}") -> str:
    """Median of the rounds, and the largest."""
    values = [each[key] for each in rounds]
    return f"{form.format(median(values))} ({form.format(max(values))})"


def compare(report: Report, run: RunDir, steps: int) -> None:
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(report.rounds):
        for case, results in found.items():
            results.append(measured(case, run))
    size = run.metrics_file.stat().st_size
    report.title(f"{steps:,} records × {len(NAMES)} metrics, {size / 1e6:.0f} MB; median (largest)")
    report.say("curves: first news, with records from all over the file, s", spread(found["curves"], "first"))
    report.say("curves: records in it", spread(found["curves"], "spread", "{:,.0f}"))
    for case in ("curves", "tail"):
        assert all(each["rows"] == steps for each in found[case]), "records were lost"
        report.say(f"{case}: every record, s", spread(found[case], "full"))
        report.say(f"{case}: CPU of the process from its start, keys included, s", spread(found[case], "cpu"))
        report.say(f"{case}: peak memory of the process, MiB", spread(found[case], "peak", "{:.0f}"))
    for case, results in found.items():
        report.say(f"{case}: a key waits, of which 1 ms its own work: p95, ms", spread(results, "p95", "{:.1f}"))
        report.say(f"{case}: the longest a key waited, ms", spread(results, "longest", "{:.1f}"))


def run_case(case: str, run: RunDir) -> None:
    found = CASES[case](run)
    waits = found.pop("waits")
    assert isinstance(waits, list)
    found["p95"], found["longest"] = quantiles(waits, n=20)[-1] * 1e3, max(waits) * 1e3
    found["cpu"] = time.process_time()
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--appends", type=int, help="records for the freshness; default: 60, 5 with --quick")
    parser.add_argument("--case", nargs=2, metavar=("CASE", "RUN"), help="one reading, for the benchmark itself")
    options = parser.parse_args()
    if options.case:
        run_case(options.case[0], RunDir(Path(options.case[1])))
        return
    with tempfile.TemporaryDirectory() as folder, Report(__file__, options) as report:
        for steps in (100_000,) if options.quick else (100_000, 1_000_000):
            run = make_run(Path(folder) / str(steps), steps)
            compare(report, run, steps)
        for name, seconds in shapes(run).items():
            report.say(f"{steps:,} points: {name}, ms", f"{seconds * 1e3:.3f}")
        waits = freshness(run, options.appends or (5 if options.quick else 60))
        ends = f"{median(waits):.2f} / {quantiles(waits, n=20)[-1]:.2f}"
        report.say(f"a record appended to news with it, {len(waits)} of them: p50 / p95, s", ends)


if __name__ == "__main__":
    main()
