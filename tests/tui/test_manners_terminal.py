"""The terminal is given back as it was, however the dashboard ends, and runs go on: over a real pty."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from runfolder import Lab, newest
from textual.drivers._writer_thread import WriterThread

from goe.core.process import identify, is_alive
from tui.terminal import TerminalFile

HERE = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
import tui.app

class Broken(tui.app.GoeApp):
    def action_refresh_now(self):
        raise RuntimeError("[on purpose]")

tui.app.GoeApp = Broken
tui.app.run_app(Path(sys.argv[1]), Path(sys.argv[2]))
"""
ON = (b"\x1b[?1049h", b"\x1b[?25l", b"\x1b[?1003h", b"\x1b[?2004h")
OFF = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?2004l")


class Terminal:
    """The dashboard in a terminal of its own."""

    def __init__(self, lab: Lab, state: Path, *, controls: bool) -> None:
        self.written = b""
        wanted = {key: value for key, value in os.environ.items() if key not in {"COLORTERM", "NO_COLOR"}}
        wanted |= {"TERM": "xterm", "PYTHONPATH": str(HERE), "XDG_STATE_HOME": str(state)}
        command = [sys.executable, "-c", SCRIPT, str(lab.runs), str(lab.queue)]
        if controls:
            self.pid, self.master = pty.fork()
            if self.pid == 0:
                os.execve(command[0], command, wanted)
        else:
            self.master, slave = pty.openpty()
            actions = [(os.POSIX_SPAWN_DUP2, slave, number) for number in range(3)]
            self.pid = os.posix_spawn(command[0], command, wanted, file_actions=actions)
            os.close(slave)
        termios.tcsetwinsize(self.master, (30, 100))
        self.before = self.modes()

    def read_until(self, done: Callable[[], bool], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, self.written[-2000:].decode(errors="replace")
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.written += os.read(self.master, 65536)
                except OSError:  # nobody holds the other end any more
                    return

    def end(self) -> int:
        """Its exit code."""
        self.read_until(lambda: False)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def modes(self) -> list[object]:
        return termios.tcgetattr(self.master)


class Open(Protocol):
    def __call__(self, *, controls: bool = True) -> Terminal: ...


@pytest.fixture
def terminal(lab: Lab, tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(*, controls: bool = True) -> Terminal:
        found = Terminal(lab, tmp_path / "state", controls=controls)
        opened.append(found)
        found.read_until(lambda: b"running" in found.written and all(mode in found.written for mode in ON))
        return found

    yield start
    for each in opened:
        try:
            os.kill(each.pid, signal.SIGKILL)
            os.waitpid(each.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.fixture
def worker(lab: Lab) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "600"]) as process:
        run = lab.started(worker=identify(process.pid))
        lab.status(run)
        yield process
        assert process.poll() is None
        assert not newest(run).stop_requested
        process.kill()


def given_back(terminal: Terminal) -> bool:
    """Whether every mode that was switched on was switched off after it."""
    return all(terminal.written.rfind(off) > terminal.written.rfind(on) for on, off in zip(ON, OFF, strict=True))


@pytest.mark.parametrize(("how", "code"), [("crash", 1), ("term", 143), ("hup", 129), ("quit", 0)])
def test_the_terminal_is_given_back(
    worker: "subprocess.Popen[bytes]", terminal: Open, tmp_path: Path, how: str, code: int
) -> None:
    found = terminal()
    if how in {"crash", "quit"}:
        os.write(found.master, b"r" if how == "crash" else b"q")
    else:
        os.kill(found.pid, signal.SIGTERM if how == "term" else signal.SIGHUP)
    found.read_until(lambda: given_back(found))
    assert found.end() == code
    assert found.modes() == found.before  # echo, lines, signals
    after = found.written[max(found.written.rfind(off) for off in OFF) :].decode()
    reports = list((tmp_path / "state" / "goe").glob("*.crash.txt"))
    if how == "crash":
        (report,) = reports
        assert "RuntimeError: [on purpose]" in report.read_text()
        said = "".join(after.splitlines())
        assert "ended by an error of its own (RuntimeError); runs and queue go on. Traceback: " in said
        assert report.name in said
        assert "on purpose" not in said
    else:
        assert reports == []
        assert "Traceback" not in after
    alive = identify(worker.pid)
    assert alive is not None
    assert is_alive(alive)


@pytest.mark.parametrize("controls", [True, False], ids=["its own", "somebody else's"])
def test_a_lost_terminal_ends_the_view_alone(
    worker: "subprocess.Popen[bytes]", terminal: Open, tmp_path: Path, controls: bool
) -> None:
    """The kernel sends SIGHUP only to those whom the terminal controls."""
    found = terminal(controls=controls)
    os.close(found.master)
    assert os.waitstatus_to_exitcode(os.waitpid(found.pid, 0)[1]) == 129
    assert not list((tmp_path / "state").rglob("*.crash.txt"))


def test_writing_goes_on_after_the_terminal_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever writes waits for ever for room in the thread's queue, which holds 30 pieces."""
    told: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: told.append(number))
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as file:
        thread = WriterThread(TerminalFile(file))
        thread.start()
        os.close(master)
        for _ in range(100):
            thread.write("x")
        thread.stop()
        assert told == [signal.SIGHUP]
        with pytest.raises(OSError, match="Input/output error"):
            file.close()
