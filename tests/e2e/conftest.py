"""Labs for the tests with real processes."""

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import TINY, Lab
from sshd import Server, sshd

FINISHED = f"""{TINY}
[queue]
slots = 2

[[experiment]]
name = "base"
seeds = [1, 2]
"""


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C works in what the tests start, also where they themselves run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session that several pytest workers share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An empty lab."""
    found = Lab(tmp_path)
    yield found
    found.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An ssh server on the loopback."""
    with sshd(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def finished_folder(shared: Path) -> Path:
    """A lab whose queue of two runs was worked through; made once, also for several pytest workers. Don't write."""
    folder = shared / "finished"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "said").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _work_through(Lab(folder))
    return folder


def _work_through(lab: Lab) -> None:
    lab.queue(FINISHED)
    try:
        done = lab.goe("queue", "run")
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        (lab.folder / "said").write_text(done.stderr, encoding="utf-8")
    finally:
        lab.close()


@pytest.fixture
def finished(finished_folder: Path, tmp_path: Path) -> Iterator[Lab]:
    """A copy of it, to do with as one likes."""
    folder = tmp_path / "copy"
    shutil.copytree(finished_folder, folder)
    found = Lab(folder)
    yield found
    found.close()
