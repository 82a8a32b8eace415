"""The table written to a file, in any of goe's forms, as `goe table` would print it."""

from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from goe.core.forms import FORMATS, Format
from goe.core.rundir import write_atomic
from tui.messages import Results
from tui.reading.results import written
from tui.reading.tablelook import command_line
from tui.screens.base import say
from tui.screens.confirm import ConfirmScreen
from tui.session import Session
from tui.widgets.resultstable import printable

ENDINGS: dict[str, str] = {"text": "txt", "md": "md", "csv": "csv", "json": "json", "latex": "tex", "html": "html"}
"""Of the file's name, by form."""


class TableFileScreen(ModalScreen[None]):
    """Form and file; enter writes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "leave it", key_display="esc"),
        Binding("tab,down", "form(1)", "next form", key_display="tab", priority=True),
        Binding("shift+tab,up", "form(-1)", "previous form", show=False, priority=True),
        Binding("ctrl+y", "copy", "copy the command line", show=False, priority=True),
    ]
    CSS = """
    TableFileScreen {
        align: center middle;
        #box { width: 84; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; background: $panel; }
        #title { text-style: bold; }
        #forms { height: auto; margin: 1 0; }
        Input { border: none; height: 1; padding: 0; background: $background; }
        #command { height: auto; margin: 1 0; color: $text-muted; }
        #buttons { height: 1; align-horizontal: right; }
        Button { margin-left: 2; }
        #problem { height: auto; color: $text-warning; }
        #hint { color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short #box { padding: 0 1; }
        &.-short #forms, &.-short #command { margin: 0; }
    }
    """

    def __init__(self, session: Session, results: Results) -> None:
        super().__init__()
        self._session = session
        self._results = results
        self._form: Format = "md"

    def compose(self) -> ComposeResult:
        """Forms, file, and the command that prints the same."""
        with Vertical(id="box"):
            yield Static("Write the table to a file", id="title", markup=False)
            yield Static(id="forms", markup=False)
            yield Input(f"results.{ENDINGS[self._form]}")
            yield Static(id="command", markup=False)
            yield Static(id="problem", markup=False)
            yield Static("enter write · tab form · ctrl+y copy the command · esc", id="hint", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button("Write", id="yes", compact=True)

    def on_mount(self) -> None:
        """The name can be written over at once."""
        self.query_one(Input).focus()
        say(self.query_one("#problem", Static), "")
        self._say()

    @property
    def command(self) -> str:
        """What prints the same."""
        return command_line(self._results.look, self._session.runs, self._session.queue, self._form)

    def _say(self) -> None:
        forms = "  ".join(f"[{form}]" if form == self._form else f" {form} " for form in FORMATS)
        say(self.query_one("#forms", Static), forms)
        say(self.query_one("#command", Static), printable(self.command))

    def action_form(self, step: int) -> None:
        """Another form; the file's ending follows where it was that of the form before."""
        asked = self.query_one(Input)
        before = ENDINGS[self._form]
        self._form = FORMATS[(FORMATS.index(self._form) + step) % len(FORMATS)]  # type: ignore[assignment]
        if asked.value.endswith(f".{before}"):
            asked.value = asked.value.removesuffix(before) + ENDINGS[self._form]
        self._say()

    def action_copy(self) -> None:
        """The command line, to the terminal's clipboard."""
        self.app.copy_to_clipboard(self.command)
        self.notify(f"copied: {self.command}", markup=False)

    @on(events.Click, "#forms")
    def next_form(self) -> None:
        """A click on the forms."""
        self.action_form(1)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click."""
        if event.button.id == "yes":
            self.on_input_submitted()
        else:
            self.dismiss()

    def on_input_submitted(self) -> None:
        """Write; over a file that is there only after a question."""
        name = self.query_one(Input).value.strip()
        if not name:
            return
        path = Path(name).expanduser()
        if path.is_dir():
            self._refuse(f"{path}: is a folder; name a file in it")
        elif not path.exists():
            self._write(path)
        else:
            question = ConfirmScreen(
                f"Write over {path.name}?", f"{path} is there already.", "Overwrite", dangerous=True
            )
            self.app.push_screen(question, lambda agreed: self._write(path) if agreed else None)

    def _refuse(self, problem: str) -> None:
        say(self.query_one("#problem", Static), f"! {problem}")

    def _write(self, path: Path) -> None:
        try:
            write_atomic(path, written(self._results, self._form).encode())
        except OSError as error:
            self._refuse(f"{path}: can't be written: {error.strerror}; choose another name")
        else:
            self.notify(f"written: {path}", markup=False)
            self.dismiss()
