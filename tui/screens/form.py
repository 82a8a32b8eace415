"""A form of one-line fields that are checked as they are typed, each finding below its field."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeAlias

from msgspec import Struct
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import Suggester, SuggestFromList
from textual.widgets import Input, Static

from tui.screens.base import say
from tui.widgets.keyline import KeyLine

Values: TypeAlias = Mapping[str, str]
Findings: TypeAlias = Mapping[str, str]
"""What is wrong, by field; under "" what is no single field's fault."""
OTHER = ""
"""The name of the row that takes further fields."""
_PAUSE_S = 0.1
"""Typing rests for so long before it is checked."""


class Field(Struct, frozen=True):
    """One line of a form."""

    name: str
    value: str = ""
    usual: str = ""
    """What holds while it is empty."""
    about: str = ""
    words: tuple[str, ...] = ()
    """Values to choose from, completed as they are typed."""


class Form(Struct, frozen=True):
    """What a form asks, and what becomes of it. `check` and `apply` are called from a thread."""

    title: str
    fields: tuple[Field, ...]
    apply: Callable[[Values], Findings]
    """Do it; without findings it is done."""
    check: Callable[[Values], Findings] = lambda _: {}
    more: Mapping[str, Field] | None = None
    """Fields that can be added, by name; None for none."""
    note: str = ""


