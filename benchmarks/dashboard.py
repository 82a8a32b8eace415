"""The dashboard as its user meets it, in a tmux of 160×45, and W&B LEET beside it in the same run.

    python benchmarks/dashboard.py [--leet VENV/bin/wandb] [--only PART…] [--quick]

Times go from a key, or from what was written to a file, to the change on the screen, tmux and looking included (about
10 ms). A trivial Textual app stands beside it as a yardstick: times differ on another machine, their ratios little.
Made runs as in runlist.py; CPU is of the program and its children, in per cent of one core. LEET shows runs that wandb
itself logs, without a network, with the same steps and metrics.
"""

import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import harness
from curves import record
from leet import Leet
from link import NARROW, Link, command
from panes import Pane, has_braille
from runlist import make
from trivial import TEXT, trivial

from goe.core.records import Metric, Status, metric_line
from goe.core.rundir import RunDir, write_json

TRIVIAL = "a trivial Textual app, 1,000 options"
"""What the machine and the library allow."""
PARTS = ("start", "keys", "idle", "load", "freshness", "curves", "log", "link")
KEYS_S = 0.2
"""Between keys while a curve is read: as quick as somebody who looks what each does."""
LEET_STEPS = 100_000
"""wandb takes more than ten minutes to log a million."""
LIVE = 4
"""Runs that `make` leaves at work; the first in the list."""


class Report(harness.Report):
    """Figures, each with what it should be."""

    def times(self, what: str, seconds: Sequence[float], bar: float | None = None, *, at: float = 0.5) -> None:
        """Median, the 95th percentile and the extremes in ms; `bar` in seconds is for the quantile `at`."""
        order = sorted(seconds)
        found = order[min(len(order) - 1, round(at * (len(order) - 1)))]
        high = order[round(0.95 * (len(order) - 1))]
        text = f"{median(order) * 1e3:.0f} ms, p95 {high * 1e3:.0f} (of {len(order)}: {order[0] * 1e3:.0f}"
        self.say(what, f"{text} to {order[-1] * 1e3:.0f}){verdict(found, bar, 'ms', 1e3)}")

    def share(self, what: str, used: float, bar: float | None = None) -> None:
        """CPU seconds a second."""
        self.say(what, f"{used:.2%} of a core{verdict(used, bar, '%', 100)}")


def verdict(found: float, bar: float | None, unit: str, scale: float) -> str:
    """The bar, and whether it is met."""
    if bar is None:
        return ""
    return f"; bar {bar * scale:g} {unit}: {'met' if found <= bar else 'MISSED'}"


def goe(runs: Path) -> Pane:
    """`goe tui` on a folder, without memory of where it was left."""
    argv, env = command(runs)
    env["XDG_STATE_HOME"] = tempfile.mkdtemp(dir=runs.parent)  # the one before may still be writing its own
    return Pane(argv, env | {"TERM": "tmux-256color"})


@contextmanager
def opened(pane: Pane, shown: Callable[[str], bool], *, settle_s: float = 6.0) -> Iterator[Pane]:
    """The program, once its first frame stands and what it does at its start is over."""
    with pane:
        pane.start()
        pane.wait(shown)
        time.sleep(settle_s)
        yield pane


def first(text: str) -> bool:
    """Whether the list of made runs is there."""
    return "e0000" in text and "running" in text


def first_frames(report: Report, labs: dict[int, Path], leet: Leet | None, rounds: int) -> None:
    report.title("Start of the program to the first useful frame, warm")
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for count, runs in labs.items():
            with goe(runs) as pane:
                pane.start()
                found.setdefault(f"goe tui, {count:,} runs", []).append(pane.wait(first))
        with Pane(*trivial(sys.executable)) as pane:
            pane.start()
            found.setdefault(TRIVIAL, []).append(pane.wait(lambda text: TEXT in text))
        if leet is not None:
            with leet.pane(leet.one) as pane:
                pane.start()
                found.setdefault("wandb leet, 1 run", []).append(pane.wait(Leet.shown))
    for what, times in found.items():
        report.times(what, times, 0.6 if what == "goe tui, 1,000 runs" else None)
    report.say("goe tui, 1,000 runs, over it", f"{median(found['goe tui, 1,000 runs']) / median(found[TRIVIAL]):.2f}")


