"""The terminal the dashboard stands in, which may go away at any moment: a dropped connection, a closed window."""

import os
import signal
from collections.abc import Callable
from typing import TextIO

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class TerminalFile:
    """What is written for the terminal. Once that refused, it drops what comes.

    Textual's writing thread would end at the refusal, and the app then wait for ever for room in the thread's queue.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._gone = False

    def fileno(self) -> int:
        """The number of the terminal's file."""
        return self._file.fileno()

    def write(self, text: str) -> None:
        """Write `text`, as long as there is a terminal."""
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        """Send what was written, as long as there is a terminal."""
        self._try(self._file.flush)

    def _try(self, write: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            write()
        except OSError:
            self._gone = True
            _hang_up()


class TerminalDriver(LinuxDriver):
    """Textual's driver; to it a terminal that went away is no error of the app's."""

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        assert self._file is not None
        self._file = TerminalFile(self._file)  # type: ignore[assignment]  # it is only written to

    def run_input_thread(self) -> None:
        """Read keys until the terminal is given back or gone."""
        try:
            super().run_input_thread()
        except OSError:
            _hang_up()


def _hang_up() -> None:
    """Tell this process what the kernel tells only those whom the terminal controls."""
    os.kill(os.getpid(), signal.SIGHUP)
