"""`goe tui` at the end of a link: a pty of 160×45 that is read as fast as the link is, and all that was sent."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil
from harness import ROOT

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Added to an environment: Python keeps what it compiles, as installed programs have it."""
NARROW = 8000
"""Bytes a second of a link of 64 kbit/s."""


def command(runs: Path) -> tuple[list[str], dict[str, str]]:
    """`goe tui` on a folder, its queue file and memory beside it: the arguments, and what the environment adds."""
    queue = runs.parent / "experiments.toml"
    argv = [sys.executable, "-m", "cli", "tui", "--runs", str(runs), "--queue", str(queue)]
    return argv, COMPILED | {
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(runs.parent / "state"),
        "TERM": "xterm-256color",
    }


class Link:
    """The program, from its start until it is left; `rate` in bytes a second, or as fast as it writes."""

    def __init__(self, runs: Path, rate: float | None = None) -> None:
        self.sent = b""
        self._rate = rate
        self._leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (45, 160))
        argv, env = command(runs)
        self._app = subprocess.Popen(
            argv, stdin=follower, stdout=follower, stderr=follower, env=os.environ | env, cwd=ROOT
        )
        os.close(follower)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._app.kill()
        self._app.wait()
        os.close(self._leader)

    def press(self, key: bytes) -> None:
        """Send a key."""
        os.write(self._leader, key)

    def until(self, enough: Callable[[bytes], bool], limit_s: float) -> float:
        """Read until it is enough; seconds that took."""
        begun = time.perf_counter()
        while not enough(self.sent) and time.perf_counter() - begun < limit_s:
            if select.select([self._leader], [], [], 0.02)[0]:
                part = os.read(self._leader, 160 if self._rate else 65536)
                self.sent += part
                time.sleep(len(part) / self._rate if self._rate else 0)
        return time.perf_counter() - begun

    def cpu(self) -> float:
        """CPU seconds used so far."""
        return sum(psutil.Process(self._app.pid).cpu_times()[:2])
