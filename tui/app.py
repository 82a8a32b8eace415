"""The dashboard: routes the poller's news to the screens and the user's wishes to the launcher."""

import os
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.theme import Theme

from goe.core.errors import ConfigError, GoeError
from goe.core.overview import RunView, view_run
from goe.core.process import is_alive
from goe.core.state import RunState
from goe.launch.detached import queue_process, start_detached
from goe.launch.local import LocalLauncher
from tui.memory import Memory, memory_file
from tui.messages import News
from tui.poller import Poller
from tui.reading.overview import Plan
from tui.screens.base import GoeScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.help import HelpScreen
from tui.screens.queue import QueueScreen
from tui.screens.results import ResultsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.session import Session

# Okabe and Ito's colours on calm greys.
DARK = Theme(
    "goe-dark",
    primary="#56B4E9",
    secondary="#0072B2",
    accent="#56B4E9",
    warning="#E69F00",
    error="#F0703C",
    success="#00B386",
    foreground="#D8DEE4",
    background="#11151A",
    surface="#11151A",
    panel="#1E252D",
    variables={"footer-background": "#11151A", "footer-key-foreground": "#56B4E9"},
)
LIGHT = Theme(
    "goe-light",
    primary="#0072B2",
    secondary="#56B4E9",
    accent="#0072B2",
    warning="#8A5A00",
    error="#A84400",
    success="#00694D",
    foreground="#1B2026",
    background="#FAFAF8",
    surface="#FAFAF8",
    panel="#ECECE8",
    dark=False,
    variables={"footer-background": "#FAFAF8", "footer-key-foreground": "#0072B2"},
)


class GoeApp(App[None]):
    """The dashboard over one runs folder and one queue file. It reads; nothing depends on its staying open."""

    TITLE = "goe"
    CSS = """
    Static.-empty { display: none; }
    DataTable, LogView, ScrollableContainer, VerticalScroll {
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-color: $foreground 20%;
        scrollbar-corner-color: $background;
    }
    """
    COMMAND_PALETTE_BINDING = "colon"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - not declared as ClassVar in textual
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-short"), (16, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "quit", show=False)]

    def __init__(self, runs: Path, queue: Path, memory: Memory | None = None, *, readonly: bool = False) -> None:
        # Textual turns colours to greys for NO_COLOR; with the terminal's own colours it leaves them out.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.poller = Poller(self.post_message)
        self.session = Session(runs, queue, self.poller, Plan(queue), memory or Memory(None), readonly)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = "goe-dark"

    # Full screens are awaited, so that no news reaches one before its widgets exist.

    async def on_mount(self) -> None:
        """Show the list and start to read."""
        await self.push_screen(RunsScreen(self.session))
        self.run_worker(self.poller.run, thread=True, name="poller")

    def on_unmount(self) -> None:
        """Let the poller's thread end; runs and queue are other processes and stay."""
        self.poller.stop()

    def on_news(self, message: News) -> None:
        """A reader has read something; every open screen hears of it."""
        for screen in self._screens():
            screen.take(message.what)

    def _screens(self) -> list[GoeScreen]:
        if not self.is_running:  # leaving: widgets go before the poller stops
            return []
        return [screen for screen in self.screen_stack if isinstance(screen, GoeScreen)]

    async def on_runs_screen_opened(self, message: RunsScreen.Opened) -> None:
        """A run was chosen."""
        await self.push_screen(RunScreen(self.session, message.view))

    async def action_results(self) -> None:
        """Show the evaluation table."""
        await self.push_screen(ResultsScreen(self.session))

    async def action_queue(self) -> None:
        """Show the queue's page, or go back to it."""
        if not any(isinstance(screen, QueueScreen) for screen in self.screen_stack):
            await self.push_screen(QueueScreen(self.session))
            return
        while not isinstance(self.screen, QueueScreen):
            await self.pop_screen()

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen())

    def action_refresh_now(self) -> None:
        """Read everything now."""
        self.poller.refresh()

    def action_start_queue(self) -> None:
        """Start a queue that outlives this view, unless one works here already."""
        running = queue_process(self.session.runs)
        if running is not None:
            self._tell(f"A queue already works here: process {running.pid} on {running.host}")
            return
        try:
            start_detached(self.session.runs, self.session.queue)
        except ConfigError as error:
            self.push_screen(MessageScreen(f"{self.session.queue} can't be started", "\n".join(error.problems)))
        except (GoeError, OSError) as error:
            self.push_screen(MessageScreen("The queue was not started", str(error)))
        else:
            self._tell("Queue started. It goes on when you leave this view.")
            self.poller.refresh()

    def action_stop_run(self) -> None:
        """Ask, then stop the current run; a run that is stopping already can be forced."""
        chosen = self.screen.current if isinstance(self.screen, GoeScreen) else None
        if chosen is None:
            return
        view = view_run(chosen.run)  # the screen's may be a second old
        if not view.state.is_live:
            self._tell(f"{view.run_id} is {view.state}: there is nothing to stop")
            return
        force = view.state is RunState.STOPPING
        if force and view.launch and is_alive(view.launch.supervisor) is None:
            self._tell(f"{view.run_id} runs on {view.launch.supervisor.host}: only there can it be forced to end")
            return
        self.push_screen(_question(view, force=force), lambda agreed: self._stop(view, force) if agreed else None)

    def _stop(self, view: RunView, force: bool) -> None:
        try:
            LocalLauncher().stop(view.run, force=force)
        except (GoeError, OSError) as error:
            self.push_screen(MessageScreen(f"{view.run_id} was not stopped", str(error)))
            return
        self._tell(f"{view.run_id}: {'its processes are being ended' if force else 'asked to stop'}")
        self.poller.refresh()

    def _tell(self, text: str) -> None:
        self.notify(text, markup=False)


def _question(view: RunView, *, force: bool) -> ConfirmScreen:
    if force:
        text = "It was asked to stop and has not ended yet. Forcing loses what it did since its last checkpoint."
        return ConfirmScreen(f"End {view.run_id} by force?", text, "Force", dangerous=True)
    text = "It ends after its current step. Starting the queue again resumes it from its last checkpoint."
    return ConfirmScreen(f"Stop {view.run_id}?", text, "Stop")


def run_app(runs: Path, queue: Path, *, readonly: bool = False) -> None:
    """Show the dashboard until the user leaves it."""
    GoeApp(runs, queue, Memory(memory_file(runs)), readonly=readonly).run()
