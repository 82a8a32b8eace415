"""One of many names, chosen by typing a part of it or with the arrows."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option


class PickScreen(ModalScreen[str | None]):
    """The name chosen; None if the user left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave it as it is"),
        Binding("down", "move(1)", "next", show=False, priority=True),
        Binding("up", "move(-1)", "previous", show=False, priority=True),
    ]
    CSS = """
    PickScreen {
        align: center middle;
        #box { width: 48; max-width: 100%; height: auto; max-height: 90%; padding: 1 2; background: $panel; }
        #title { text-style: bold; }
        Input { height: 1; border: none; padding: 0; margin: 1 0; background: $surface; }
        OptionList { height: auto; max-height: 20; border: none; padding: 0; background: $panel; scrollbar-size: 1 1; }
        &.-short #box, &.-tiny #box { padding: 0 1; max-height: 100%; }
        &.-short Input, &.-tiny Input { margin: 0; }
        &.-short OptionList { max-height: 8; }
    }
    """

    def __init__(self, title: str, names: Sequence[tuple[str, str]], current: str) -> None:
        super().__init__()
        self._title = title
        self._names = names
        """Each with what is said of it."""
        self._current = current

    def compose(self) -> ComposeResult:
        """Title, what is typed, the names that have it."""
        with Vertical(id="box"):
            yield Static(self._title, id="title", markup=False)
            yield Input(placeholder="type a part of the name", compact=True)
            yield OptionList(compact=True)

    def on_mount(self) -> None:
        """All names, with the cursor on the present one."""
        self._fill("")
        self.query_one(Input).focus()

    def _fill(self, part: str) -> None:
        found = [(name, said) for name, said in self._names if part.casefold() in f"{name} {said}".casefold()]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(Option(Text.assemble(name, (f"  {said}", "dim")), id=name) for name, said in found)
        names = [name for name, _ in found]
        if names:
            options.highlighted = names.index(self._current) if self._current in names else 0

    def on_input_changed(self, event: Input.Changed) -> None:
        """Fewer names, or more."""
        self._fill(event.value)

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Enter takes the name under the cursor."""
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self.dismiss(options.get_option_at_index(options.highlighted).id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click."""
        self.dismiss(event.option.id)

    def action_move(self, rows: int) -> None:
        """The cursor moves while the input keeps the keys."""
        options = self.query_one(OptionList)
        if rows > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()
