"""A list of choices, one of them marked; arrows and j, k, g, G move the mark."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import OptionList


class ChoiceList(OptionList):
    """Enter or a click takes one."""

    BINDING_GROUP_TITLE = "Choices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor_up", "previous choice", show=False),
        Binding("down,j", "cursor_down", "next choice", show=False),
        Binding("pageup,ctrl+b", "page_up", "choices a page up", show=False),
        Binding("pagedown,ctrl+f", "page_down", "choices a page down", show=False),
        Binding("g,home", "first", "first choice", show=False),
        Binding("G,end", "last", "last choice", show=False),
    ]