def idle(report: Report, labs: dict[int, Path], leet: Leet | None, seconds: float) -> None:
    report.title(f"Nothing changes, for {seconds:.0f} s")
    pages = {"list": (), "run page": ("j",) * LIVE + ("Enter",), "results": ("t",), "queue": ("Q",), "system": ("u",)}
    for count, runs in labs.items():
        for page, keys in pages.items() if count == 1000 else [("list", ())]:
            with opened(goe(runs), first) as pane:
                for key in keys:
                    pane.press(key)
                time.sleep(4)
                used, sent = rates(pane, seconds)
                report.share(f"goe tui, {count:,} runs, {page}", used, 0.005 if page != "system" else None)
                report.say("", f"{sent:.0f} bytes/s, {pane.memory() / 2**20:.0f} MiB resident")
    with opened(Pane(*trivial(sys.executable)), lambda text: TEXT in text) as pane:
        report.share(TRIVIAL, rates(pane, seconds)[0])
    if leet is not None:
        with opened(leet.pane(leet.one), Leet.shown) as pane:
            used, sent = rates(pane, seconds)
            report.share("wandb leet, 1 run", used)
            report.say("", f"{sent:.0f} bytes/s, {pane.memory() / 2**20:.0f} MiB resident")


def rates(pane: Pane, seconds: float) -> tuple[float, float]:
    """CPU seconds and bytes a second."""
    cpu, sent, begun = pane.cpu(), pane.written, time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - begun
    return (pane.cpu() - cpu) / took, (pane.written - sent) / took


class Trainer:
    """Stands for a run that trains: a record and a heartbeat a second, as the worker writes them."""

    def __init__(self, run: RunDir) -> None:
        self.run, self._draw = run, random.Random(run.run_id)
        self._file = run.metrics_file.open("ab")
        self.step = run.metrics_file.read_bytes().count(b"\n")
        """Goes on where the trainer before it stopped: a curve takes no step twice."""

    def log(self, loss: float | None = None) -> None:
        """One record, with `loss` where given."""
        self.step += 1
        metric = record(self.step, 1000, self._draw)
        values = metric.values | ({} if loss is None else {"loss": loss})
        metric = Metric(kind="train", epoch=1, step=self.step, time=time.time(), values=values)
        self._file.write(metric_line(metric))
        self._file.flush()
        status = Status(phase="training", epoch=1, epochs=10, step=self.step, values=values, updated=time.time())
        write_json(self.run.attempts_dir / "1" / "status.json", status, durable=False)


@contextmanager
def training(runs: Path) -> Iterator[None]:
    """The live runs log once a second meanwhile."""
    trainers = [Trainer(RunDir(path)) for path in sorted(runs.glob("e*"))[:LIVE]]
    over = threading.Event()

    def go() -> None:
        while not over.wait(1.0):
            for trainer in trainers:
                trainer.log()

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def load(report: Report, runs: Path, leet: Leet | None, seconds: float) -> None:
    report.title(f"{LIVE} runs log 5 metrics once a second, for {seconds:.0f} s")
    for page, keys in {"list": [], "run page": ["Enter"], "their curves": [*["Space"] * LIVE, "="]}.items():
        with training(runs), opened(goe(runs), first) as pane:
            for key in keys:
                pane.press(key)
            time.sleep(3)
            used, sent = rates(pane, seconds)
            report.share(f"goe tui, {page}", used, 0.03)
            report.say("", f"{sent:.0f} bytes/s: a refresh each second")
    if leet is not None:
        with leet.live(int(seconds) + 30, 1.0) as folder, opened(leet.pane(folder), Leet.shown) as pane:
            used, sent = rates(pane, seconds)
            report.share("wandb leet, one such run", used)
            report.say("", f"{sent:.0f} bytes/s")


