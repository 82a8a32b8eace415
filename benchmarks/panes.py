"""A program in a pane of a private tmux: its screen, what it writes, what it costs, its answers to keys."""

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

LOOK_S = 0.004
"""Between two looks at a pane; a look takes about as long again, so times are up to 10 ms too long."""


class Pane:
    """One program in a tmux server of its own, so that nothing else is on its screen."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], *, columns: int = 160, rows: int = 45) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="goe-pane-")
        self._socket = str(Path(self._folder.name) / "tmux")
        self._written = Path(self._folder.name) / "written"
        self._written.touch()
        self.begun = 0.0
        """When the program was started, by time.perf_counter; 0 before."""
        size = ["-x", str(columns), "-y", str(rows)]
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "exec sh")
        self._tmux("set-option", "-g", "status", "off")
        self._tmux("pipe-pane", "-O", f"exec cat > {shlex.quote(str(self._written))}")
        chosen = [f"{name}={value}" for name, value in env.items()]
        self._command = shlex.join(["exec", "env", *chosen, *argv])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.CalledProcessError):
            self._tmux("kill-server")
        self._folder.cleanup()

    def start(self) -> None:
        """Run the program in place of the shell."""
        self._tmux("send-keys", "-l", self._command)
        self.begun = time.perf_counter()
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Keys by tmux's names."""
        self._tmux("send-keys", *keys)

    def screen(self, *, styled: bool = False) -> str:
        """The text on the screen, with its colours if `styled`."""
        return self._tmux("capture-pane", "-p", *(["-e"] if styled else []))

    def wait(self, shown: Callable[[str], bool], limit_s: float = 60.0) -> float:
        """Seconds from now until the screen is as wanted; nan where that is not within the limit."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < limit_s:
            if shown(self.screen()):
                return time.perf_counter() - begun
            time.sleep(LOOK_S)
        return float("nan")

    def answer(self, *keys: str, limit_s: float = 5.0) -> float:
        """Seconds from keys to the first change of the screen; nan without one."""
        before = self.screen(styled=True)
        begun = time.perf_counter()
        self.press(*keys)
        while time.perf_counter() - begun < limit_s:
            if self.screen(styled=True) != before:
                return time.perf_counter() - begun
            time.sleep(LOOK_S)
        return float("nan")

    def still(self, quiet_s: float = 3.0, limit_s: float = 120.0) -> float:
        """Seconds from now until the last change before the screen stood still for `quiet_s`."""
        begun = changed = time.perf_counter()
        before = self.screen()
        while (now := time.perf_counter()) - changed < quiet_s and now - begun < limit_s:
            if (after := self.screen()) != before:
                before, changed = after, now
            time.sleep(0.02)
        return changed - begun

    @property
    def written(self) -> int:
        """Bytes the program has sent to its terminal."""
        return self._written.stat().st_size

    def processes(self) -> list[psutil.Process]:
        """The program and its children."""
        first = psutil.Process(int(self._tmux("display-message", "-p", "#{pane_pid}")))
        return [first, *first.children(recursive=True)]

    def cpu(self) -> float:
        """CPU seconds used so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def memory(self) -> int:
        """Bytes resident."""
        return sum(process.memory_info().rss for process in self.processes())

    def _tmux(self, *argv: str) -> str:
        env = {name: value for name, value in os.environ.items() if name not in {"TMUX", "TMUX_PANE"}}
        command = ["tmux", "-u", "-S", self._socket, *argv]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def has_braille(text: str) -> bool:
    """Whether a curve is drawn."""
    return any("\u2801" <= letter <= "\u28ff" for letter in text)
