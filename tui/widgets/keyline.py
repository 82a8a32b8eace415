"""The last line of a screen: as many of its keys as fit whole, the most needed first, and always help."""

from collections.abc import Iterable

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

_GAP, _WIDE_GAP, _WIDE = 1, 2, 80
"""Columns between two keys; where the screen is this wide, more."""


class KeyLine(Footer):
    """Enter, then the keys of the screen, of the focused widget, of the app; what doesn't fit is left to the help."""

    DEFAULT_CSS = """
    KeyLine.-airy { padding: 0 1; }
    KeyLine.-airy FooterKey { margin-right: 2; }
    KeyLine FooterKey.-help, KeyLine.-compact FooterKey.-help, KeyLine.-airy FooterKey.-help {
        dock: right; margin-right: 0;
    }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def compose(self) -> ComposeResult:
        """The keys that fit."""
        keys = sorted((key for key in super().compose() if isinstance(key, FooterKey)), key=self._rank)
        asides = [key for key in keys if key.action.removeprefix("app.") == "help"]
        gap = _WIDE_GAP if self.screen.size.width >= _WIDE else _GAP
        self.set_class(gap == _WIDE_GAP, "-airy")
        room = self.screen.size.width - 2 * (gap - _GAP) - sum(map(_width, asides))
        yield from _fitting((key for key in keys if key not in asides), room, gap)
        for key in asides:
            key.add_class("-help")
            yield key

    def _rank(self, key: FooterKey) -> int:
        if key.key == "enter":
            return 0
        node = self.screen.active_bindings[key.key].node
        return 1 if node is self.screen else 3 if node is self.app else 2

    def on_resize(self, _: events.Resize) -> None:
        """Choose again."""
        self.call_after_refresh(self.recompose)


def _fitting(keys: Iterable[FooterKey], room: int, gap: int) -> Iterable[FooterKey]:
    for key in keys:
        if _width(key) + gap <= room:
            room -= _width(key) + gap
            yield key


def _width(key: FooterKey) -> int:
    return cell_len(key.key_display) + 1 + cell_len(key.description)