def freshness(report: Report, runs: Path, rounds: int) -> None:
    report.title("A value written to metrics.jsonl and status.json to the screen")
    trainer = Trainer(RunDir(min(runs.glob("e*"))))
    for base, page, keys in ((3, "list", []), (4, "run page", ["Enter"])):
        with opened(goe(runs), first) as pane:
            pane.press(*keys) if keys else None
            times = []
            for number in range(rounds):
                time.sleep(0.5 + 0.77 * (number % 5) / 4)  # not in step with the dashboard's own second
                loss = base + number / 100 + 0.001  # all its digits are shown, on either page
                trainer.log(loss)
                times.append(pane.wait(partial(contains, f"{loss:.3f}"), 10))
                assert times[-1] == times[-1], f"{loss:.3f} never came to the {page}"
        report.times(f"goe tui, {page}", times, 1.0, at=0.95)


def contains(wanted: str, text: str) -> bool:
    """Whether a screen shows it."""
    return wanted in text


def keys(report: Report, runs: Path, leet: Leet | None, rounds: int) -> None:
    report.title("A key to its answer on the screen")
    with opened(goe(runs), first) as pane:
        report.times("goe tui, list of 1,000 runs, j", [pane.answer("j") for _ in range(rounds)], 0.05, at=0.95)
        report.times("goe tui, sorting them, o", [pane.answer("o") for _ in range(8)])
    with opened(Pane(*trivial(sys.executable)), lambda text: TEXT in text) as pane:
        report.times(f"{TRIVIAL}, j", [pane.answer("j") for _ in range(rounds)])
    if leet is not None:
        with opened(leet.pane(leet.one), Leet.shown) as pane:
            report.times("wandb leet, the next pane, Tab", [pane.answer("Tab") for _ in range(rounds)])


def curves(report: Report, folder: Path, leet: Leet | None, counts: Sequence[int]) -> None:
    report.title("Start of the program to the whole curve of a run, 5 metrics")
    for steps in counts:
        runs = folder / f"curve-{steps}" / "runs"
        make(runs, 1)
        run, draw = RunDir(next(runs.iterdir())), random.Random(0)
        with run.metrics_file.open("wb") as file:
            file.writelines(metric_line(record(step, steps, draw)) for step in range(1, steps + 1))
        with opened(goe(runs), first, settle_s=2.0) as pane:
            begun = time.perf_counter()
            pane.press("Enter")
            drawn = pane.wait(has_braille)
            pane.wait(is_whole)
            whole, size = time.perf_counter() - begun, pane.memory() / 2**20
        report.say(f"goe tui, {steps:,} steps: key to a curve", f"{drawn * 1e3:.0f} ms")
        bar = {100_000: 1.0, 1_000_000: 8.0}.get(steps)
        said = f"{whole:.2f} s{verdict(whole, bar, 's', 1)}; {size:.0f} MiB resident"
        report.say(f"goe tui, {steps:,} steps: key to the whole curve", said)
        with opened(goe(runs), first, settle_s=2.0) as pane:
            pane.press("Enter")
            pane.wait(has_braille)
            waits = []
            while not is_whole(pane.screen()):
                waits.append(pane.answer("y"))
                time.sleep(KEYS_S)
        if waits:
            report.times("goe tui, keys while it reads, y", waits, 0.05, at=0.95)
        if leet is not None and steps <= LEET_STEPS:
            path = leet.logged(steps)
            with leet.pane(path) as pane:
                pane.start()
                drawn = pane.wait(Leet.shown)
                whole = drawn + pane.still(quiet_s=6.0)
                size = pane.memory() / 2**20
            report.say(
                f"wandb leet, {steps:,} steps: start to the last change", f"{whole:.2f} s; {size:.0f} MiB resident"
            )


