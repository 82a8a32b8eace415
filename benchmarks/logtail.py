"""How long a log of 1 GB takes to its end on the screen, beside `tail` and a log of 2 MB; then a jump and a search.

`tail` starts a process and shows 40 lines; the page builds its charts and tables too, so the small log is what says how
much of its time the size costs. Times are of wall clocks on a machine that may have other work.
"""

import asyncio
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness import Report, arguments
from tables import Row, Table

from goe.core.queuefile import parse_queue
from goe.core.rundir import RunDir
from tui.app import GoeApp
from tui.reading.log import LogReader
from tui.screens.run import RunScreen
from tui.widgets.logview import LogView
from tui.widgets.runtable import RunTable

LAST = "the last line of the log"
SMALL_GB = 0.002
_PART = "".join(
    f"2026-01-01 00:00:00 epoch {n // 100} step {n} loss {1 / (n + 1):.5f} filter rate {n % 97 / 97:.3f} lr 0.1\n"
    for n in range(20_000)
).encode()


def make_log(path: Path, gigabytes: float) -> None:
    """A log of ordinary lines, one of them to be searched for."""
    with path.open("wb") as file:
        for number in range(max(1, int(gigabytes * 1e9 / len(_PART)))):
            file.write(_PART)
            if number == 0:
                file.write(b"here is the Needle\n")
        file.write(f"{LAST}\n".encode())


def tail_seconds(path: Path) -> float:
    """One `tail -n 40`, process start included."""
    begun = time.perf_counter()
    subprocess.run(["tail", "-n", "40", str(path)], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def reader_seconds(path: Path) -> float:
    """The reader's first page, without any screen."""
    begun = time.perf_counter()
    page = LogReader(path).read()
    assert page is not None
    assert page.lines[-1].text == LAST
    return time.perf_counter() - begun


async def until(condition: Callable[[], object]) -> float:
    """Seconds until it holds."""
    begun = time.perf_counter()
    while not condition():
        await asyncio.sleep(0.002)
    return time.perf_counter() - begun


async def measure(runs: Path) -> dict[str, float]:
    """Open the run's page from the list, jump, search; times in seconds, memory in MB."""
    app = GoeApp(runs, runs.parent / "experiments.toml")
    found: dict[str, float] = {}
    async with app.run_test(size=(160, 45)) as pilot:
        await until(lambda: app.screen.query_one(RunTable).row_count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun, worked = time.perf_counter(), time.process_time()
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, RunScreen) and shows(app, LAST))
        found["open to tail on screen"] = time.perf_counter() - begun
        found["open to tail on screen, CPU time alone"] = time.process_time() - worked
        assert LAST in screen_text(app)
        await pilot.press("m")
        view = app.screen.query_one(LogView)
        begun = time.perf_counter()
        view.action_top()  # what g does
        await until(lambda: shows(app, "step 0 loss"))
        found["g: first line on screen"] = time.perf_counter() - begun
        view.action_end()
        await until(lambda: shows(app, LAST))
        await pilot.press("slash", *"Needle")
        begun = time.perf_counter()
        await pilot.press("enter")
        await until(lambda: shows(app, "here is the Needle"))
        found["/: match near the start, from the end"] = time.perf_counter() - begun
        assert "here is the Needle" in screen_text(app)
        found["memory added, MB"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    return found


def shows(app: GoeApp, words: str) -> bool:
    """Whether these words are among the rows in view; cheap, so that asking does not slow what is measured."""
    views = app.screen.query(LogView)
    return bool(views) and any(words in row.text for row in views.first().visible_rows)


def screen_text(app: GoeApp) -> str:
    """Everything on the screen."""
    strips = app.screen._compositor.render_strips()  # noqa: SLF001
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def main() -> None:
    """Make the log, measure, print."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--gigabytes", type=float, help="default: 1, 0.1 with --quick")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; by default the temporary folder")
    options = parser.parse_args()
    large = options.gigabytes or (0.1 if options.quick else 1.0)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, Report(__file__, options) as report:
        runs = Path(folder) / "runs"
        run = RunDir.create(runs, parse_queue('[[experiment]]\nname = "a"\nepochs = 1\n', Path("x.toml")).runs[0])
        for gigabytes in (SMALL_GB, large):
            make_log(run.log_file, gigabytes)
            found: dict[str, list[float]] = {"tail -n 40": [], "the reader alone, first page": []}
            for _ in range(report.rounds):
                found["tail -n 40"].append(tail_seconds(run.log_file))
                found["the reader alone, first page"].append(reader_seconds(run.log_file))
                for name, value in asyncio.run(measure(runs)).items():
                    found.setdefault(name, []).append(value)
            rows = tuple(Row(name, tuple(values)) for name, values in found.items())
            report.add(Table(f"A log of {gigabytes:g} GB", "s", rows))


if __name__ == "__main__":
    main()
