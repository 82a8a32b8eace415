"""What every key does on the screen it was asked for, read off the bindings; a click on a line does it."""

from collections.abc import Sequence

from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.widgets import Static

from tui.keymap import DeedGroup
from tui.screens.confirm import MessageScreen
from tui.widgets.textscroll import TextScroll

_NOTE = (
    "A click on a line does what it says. Words typed after : find commands, themes and runs. "
    "Leaving ends nothing: runs and queue keep running."
)
_KEYS = 12
"""Columns of the keys."""
_DEED = "deed"
"""Under this name each cell of a line holds its place among the deeds."""


class HelpScreen(MessageScreen):
    """The keys in groups."""

    def __init__(self, groups: Sequence[DeedGroup]) -> None:
        super().__init__("Keys", _NOTE)
        self._groups = tuple(groups)
        self._deeds = [deed for group in self._groups for deed in group.deeds]

    def compose(self) -> ComposeResult:
        """Title, keys, what leaving does."""
        with TextScroll(id="box"):
            yield Static(self._title, id="title", markup=False)
            yield Static(key_table(self._groups), id="keys")
            yield Static(self._text, id="text", markup=False)

    def on_click(self, event: events.Click) -> None:
        """Do what the line says, on the screen that it is about."""
        place = event.style.meta.get(_DEED)
        if place is not None:
            deed = self._deeds[place]
            self.dismiss()
            self.app.call_later(self.app.run_action, deed.action, deed.node)


def key_table(groups: Sequence[DeedGroup]) -> Group:
    """Keys and words below each other, a title over each group."""
    parts: list[Text | Table] = []
    place = 0
    for group in groups:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=_KEYS, overflow="fold")
        table.add_column()
        for deed in group.deeds:
            mark = Style(meta={_DEED: place})
            table.add_row(Text(" ".join(deed.keys), mark + Style(bold=True)), Text(deed.words, mark))
            place += 1
        parts += [Text(group.title, "underline"), table, Text()]
    return Group(*parts)