def is_longer(size: int, sent: bytes) -> bool:
    """Whether more was sent than that."""
    return len(sent) > size


def is_whole(text: str) -> bool:
    """Whether the run page doesn't say that there is more to read."""
    return "reading the curves" not in text


def big_log(report: Report, folder: Path) -> None:
    report.title("The log of a run, 1 GB")
    runs = folder / "log" / "runs"
    make(runs, 1)
    run = RunDir(next(runs.iterdir()))
    line = b"".join(
        b"epoch 3 step %07d: loss 0.5123, a line of a log as training writes it\n" % n for n in range(14_000)
    )
    with run.log_file.open("wb") as file:
        for _ in range(1000):
            file.write(line)
        file.write(b"the very last line\n")
    times = []
    with opened(goe(runs), first, settle_s=2.0) as pane:
        for _ in range(5):
            begun = time.perf_counter()
            pane.press("Enter")
            pane.wait(lambda text: "the very last line" in text, 30)
            times.append(time.perf_counter() - begun)
            pane.press("Escape")
            pane.wait(first)
            time.sleep(0.5)
    report.times(f"goe tui, {run.log_file.stat().st_size / 1e9:.2f} GB: key to its last line", times, 0.3)
    run.log_file.unlink()


def narrow_link(report: Report, runs: Path, rounds: int) -> None:
    """The terminal takes 8,000 bytes a second, as over a slow line; what is sent is kept here, not in the pty."""
    report.title("Over a link of 64 kbit/s")
    with training(runs), Link(runs, NARROW) as link:
        report.say("start to the first useful frame", f"{link.until(lambda sent: b'e0000' in sent, 30):.2f} s")
        link.until(lambda _: False, 6)
        times = []
        for number in range(rounds):
            link.until(lambda _: False, 0.9)
            size = len(link.sent)
            link.press(b"j" if number % 2 else b"k")
            times.append(link.until(partial(is_longer, size), 10))
        report.times(f"key to the first byte of an answer, {LIVE} runs logging", times)
        size, begun = len(link.sent), time.perf_counter()
        link.until(lambda _: False, 15)
        rate = (len(link.sent) - size) / (time.perf_counter() - begun)
        report.say("bytes/s of the list meanwhile", f"{rate:.0f}, {rate / NARROW:.0%} of the link")


def main() -> None:
    parser = harness.arguments(__doc__, rounds=9)
    parser.add_argument("--leet", type=Path, default=shutil.which("wandb"), help="a wandb command; the one on the PATH")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts; without it all of them")
    asked = parser.parse_args()
    seconds = 8.0 if asked.quick else 30.0
    folder = Path(tempfile.mkdtemp(prefix="goe-tui-"))
    try:
        with Report(__file__, asked) as report:
            rounds = report.rounds
            labs = {count: folder / str(count) / "runs" for count in (1, 1000, 5000)}
            for count, runs in labs.items():
                make(runs, count)
            leet = Leet(Path(asked.leet).absolute(), folder / "leet") if asked.leet else None
            time.sleep(3)
            steps = (100_000,) if asked.quick else (100_000, 1_000_000)
            parts: dict[str, Callable[[], None]] = {
                "start": lambda: first_frames(report, labs, leet, rounds),
                "keys": lambda: keys(report, labs[1000], leet, 10 * rounds),
                "idle": lambda: idle(report, labs, leet, seconds),
                "load": lambda: load(report, labs[1000], leet, seconds),
                "freshness": lambda: freshness(report, labs[1000], 3 * rounds),
                "curves": lambda: curves(report, folder, leet, steps),
                "log": lambda: big_log(report, folder),
                "link": lambda: narrow_link(report, labs[1000], 2 * rounds),
            }
            for name in asked.only or PARTS:
                parts[name]()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
