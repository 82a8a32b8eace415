"""A text that may be higher than its place; arrows and j, k, g, G move it."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


class TextScroll(VerticalScroll, can_focus=True):
    """It moves at once: every step of an animation would be sent to the terminal."""

    BINDING_GROUP_TITLE = "Text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go('up')", "line up", show=False),
        Binding("down,j", "go('down')", "line down", show=False),
        Binding("pageup,ctrl+b", "go('page up')", "page up", show=False),
        Binding("pagedown,ctrl+f", "go('page down')", "page down", show=False),
        Binding("g,home", "go('home')", "first line", show=False),
        Binding("G,end", "go('end')", "last line", show=False),
    ]

    def action_go(self, where: str) -> None:
        """Move the text."""
        moves = {
            "up": self.scroll_up,
            "down": self.scroll_down,
            "page up": self.scroll_page_up,
            "page down": self.scroll_page_down,
            "home": self.scroll_home,
            "end": self.scroll_end,
        }
        moves[where](animate=False)
