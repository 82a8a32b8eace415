"""What the list of runs costs with many runs: the first useful frame, and each second after it.

    python benchmarks/runlist.py [--runs 1000 5000]

Made runs of 3 seeds each: most done, a tenth queued, four live (their supervisor is this process). The plain walk
beside it opens every run's config.json and status.json and decodes them with the standard library, as a script without
any memory would each second. CPU times are of this process; the first frame counts from starting `goe tui` on a pty
of 160×45 until the list stands on it, Python's own start included.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec
from link import Link

from goe.core.config import RunConfig
from goe.core.process import ProcessId, myself
from goe.core.queuefile import parse_queue
from goe.core.records import Exit, Launch, Status, Values
from goe.core.rundir import RunDir
from goe.core.runfields import metric_names
from goe.core.runquery import parse_query
from tui.messages import Overview
from tui.reading.overview import OverviewReader, Plan
from tui.runlist import Look, lines, shown_runs

ROUNDS = 15
GONE = ProcessId(pid=1, start="0", boot="none", host=platform.node())


def make(runs: Path, count: int) -> None:
    """`count` runs with the files that a list reads."""
    text = '[[experiment]]\nname = "a"\nseeds = [1]\nepochs = 10\n'
    (model,) = parse_queue(text, Path("x.toml")).runs
    for number in range(count):
        config = msgspec.structs.replace(model, experiment=f"e{number // 3:04d}", seed=number % 3 + 1)
        _make_one(runs, config, live=number < 4, queued=number % 10 == 9)


def _make_one(runs: Path, config: RunConfig, *, live: bool, queued: bool) -> None:
    run = RunDir(runs / config.run_id)
    attempt = run.attempts_dir / "1"
    (run.attempts_dir if queued else attempt).mkdir(parents=True)
    run.config_file.write_bytes(msgspec.json.encode(config))
    if queued:
        return
    started = time.time() - 100
    values: Values = {"loss": 0.5, "val/accuracy": 0.9, "filter/rate": 0.15, "images_per_s": 1000.0}
    launch = Launch(attempt=1, launcher="local", supervisor=myself() if live else GONE, started=started)
    status = Status(phase="training" if live else "finished", epoch=10, epochs=10, values=values, updated=time.time())
    (attempt / "launch.json").write_bytes(msgspec.json.encode(launch))
    (attempt / "status.json").write_bytes(msgspec.json.encode(status))
    if not live:
        ended = Exit(code=0, signal=None, started=started, ended=started + 60, peak_memory=1 << 28)
        (attempt / "exit.json").write_bytes(msgspec.json.encode(ended))


def plain_walk(runs: Path) -> int:
    """Every run's configuration and newest status, read and decoded."""
    found = 0
    for folder in sorted(runs.iterdir()):
        config = json.loads((folder / "config.json").read_bytes())
        statuses = sorted(folder.glob("attempts/*/status.json"))
        found += bool(config) and (not statuses or bool(json.loads(statuses[-1].read_bytes())))
    return found


def cpu(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median CPU seconds."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return median(times)


def first_frame(runs: Path) -> tuple[float, float]:
    """Seconds from the start of `goe tui` until the list is on the terminal: on the wall's clock, and of the CPU."""
    with Link(runs) as link:
        took = link.until(lambda sent: b"e0000" in sent and b"running" in sent, 30)
        return took, link.cpu()


def measure(folder: Path, count: int) -> None:
    runs = folder / str(count) / "runs"
    make(runs, count)
    time.sleep(2.5)  # what changed so shortly ago is read again
    reader = OverviewReader(runs, Plan(runs / "none.toml"))
    begun = time.perf_counter()
    news = reader.read()
    first = time.perf_counter() - begun
    some = len(news.views)
    while news.unread:
        news = reader.read()
    whole = time.perf_counter() - begun
    walk, poll, same = cpu(lambda: plain_walk(runs)), cpu(reader.read), reader.read().views is news.views
    frames = [first_frame(runs) for _ in range(5)]
    print(f"\n{count} runs")
    say("plain walk, CPU", f"{walk * 1e3:.0f} ms")
    say("first news", f"{first * 1e3:.0f} ms, with {some} runs")
    say("every run read once, wall", f"{whole * 1e3:.0f} ms, {whole / walk:.2f} × the plain walk's CPU")
    say(
        "a read of what did not change, CPU",
        f"{poll * 1e3:.1f} ms = {poll * 100:.1f} % of a core at 1 Hz, {walk / poll:.0f} × less",
    )
    say("nothing new is the same object", str(same))
    arrange(news)
    walls = sorted(wall for wall, _ in frames)
    say("goe tui: start to list on 160×45, wall", f"{median(walls):.2f} s (of 5: {walls[0]:.2f} to {walls[-1]:.2f})")
    say("the same, CPU of its process", f"{median(used for _, used in frames):.2f} s")


def arrange(news: Overview) -> None:
    """Only where something changed: filter, order, fold."""
    metrics = metric_names(news.views)
    look = Look(sort="acc", descending=True, folded=True)
    query = parse_query("acc>0.5 -state:failed", metrics)
    once = cpu(lambda: lines(shown_runs(news.views, look, query, metrics), look))
    plain = cpu(lambda: lines(shown_runs(news.views, Look(), parse_query("", metrics), metrics), Look()))
    say("lines after a change, CPU", f"{plain * 1e3:.1f} ms; filtered, sorted and folded {once * 1e3:.1f} ms")


def say(what: str, value: str) -> None:
    print(f"{what:<52} {value}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 5000])
    counts = parser.parse_args().runs
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores; the machine was shared")
    folder = Path(tempfile.mkdtemp(prefix="goe-runlist-"))
    try:
        for count in counts:
            measure(folder, count)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