class FormScreen(ModalScreen[dict[str, str] | None]):
    """The values once they were applied; None if the user left. Enter applies, `esc` leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,ctrl+s", "save", "apply", key_display="enter"),
        Binding("escape", "leave", "leave it", key_display="esc"),
        Binding("down,tab", "app.focus_next", "next field", key_display="↓"),
        Binding("up,shift+tab", "app.focus_previous", "previous field", show=False),
    ]
    CSS = """
    FormScreen {
        align: center middle;
        #box { width: 90%; max-width: 110; height: auto; max-height: 90%; padding: 1 2; background: $panel; }
        #title { text-style: bold; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #note { color: $text-muted; height: auto; max-height: 3; }
        #rows { height: auto; max-height: 100%; margin-top: 1; scrollbar-size: 1 1; }
        #about { color: $text-muted; height: auto; max-height: 3; margin-top: 1; }
        #problem { color: $text-warning; height: auto; max-height: 4; }
        FormRow { height: auto; }
        FormRow Horizontal { height: 1; }
        FormRow .name { width: 20; height: 1; padding-right: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        FormRow .problem { color: $text-warning; height: auto; padding-left: 20; }
        Input { width: 1fr; background: $background; padding: 0 1; }
        Input:focus { background: $primary 15%; }
        &.-short #box { padding: 0 1; width: 100%; height: 100%; max-height: 100%; }
        &.-short #rows { height: 1fr; margin-top: 0; }
        &.-short #note { display: none; }
        &.-short #about { margin-top: 0; max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short #problem { max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-narrow FormRow .name { width: 13; }
        &.-narrow FormRow .problem { padding-left: 2; }
    }
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form
        self._fields = {field.name: field for field in form.fields}
        self._saving = False
        self._done: dict[str, str] | None = None
        """The values it was applied with."""

    def compose(self) -> ComposeResult:
        """Title, rows, the words about the field in hand, what is wrong, keys."""
        with Vertical(id="box"):
            yield Static(self._form.title, id="title", markup=False)
            yield Static(self._form.note, id="note", markup=False, classes="" if self._form.note else "-empty")
            with VerticalScroll(id="rows", can_focus=False):
                for field in self._form.fields:
                    yield FormRow(field)
                if self._form.more is not None:
                    yield FormRow(_OTHER, _KeySuggester(self._form.more))
            yield Static(id="about", markup=False, classes="-empty")
            yield Static(id="problem", markup=False, classes="-empty")
        yield KeyLine()

    def on_mount(self) -> None:
        """The first field takes the keys."""
        self.query(FormRow).first().input.focus()

    @property
    def values(self) -> dict[str, str]:
        """What the fields hold."""
        return {row.field.name: row.input.value.strip() for row in self.query(FormRow) if row.field.name != OTHER}

    def on_input_changed(self, event: Input.Changed) -> None:
        """Check it once typing rests."""
        if self._row(event.input).field.name != OTHER:
            self._check()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field."""
        event.stop()
        self.action_save()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Say what the field in hand is."""
        if isinstance(event.widget, Input):
            field = self._row(event.widget).field
            say(self.query_one("#about", Static), _about(field))

    def action_save(self) -> None:
        """Take over what stands in the last row, or apply the form."""
        rows = self.query(FormRow)
        other = next((row for row in rows if row.field.name == OTHER), None)
        if other is not None and other.input.value.strip():
            self._add(other)
        elif not self._saving:
            self._saving = True
            self._save()

    def action_leave(self) -> None:
        """Leave without a change."""
        if self.is_active:
            self.dismiss(None)

    def _add(self, other: "FormRow") -> None:
        """The key written in the last row becomes a field."""
        name, _, value = (part.strip() for part in other.input.value.partition("="))
        if not name:
            say(self.query_one("#problem", Static), "! write a key and its value, for example lr = 0.05")
            return
        other.input.value = ""
        row = next((row for row in self.query(FormRow) if row.field.name == name), None)
        if row is not None:
            row.input.value = value or row.input.value
        else:
            known = (self._form.more or {}).get(name, Field(name))
            row = FormRow(Field(name, value, known.usual, known.about, known.words))
            self.query_one("#rows").mount(row, before=other)
        self.call_after_refresh(other.input.focus if value else row.input.focus)
        self._check()

    @work(group="check", exclusive=True)
    async def _check(self) -> None:
        await asyncio.sleep(_PAUSE_S)
        found = await asyncio.to_thread(self._form.check, self.values)
        if self in self.app.screen_stack:  # it may have been left meanwhile
            self._show(found)

    @work(group="save")
    async def _save(self) -> None:
        values = self.values
        try:
            found = await asyncio.to_thread(self._form.apply, values)
        finally:
            self._saving = False
        if self not in self.app.screen_stack:  # it was left meanwhile
            return
        if not found:
            self._done = values
            self._leave_once_done()
            return
        self.workers.cancel_group(self, "check")
        self._show(found)
        wrong = next((row for row in self.query(FormRow) if row.field.name in found and row.field.name != OTHER), None)
        if wrong is not None:
            wrong.input.focus()

    def on_screen_resume(self) -> None:
        """What lay over the form is gone, and the form may have been applied under it."""
        self._leave_once_done()

    def _leave_once_done(self) -> None:
        if self._done is not None and self.is_active:
            self.dismiss(self._done)

    def _show(self, found: Findings) -> None:
        rows = self.query(FormRow)
        for row in rows:
            row.tell(found.get(row.field.name, "") if row.field.name != OTHER else "")
        names = {row.field.name for row in rows} - {OTHER}
        rest = [text for name, text in found.items() if name not in names]
        for line in self.query("#problem").results(Static):  # none any more where the dashboard is about to end
            say(line, "\n".join(f"! {text}" for text in rest))

    def _row(self, of: Input) -> "FormRow":
        return next(row for row in self.query(FormRow) if row.input is of)


class FormRow(Vertical):
    """A field's name, its input, and below what is wrong with it."""

    def __init__(self, field: Field, suggester: Suggester | None = None) -> None:
        super().__init__()
        self.field = field
        chosen = suggester or (SuggestFromList(field.words) if field.words else None)
        self.input = Input(field.value, placeholder=field.usual, suggester=chosen, compact=True, select_on_focus=False)
        self._problem = Static(classes="problem -empty", markup=False)

    def compose(self) -> ComposeResult:
        """Name and input on a line."""
        with Horizontal():
            yield Static(self.field.name or "another key", classes="name", markup=False)
            yield self.input
        yield self._problem

    def tell(self, problem: str) -> None:
        """Say what is wrong; nothing for nothing."""
        say(self._problem, f"! {problem}" if problem else "")


class _KeySuggester(Suggester):
    """Completes `key = value`: first the key, then the words it may have."""

    def __init__(self, keys: Mapping[str, Field]) -> None:
        super().__init__(case_sensitive=True)
        self._keys = keys

    async def get_suggestion(self, value: str) -> str | None:
        """The shortest key, or the first word, that begins so."""
        name, sign, rest = value.partition("=")
        if not sign:
            near = min((key for key in self._keys if key.startswith(name)), key=len, default=None)
            return f"{near} = " if near is not None else None
        return _completed(value, rest.lstrip(), self._keys.get(name.strip()))


def _completed(value: str, begun: str, field: Field | None) -> str | None:
    words: Sequence[str] = field.words if field is not None else ()
    word = next((word for word in words if word.startswith(begun)), None)
    return None if word is None else value[: len(value) - len(begun)] + word


def _about(field: Field) -> str:
    return "  ".join(part for part in (field.about, f"One of: {', '.join(field.words)}" if field.words else "") if part)


_OTHER = Field(OTHER, usual="lr = 0.05", about="Any other key of the file and its value; → completes, enter adds it.")
