"""Some of several things, taken together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from tui.widgets.choicelist import ChoiceList
from tui.widgets.resultstable import printable


@dataclass(frozen=True, slots=True)
class Choice:
    """One of them."""

    key: str
    label: str
    rivals: str = ""
    """Of those with the same word here only one can be taken."""


class SeveralScreen(ModalScreen[frozenset[str] | None]):
    """The keys of what was taken; None if the user left it. Enter takes the marked ones, or else the one it is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", priority=True),
        Binding("enter", "take", "take", priority=True),
        Binding("a", "clear", "none marked: as usual"),
        Binding("escape,q", "dismiss(None)", "leave it", key_display="esc"),
    ]
    CSS = """
    SeveralScreen {
        align: center middle;
        #box { width: 64; max-width: 100%; height: auto; max-height: 90%; padding: 1 2; background: $panel; }
        #title { text-style: bold; margin-bottom: 1; }
        #hint { color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; margin-top: 1; }
        OptionList { height: auto; max-height: 55vh; border: none; background: $panel; padding: 0; }
        OptionList { scrollbar-size: 1 1; }
        #buttons { height: 1; align-horizontal: right; }
        Button { margin-left: 2; }
        &.-short #box { padding: 0 1; max-height: 100%; }
        &.-short OptionList { max-height: 50vh; }
        &.-short #title, &.-short #hint { margin: 0; }
    }
    """

    def __init__(self, title: str, choices: Sequence[Choice], marked: Iterable[str]) -> None:
        super().__init__()
        self._title = title
        self._choices = tuple(choices)
        self._before = frozenset(marked)
        self._marked = self._before

    def compose(self) -> ComposeResult:
        """Title, choices, what the keys do."""
        with Vertical(id="box"):
            yield Static(self._title, id="title", markup=False)
            yield ChoiceList(*(Option(self._text(choice)) for choice in self._choices))
            yield Static("space mark · enter take · a as usual", id="hint", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button("Take", id="yes", compact=True)

    def on_mount(self) -> None:
        """The first that is marked already."""
        marked = (place for place, choice in enumerate(self._choices) if choice.key in self._marked)
        found = self.query_one(ChoiceList)
        found.highlighted = next(marked, 0) if self._choices else None
        found.focus()

    def _text(self, choice: Choice) -> Text:
        sign = "■" if choice.key in self._marked else "□"
        return Text(f"{sign} {printable(choice.label)}", no_wrap=True, overflow="ellipsis")

    def _mark(self, marked: frozenset[str]) -> None:
        self._marked = marked
        found = self.query_one(ChoiceList)
        for place, choice in enumerate(self._choices):
            found.replace_option_prompt_at_index(place, self._text(choice))

    @property
    def _here(self) -> Choice | None:
        place = self.query_one(ChoiceList).highlighted
        return None if place is None else self._choices[place]

    def on_option_list_option_selected(self, _: OptionList.OptionSelected) -> None:
        """A click; enter is taken before."""
        self.action_mark()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click."""
        self.dismiss(self._marked if event.button.id == "yes" else None)

    def action_mark(self) -> None:
        """Mark, or not any more."""
        here = self._here
        if here is None:
            return
        rivals = {one.key for one in self._choices if here.rivals and one.rivals == here.rivals}
        self._mark(self._marked - {here.key} if here.key in self._marked else (self._marked - rivals) | {here.key})

    def action_take(self) -> None:
        """Those marked, if any mark changed, else the one the cursor is on."""
        if isinstance(self.focused, Button):
            self.focused.press()
            return
        if self._marked == self._before and self._here is not None:
            self.action_alone()
        self.dismiss(self._marked)

    def action_alone(self) -> None:
        """Mark the one the cursor is on, and no rival of it."""
        here = self._here
        if here is None:
            return
        kept = {one.key for one in self._choices if one.rivals != here.rivals} if here.rivals else set()
        self._marked = (self._marked & kept) | {here.key}

    def action_clear(self) -> None:
        """As usual."""
        self.dismiss(frozenset())
