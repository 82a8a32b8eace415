"""The dashboard: routes the poller's news to the screens and the user's wishes to the launcher."""

import asyncio
import gc
import os
import signal
from functools import partial
from pathlib import Path
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.theme import Theme

from goe.core.errors import ConfigError
from goe.core.logfile import clean_line
from goe.core.queuehistory import History
from goe.launch.detached import queue_mark
from tui.crash import crash_line
from tui.keymap import deed_groups
from tui.memory import Memory, memory_file
from tui.messages import Compare, Diff, News, Overview
from tui.pages import PLACES, load_pages, page
from tui.palette import Commands
from tui.poller import Poller
from tui.reading.overview import Plan
from tui.screens.base import SMALLEST, GoeScreen, is_too_small
from tui.screens.confirm import MessageScreen
from tui.screens.form import FormScreen
from tui.screens.help import HelpScreen
from tui.screens.queuestart import start_form
from tui.screens.runs import RunsScreen
from tui.session import Session
from tui.stylesheet import OnceParsed
from tui.terminal import TerminalDriver
from tui.widgets.keyline import READONLY

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


class AppLook(msgspec.Struct):
    """What the app itself remembers."""

    theme: str = DARK.name
    page: str = ""
    """The one that was open when the terminal was lost: the app's action that opens it, or a run's id."""


