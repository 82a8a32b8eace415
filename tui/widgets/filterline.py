"""One line to type a filter into, with what is wrong with it below; hidden while there is neither text nor focus."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static


class FilterLine(Vertical):
    """Says every change; `enter` leaves the text standing, `esc` takes it back."""

    BINDING_GROUP_TITLE = "Filter"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "clear the filter"),
        Binding("down", "leave", "to the list"),
    ]
    DEFAULT_CSS = """
    FilterLine {
        height: auto;
        padding: 0 1;

        & > Input, & > Input:focus { height: 1; border: none; padding: 0; background: $panel; }
        & > Static { height: auto; max-height: 5; color: $text-warning; }
    }
    """

    class Changed(Message):
        """Another filter."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The user is done with typing."""

    def __init__(self, hint: str = "acc>0.95 state:failed method:goe", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._hint = hint
        self.display = False

    def compose(self) -> ComposeResult:
        """The input and the mistake."""
        yield Input(placeholder=self._hint, compact=True, select_on_focus=False)
        yield Static(markup=False)

    def ask(self) -> None:
        """Let the user type."""
        self.display = True
        self.query_one(Input).focus()

    def set_text(self, text: str) -> None:
        """Show this filter without telling anybody."""
        with self.prevent(Input.Changed):
            self.query_one(Input).value = text
        self.display = bool(text)

    def say(self, mistake: str) -> None:
        """Name what is wrong; nothing takes it back."""
        line = self.query_one(Static)
        line.display = bool(mistake)
        if line.content != mistake:
            line.update(mistake)

    def on_input_changed(self, event: Input.Changed) -> None:
        """At every key."""
        event.stop()
        self.post_message(self.Changed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.action_leave()

    def action_leave(self) -> None:
        """Go back to the list; the filter stands."""
        self.display = bool(self.query_one(Input).value)
        self.post_message(self.Left())

    def action_clear(self) -> None:
        """Take the filter back and leave."""
        self.query_one(Input).value = ""
        self.action_leave()
