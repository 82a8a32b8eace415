"""One of several things, or a line of text, asked for before something is done."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.widgets.choicelist import ChoiceList

_FILTERED_FROM = 10
"""Choices, from which on they can be filtered by what is written."""


class ChooseScreen(ModalScreen[str | None]):
    """The key of the chosen one; None if the user left it. What is written narrows a long list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "leave it", key_display="esc"),
        Binding("down,ctrl+n", "move(1)", "next", show=False),
        Binding("up,ctrl+p", "move(-1)", "previous", show=False),
    ]
    CSS = """
    ChooseScreen {
        align: center middle;
        #box { width: 72; max-width: 100%; height: auto; max-height: 90%; padding: 1 2; background: $panel; }
        #title { text-style: bold; margin-bottom: 1; }
        Input { margin-bottom: 1; }
        OptionList { height: auto; max-height: 16; border: none; background: $panel; padding: 0; }
        &.-short #box { padding: 0 1; max-height: 100%; }
        &.-short OptionList { max-height: 7; }
        &.-short #title, &.-short Input { margin-bottom: 0; }
    }
    """

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], current: str = "") -> None:
        """`choices`: keys with what is said of them; the mark begins on `current`."""
        super().__init__()
        self._current = current
        self._title = title
        self._choices = tuple(choices)

    def compose(self) -> ComposeResult:
        """Title, filter, choices."""
        with Vertical(id="box"):
            yield Static(self._title, id="title", markup=False)
            if len(self._choices) >= _FILTERED_FROM:
                yield Input(placeholder="write to narrow the list", compact=True)
            yield ChoiceList(*self._options(""))

    def _options(self, words: str) -> list[Option]:
        wanted = words.lower().split()
        kept = [choice for choice in self._choices if all(word in choice[1].lower() for word in wanted)]
        return [Option(Text(label, no_wrap=True, overflow="ellipsis"), id=key) for key, label in kept]

    def on_mount(self) -> None:
        """The current one is marked, or the first."""
        keys = [key for key, _ in self._choices]
        self.query_one(ChoiceList).highlighted = keys.index(self._current) if self._current in keys else 0
        (self.query(Input).first() if self.query(Input) else self.query_one(ChoiceList)).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Fewer choices."""
        found = self.query_one(ChoiceList)
        found.clear_options()
        found.add_options(self._options(event.value))
        found.highlighted = 0 if found.option_count else None

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Enter takes the marked one."""
        self.query_one(ChoiceList).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        self.dismiss(event.option.id)

    def action_move(self, step: int) -> None:
        """Mark another one, also from the filter."""
        options = self.query_one(ChoiceList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()


class AskScreen(ModalScreen[str | None]):
    """The text that was written; None if the user left it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "leave it")]
    CSS = """
    AskScreen {
        align: center middle;
        #box { width: 80; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; background: $panel; }
        #title { text-style: bold; }
        #text { height: auto; margin: 1 0; }
    }
    """

    def __init__(self, title: str, text: str, value: str) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._value = value

    def compose(self) -> ComposeResult:
        """Title, explanation, line."""
        with Vertical(id="box"):
            yield Static(self._title, id="title", markup=False)
            yield Static(self._text, id="text", markup=False)
            yield Input(self._value, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(event.value.strip() or None)
