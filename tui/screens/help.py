"""What every key does on the screen it was asked for, read off the bindings."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.keymap import DeedGroup
from tui.screens.confirm import MessageScreen

_NOTE = "Leaving ends nothing: runs and queue keep running. Words typed after : find commands, themes and runs."
_KEYS = 12
"""Columns of the keys."""


class HelpScreen(MessageScreen):
    """The keys in groups."""

    def __init__(self, groups: Sequence[DeedGroup]) -> None:
        super().__init__("Keys", _NOTE)
        self._groups = tuple(groups)

    def compose(self) -> ComposeResult:
        """Title, keys, what leaving does."""
        with VerticalScroll(id="box"):
            yield Static(self._title, id="title", markup=False)
            yield Static(key_table(self._groups), id="keys")
            yield Static(self._text, id="text", markup=False)


def key_table(groups: Sequence[DeedGroup]) -> Group:
    """Keys and words below each other, a title over each group."""
    parts: list[Text | Table] = []
    for group in groups:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=_KEYS, overflow="fold")
        table.add_column()
        for deed in group.deeds:
            table.add_row(Text(" ".join(deed.keys), "bold"), Text(deed.words))
        parts += [Text(group.title, "underline"), table, Text()]
    return Group(*parts)
