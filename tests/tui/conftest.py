"""A lab, a queue at work on it, and waiting."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runfolder import Lab

import tui.reading.overview
from goe.core.process import identify
from goe.core.rundir import write_json
from goe.launch.detached import QueueMark

QUEUE = """
[defaults]
seeds = [1, 2]
epochs = 10

[[experiment]]
name = "goe"

[[experiment]]
name = "baseline"
method = "baseline"
"""


@pytest.fixture(autouse=True)
def whole_first_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is in the first frame, however busy the machine: a key then means all of them."""
    monkeypatch.setattr(tui.reading.overview, "FIRST_S", 60.0)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    made.queue.write_text(QUEUE)
    return made


@pytest.fixture
def at_work(lab: Lab) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that stands for a queue at work on the lab's file."""
    with subprocess.Popen(["sleep", "600"]) as process:
        found = identify(process.pid)
        assert found is not None
        word = QueueMark(
            pid=found.pid, start=found.start, boot=found.boot, host=found.host, queue=str(lab.queue), since=1000.0
        )
        lab.runs.mkdir(exist_ok=True)
        write_json(lab.runs / ".queue.json", word)
        yield process
        process.kill()


@pytest.fixture
def wait_until() -> Callable[..., object]:
    """`await wait_until(condition)`: until it holds, at most 30 s: machines that test are busy."""

    async def wait(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "timed out"
            await asyncio.sleep(0.02)

    return wait
