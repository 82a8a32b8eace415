"""The dashboard over SSH: a real sshd on the loopback, `ssh -tt` in a private tmux, connections that are dropped."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import GOE, Lab, metrics, wait_until, worker_pid
from sshd import Server, typed

from goe.core.overview import RunView
from goe.core.process import ProcessId, identify
from goe.core.records import Status
from goe.core.state import RunState
from goe.journal import HEARTBEAT_S

TMUX = shutil.which("tmux")
EXPERIMENTS = """
[defaults]
dataset = "spiral"
method = "baseline"
epochs = 30

[[experiment]]
name = "first"

[[experiment]]
name = "second"
hold = true
"""


class Terminal:
    """A terminal of 120×36 that a program runs in: one pane of a tmux server of its own."""

    def __init__(self, place: Path, command: list[str]) -> None:
        self._tmux = [str(TMUX), "-u", "-S", str(place), "-f", "/dev/null"]
        self._do("new-session", "-d", "-x", "120", "-y", "36", shlex.join(command))
        pid = identify(int(self._do("display-message", "-p", "#{pane_pid}")))
        assert pid is not None
        self.client = pid

    def _do(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], capture_output=True, text=True, timeout=30, check=True).stdout

    def screen(self) -> str:
        return self._do("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        for key in keys:  # one by one: together they are a paste to a tmux on the far side
            self._do("send-keys", key)

    def sees(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        self.shows(lambda screen: all(text in screen for text in texts))

    def shows(self, what: Callable[[str], bool]) -> None:
        """Wait until the screen is so."""
        deadline = time.monotonic() + 60
        while not what(screen := self.screen()):
            assert time.monotonic() < deadline, screen
            time.sleep(0.05)

    def ended(self) -> None:
        """Wait until the ssh client has ended."""
        wait_until(lambda: identify(self.client.pid) != self.client, 60)

    def drop(self) -> None:
        """The connection is gone, and nobody said so."""
        os.kill(self.client.pid, signal.SIGKILL)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, timeout=30)


Connect = Callable[..., Terminal]


@pytest.fixture
def connect(tmp_path: Path, server: Server) -> Iterator[Connect]:
    """`connect(line)`: what the line's program shows over ssh."""
    if TMUX is None:
        pytest.skip("tmux is not installed")
    opened: list[Terminal] = []

    def open_terminal(line: str) -> Terminal:
        opened.append(Terminal(tmp_path / f"near-{len(opened)}", server.client(line)))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


def dashboard(lab: Lab) -> str:
    lab.env["XDG_STATE_HOME"] = str(lab.folder / "state")
    return typed(lab, [str(GOE), "tui"])


def front(lab: Lab) -> ProcessId:
    """The dashboard's process."""
    found = identify(int((lab.folder / "front").read_text()))
    assert found is not None
    return found


def first(lab: Lab) -> RunView:
    return next(view for view in lab.views() if view.run_id.startswith("first"))


def advance(lab: Lab) -> int:
    """Let the halted worker go on until its status says something new, and halt it again; its pid."""
    run, worker = first(lab).run, worker_pid(first(lab))

    def status() -> Status:
        return first(lab).status or Status(phase="starting", updated=0.0)

    before = status().step
    while status().step == before:
        wait_until(lambda: time.time() > status().updated + HEARTBEAT_S)  # so that the next record is told at once
        records = len(metrics(run))
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda records=records: len(metrics(run)) > records)
        os.kill(worker, signal.SIGSTOP)
    return worker


def figures(screen: str) -> list[tuple[str, str]]:
    """Epoch and loss in the list's line of the run at work."""
    return re.findall(r"first .* (\d+)/30 +(\d\.\d+)", screen)


def listed(screen: str) -> list[str]:
    """The experiments, in the order of the list."""
    return re.findall(r"(?m)^.{12,18}(first|second) ", screen)


def test_a_dropped_connection_costs_nothing(lab: Lab, connect: Connect) -> None:
    lab.queue(EXPERIMENTS)
    try:
        terminal = connect(dashboard(lab))
        terminal.sees("press S to start them")
        terminal.press("S")
        terminal.sees("Start the queue")
        terminal.press("Enter")
        wait_until(lambda: RunState.RUNNING in [view.state for view in lab.views()])
        os.kill(worker_pid(first(lab)), signal.SIGSTOP)  # so that it doesn't come to its end before the connection does
        terminal.sees("running", "queued")
        terminal.press("O")
        terminal.shows(lambda screen: listed(screen) == ["second", "first"])
        advance(lab)
        terminal.shows(lambda screen: bool(figures(screen)))
        before = figures(terminal.screen())
        worker = advance(lab)
        terminal.shows(lambda screen: figures(screen) not in ([], before))
        terminal.press("G", "Enter")
        terminal.sees("attempt 1", "loss")
        records, seen = len(metrics(first(lab).run)), front(lab)
        terminal.drop()
        wait_until(lambda: identify(seen.pid) != seen)
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: len(metrics(first(lab).run)) > records)

        again = connect(dashboard(lab))
        again.sees("attempt 1", "loss", first(lab).run_id)  # the page that was open
        wait_until(lambda: not first(lab).is_live)
        again.sees("✓ done", "exit 0")
        again.press("Escape")
        again.shows(lambda screen: listed(screen) == ["second", "first"])
        done = first(lab)
        assert done.exit is not None
        assert (done.state, done.attempt, done.exit.code) == (RunState.DONE, 1, 0)
        again.press("q")
        again.ended()
    finally:
        lab.goe("queue", "stop")


def test_in_tmux_on_the_far_side(finished: Lab, connect: Connect) -> None:
    far = [str(TMUX), "-u", "-S", str(finished.folder / "far"), "-f", "/dev/null"]
    inside = typed(finished, [*far, "new-session", dashboard(finished)])
    try:
        terminal = connect(inside)
        terminal.sees("2 done")
        seen = front(finished)
        terminal.press("O", "C-b", "d")
        terminal.ended()
        shutil.rmtree(finished.views()[0].run.path)

        attached = shlex.join([*far, "attach"])
        again = connect(attached)
        again.sees("1 done")
        again.drop()
        shutil.rmtree(finished.views()[0].run.path)
        last = connect(attached)
        last.sees("No runs in runs yet")
        assert identify(seen.pid) == seen
        last.press("q")
        wait_until(lambda: identify(seen.pid) != seen)
    finally:
        subprocess.run([*far, "kill-server"], capture_output=True, timeout=30)
