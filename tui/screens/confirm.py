"""A question before something is ended, and a message that wants to be read."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.widgets.textscroll import TextScroll


class ConfirmScreen(ModalScreen[bool]):
    """True if the user agreed. `y` agrees, `n` and `esc` don't, enter takes the marked button."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
        Binding("left,h,right,l,up,k,down,j", "app.focus_next", "other button", show=False),
    ]
    CSS = """
    ConfirmScreen {
        align: center middle;
        #box { width: 64; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; background: $panel; }
        #title { text-style: bold; }
        #text { height: auto; margin: 1 0; }
        #buttons { height: 1; align-horizontal: right; }
        Button { margin-left: 2; }
    }
    """

    def __init__(self, title: str, text: str, action: str, *, dangerous: bool = False) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._action = action
        self._dangerous = dangerous

    def compose(self) -> ComposeResult:
        """The question and two buttons."""
        with Vertical(id="box"):
            yield Static(self._title, id="title", markup=False)
            yield Static(self._text, id="text", markup=False)
            with Horizontal(id="buttons"):
                yield Button("n  Cancel", id="no", compact=True)
                yield Button(f"y  {self._action}", id="yes", compact=True)

    def on_mount(self) -> None:
        """What can't be undone is not one key away."""
        self.query_one("#no" if self._dangerous else "#yes").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Enter or a click."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, agreed: bool) -> None:
        """A key."""
        self.dismiss(agreed)


class MessageScreen(ModalScreen[None]):
    """A title and any number of lines; `esc`, enter or `q` closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "close"),
    ]
    DEFAULT_CSS = """
    MessageScreen {
        align: center middle;
        #box { width: 90%; max-width: 100; height: auto; max-height: 90%; padding: 1 2; background: $panel; }
        #title { text-style: bold; margin-bottom: 1; }
        #lines { height: auto; max-height: 100%; scrollbar-size: 1 1; }
        #text { height: auto; }
        &.-short #box { padding: 0 1; width: 100%; max-height: 100%; }
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Title and text."""
        with TextScroll(id="box"):
            yield Static(self._title, id="title", markup=False)
            yield Static(self._text, id="text", markup=False)

    def action_close(self) -> None:
        """Close it."""
        self.dismiss()
