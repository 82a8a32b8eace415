"""What the dashboard's full screens have in common: their keys, and how they are told the news."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from goe.core.overview import RunView
from tui.messages import Overview, Results, RunDetail

STOP = Binding("x", "app.stop_run", "stop")


class GoeScreen(Screen[None]):
    """A screen that gets every message of the poller and shows what it cares for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "app.help", "help", key_display="?"),
        Binding("q", "app.quit", "leave, jobs run on"),
        Binding("S", "app.start_queue", "start queue"),
        Binding("t", "app.results", "results"),
        Binding("r", "app.refresh_now", "refresh", show=False),
    ]

    @property
    def current(self) -> RunView | None:
        """The run that keys such as `x` mean."""
        return None

    def show_overview(self, overview: Overview) -> None:
        """The runs folder was read."""

    def show_detail(self, detail: RunDetail) -> None:
        """The open run was read."""

    def show_results(self, results: Results) -> None:
        """The evaluation results were read."""


def say(line: Static, text: str | Text) -> None:
    """Show the text, or nothing at all; the same text again costs nothing, where `update` would lay out the screen."""
    line.set_class(not text, "-empty")  # a class, so that style sheets can still hide the line for its size
    if line.content != text:
        line.update(text)
