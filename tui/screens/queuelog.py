"""What the queues of the folder wrote, its end followed."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core.logfile import clean_line
from tui.messages import QueueLog
from tui.reading.base import Reader
from tui.reading.queue import QueueLogReader
from tui.screens.base import GoeScreen, say
from tui.widgets.keyline import KeyLine
from tui.widgets.textscroll import TextScroll

EMPTY = "Nothing yet: a queue that was started in the background writes here what it does."


class QueueLogScreen(GoeScreen):
    """The log's last lines; `esc` leaves."""

    BINDING_GROUP_TITLE = "Queue's log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,L", "back", "back", key_display="esc"),
    ]
    CSS = """
    QueueLogScreen {
        #top { height: 1; padding: 0 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        #scroll { height: 1fr; padding: 0 1; scrollbar-size: 1 1; }
        #lines { height: auto; min-height: 100%; }
    }
    """

    def compose(self) -> ComposeResult:
        """Title, lines, keys."""
        yield Static(f"queue's log  {self.session.runs}/.queue.log", id="top", markup=False)
        with TextScroll(id="scroll"):
            yield Static("reading …", id="lines", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """The end is followed until somebody scrolls up."""
        scroll = self.query_one("#scroll", TextScroll)
        scroll.anchor()
        scroll.focus()

    def readers(self) -> dict[str, Reader]:
        """The log."""
        return {"queue-log": QueueLogReader(self.session.runs)}

    def take(self, what: object) -> None:
        """The log was read."""
        if isinstance(what, QueueLog):
            say(self.query_one("#lines", Static), "\n".join(map(clean_line, what.lines)) or EMPTY)