class GoeApp(App[None]):
    """The dashboard over one runs folder and one queue file. It reads; nothing depends on its staying open."""

    TITLE = "goe"
    CSS = """
    Static.-empty { display: none; }
    Screen.-cramped, Screen.-low { content-align: center middle; overflow: hidden; }
    Screen.-cramped > *, Screen.-low > * { visibility: hidden; }
    DataTable, LogView, ScrollableContainer, VerticalScroll {
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-color: $foreground 20%;
        scrollbar-corner-color: $background;
    }
    VerticalScroll, OptionList { scrollbar-size: 1 1; }
    OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    Button.-textual-compact {
        min-width: 0;
        padding: 0 1;
        background: $foreground 10%;
        color: $foreground;
        &:focus { background: $primary; background-tint: transparent; color: $background; text-style: bold; }
        &:nocolor:focus { text-style: bold reverse; }
    }
    CommandPalette SearchIcon { display: none; }
    CommandPalette #--container { margin-top: 1; }  /* further down its list, 70 % high, leaves the screen */
    CommandPalette.-short #--container { margin-top: 0; }
    Input:nocolor > .input--cursor { text-style: reverse; }
    /* Textual leaves `reverse` out here. */
    OptionList:nocolor > .option-list--option-highlighted { text-style: bold underline; }
    #box:nocolor { outline-left: outer $foreground; outline-right: outer $foreground; }
    .-sixteen {
        #box { outline-left: outer $foreground; outline-right: outer $foreground; }
        RowList > .rowlist--cursor { text-style: reverse; }
        ResultsTable > .results--cursor { text-style: reverse; }
        KeyTable > .datatable--cursor, KeyTable:focus > .datatable--cursor { text-style: reverse; }
    }
    """
    COMMANDS = {Commands}  # noqa: RUF012 - not declared as ClassVar in textual
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-cramped"),
        (SMALLEST.width, "-narrow"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (SMALLEST.height, "-short"), (16, "-high")]  # noqa: RUF012
    # The app's come last in the chain, so that a screen's own stand first in its last line.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "help", priority=True),
        Binding("q", "quit", "leave, jobs run on"),
        Binding("S", "change_start_queue", "start queue"),
        Binding("t", "results", "results"),
        Binding("Q", "queue", "queue"),
        Binding("u", "system", "system"),
        Binding("colon", "command_palette", "commands", key_display=":"),
        Binding("r", "refresh_now", "refresh", show=False),
    ]

    def __init__(
        self,
        runs: Path,
        queue: Path,
        memory: Memory | None = None,
        *,
        readonly: bool = False,
        crash_file: Path | None = None,
    ) -> None:
        # Textual turns colours to greys for NO_COLOR; with the terminal's own colours it leaves them out.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.stylesheet = OnceParsed(self.stylesheet)
        self.poller = Poller(self.post_message)
        plan, history = Plan(queue), History(queue)
        self.session = Session(runs, queue, self.poller, plan, memory or Memory(None), readonly, history=history)
        self._crash_file = crash_file
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self._look = self.session.memory.load("app", AppLook)
        self.theme = self._look.theme if self._look.theme in self.available_themes else DARK.name
        self.set_class(self.console.color_system == "standard", "-sixteen")
        self.set_class(readonly, f"-{READONLY}")
        self._page, self._look.page = self._look.page, ""
        self._list: News | None = None
        """The newest of the list; None until it was read."""

    def get_driver_class(self) -> type[Driver]:
        """As textual chooses, and one that bears the loss of its terminal where that is the choice."""
        chosen = super().get_driver_class()
        return TerminalDriver if chosen is LinuxDriver else chosen

    # Full screens are awaited, so that no news reaches one before its widgets exist.

    async def on_mount(self) -> None:
        """Show the list and start to read."""
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self._heed_signals()
        await self.push_screen(RunsScreen(self.session))
        if self._page:  # once: whoever leaves by `q` after that begins with the list
            self.session.memory.store("app", self._look)
        if self._page in PLACES:
            await self._visit(self._page)
        self.run_worker(self.poller.run, thread=True, name="poller")

    def _keep_theme(self, theme: Theme) -> None:
        self._look.theme = theme.name
        self.session.memory.store("app", self._look)

    def _heed_signals(self) -> None:
        """Leave as with `q` when asked to end, so that the terminal is given back as it was."""
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, partial(self._taken_away, 128 + number))

    def _taken_away(self, code: int) -> None:
        """Leave, and begin the next time where this ends; who left by `q` begins with the list."""
        place = next((screen.place for screen in reversed(self._screens()) if screen.place), "")
        if place:
            self.session.memory.store("app", AppLook(self._look.theme, place))
        self.exit(return_code=code)

    def _fatal_error(self) -> None:
        """Nothing caught an error of ours; textual's own word on it may be screens long."""
        assert self._exception is not None
        self.panic(Text(crash_line(self._exception, self._crash_file)))

    async def on_event(self, event: events.Event) -> None:
        """Keys and clicks at what can't be seen do nothing, but for leaving."""
        if isinstance(event, events.InputEvent) and is_too_small(self.size):
            if isinstance(event, events.Key) and event.key in {"q", "ctrl+q"}:
                self.exit()
            return
        await super().on_event(event)

    def on_resize(self, event: events.Resize) -> None:
        """The palette hides and shows itself, whatever style sheets say.

        Textual forgets its own timer of 8 ms where the process is held up as that starts, and this resize and all later
        ones with it.
        """
        self.set_timer(0.5, self._check_resize)
        if is_too_small(event.size) and isinstance(self.screen, CommandPalette):
            self.screen.dismiss()

    def get_key_display(self, binding: Binding) -> str:
        """As the key says itself: `enter`, not an arrow."""
        return super().get_key_display(binding).replace("⏎", "enter")

    def on_unmount(self) -> None:
        """Let the poller's thread end; runs and queue are other processes and stay."""
        self.poller.stop()

    def on_news(self, message: News) -> None:
        """A reader has read something; every open screen hears of it."""
        if isinstance(message.what, Overview):
            if self._list is None:
                self.call_after_refresh(self.run_worker, _settle, thread=True, name="settle")
            self._list = message
        for screen in self._screens():
            screen.hear(message)
        if self._page and isinstance(message.what, Overview):
            self._return(message.what)

    def _return(self, overview: Overview) -> None:
        """Open the run that was open when the terminal was lost, unless the user has gone elsewhere."""
        view = next((view for view in overview.views if view.run_id == self._page), None)
        if view is not None and isinstance(self.screen, RunsScreen):
            self.post_message(RunsScreen.Opened(view))
        if view is not None or not overview.unread:
            self._page = ""

    def _screens(self) -> list[GoeScreen]:
        if not self.is_running:  # leaving: widgets go before the poller stops
            return []
        return [screen for screen in self.screen_stack if isinstance(screen, GoeScreen)]

    async def on_runs_screen_opened(self, message: RunsScreen.Opened) -> None:
        """A run was chosen. There is one run page at a time: another one, and what was opened from it, is left."""
        while any(isinstance(screen, page("run")) for screen in self.screen_stack):
            await self.pop_screen()
        await self._open("run", message.view)

    async def on_diff(self, message: Diff) -> None:
        """Two runs are to be seen side by side."""
        await self._open("diff", message.a, message.b)

    async def on_compare(self, message: Compare) -> None:
        """Runs are to be laid over each other."""
        await self._open("charts", message.views)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """As the screens: nothing is changed from a dashboard that only reads."""
        return super().check_action(action, parameters) if self.session.allows(action) else False

    async def action_results(self) -> None:
        """Show the evaluation table, or go back to it."""
        await self._visit("results")

    async def action_queue(self) -> None:
        """Show the queue's page, or go back to it."""
        await self._visit("queue")

    async def action_system(self) -> None:
        """Show the machine's page, or go back to it."""
        await self._visit("system")

    async def _visit(self, name: str) -> None:
        """A screen is open once at most: two of a kind would read under one name."""
        kind = page(name)
        if not any(isinstance(screen, kind) for screen in self.screen_stack):
            await self._open(name)
            return
        while not isinstance(self.screen, kind):
            await self.pop_screen()

    async def _open(self, name: str, *what: object) -> None:
        screen = page(name)(self.session, *what)
        await self.push_screen(screen)
        if self._list is not None:  # the next one is seconds away
            screen.hear(self._list)

    def action_help(self) -> None:
        """Show what the keys do here; again: no more."""
        if isinstance(self.screen, MessageScreen):
            self.screen.action_close()
        elif not isinstance(self.screen, CommandPalette):
            self.push_screen(HelpScreen(deed_groups(self.screen)))

    def action_refresh_now(self) -> None:
        """Read everything now."""
        self.poller.refresh()

    def action_change_start_queue(self) -> None:
        """Ask how, then start a queue that outlives this view, unless one works here already."""
        self.run_worker(self._ask_to_start(), group="start", exclusive=True)

    async def _ask_to_start(self) -> None:
        runs, queue = self.session.runs, self.session.queue
        mark = await asyncio.to_thread(queue_mark, runs)
        if mark is not None:
            self._tell(f"A queue already works here: process {mark.pid} on {mark.host}")
            return
        try:
            form = await asyncio.to_thread(start_form, runs, queue)
        except ConfigError as error:
            problems = "\n".join(map(clean_line, error.problems))
            self.push_screen(MessageScreen(f"{queue} can't be started", problems))
        else:
            self.push_screen(FormScreen(form), self._started)

    def _started(self, values: dict[str, str] | None) -> None:
        if values is not None:
            self._tell("Queue started. It goes on when you leave this view.")
            self.poller.refresh()

    def _tell(self, text: str) -> None:
        self.notify(text, markup=False)


def _settle() -> None:
    """In the quiet after the first useful frame: load what other pages need, then begin to look for garbage."""
    load_pages()
    if not gc.isenabled():
        gc.freeze()  # what is there stays, and need not be looked at again
        gc.enable()


def run_app(runs: Path, queue: Path, *, readonly: bool = False) -> None:
    """Show the dashboard until the user leaves it. Raises SystemExit where it ended otherwise."""
    file = memory_file(runs)
    app = GoeApp(runs, queue, Memory(file), readonly=readonly, crash_file=file.with_suffix(".crash.txt"))
    app.run()
    if app.return_code:
        raise SystemExit(app.return_code)
