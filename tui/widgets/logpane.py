"""The log with its caption and its search line."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from goe.core.errors import UserError
from tui.messages import Hits, LogPage
from tui.reading.logpattern import Pattern
from tui.widgets.logview import LogView
from tui.widgets.runhead import size


class SearchLine(Input):
    """Where the words to look for are written; `ctrl+r` says whether they are a regular expression."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "regex", "plain text or regular expression"),
        Binding("escape", "leave", "leave the search"),
    ]
    regex = False

    class Left(Message):
        """It was given up."""

    class Turned(Message):
        """It is of the other kind now."""

    def action_regex(self) -> None:
        """The other kind."""
        self.regex = not self.regex
        self.post_message(self.Turned())

    def action_leave(self) -> None:
        """Back to the log."""
        self.post_message(self.Left())


class LogPane(Vertical):
    """Keys: `/` search, `n` `N` next and previous match, `f` follow, `w` wrap."""

    BINDING_GROUP_TITLE = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", key_display="/"),
        Binding("n", "step(1)", "next match", show=False),
        Binding("N", "step(-1)", "previous match", show=False),
        Binding("f", "follow", "follow", show=False),
        Binding("w", "wrap", "wrap", show=False),
        Binding("escape", "forget", "end the search", show=False),
    ]
    DEFAULT_CSS = """
    LogPane {
        #log-caption { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        LogView { padding: 0 0 0 1; scrollbar-size: 1 1; }
        #ask { display: none; height: 1; padding: 0 1; background: $panel; }
        &.-asking #ask { display: block; }
        #kind { width: auto; padding: 0 1 0 0; color: $primary; }
        SearchLine { width: 1fr; height: 1; padding: 0 1; background: $panel; }
    }
    """

    class Sought(Message):
        """Look for this in the whole log, first from `place` in this direction; None ends the search."""

        def __init__(self, wanted: Pattern | None, direction: int = 1, place: int = 0) -> None:
            super().__init__()
            self.wanted = wanted
            self.direction = direction
            self.place = place

    class Stepped(Message):
        """Find the next match after (1) or before (-1) the line at `place`."""

        def __init__(self, direction: int, place: int) -> None:
            super().__init__()
            self.direction = direction
            self.place = place

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._page = LogPage()
        self._wanted: Pattern | None = None
        self._steps = 0

    def compose(self) -> ComposeResult:
        """Caption, log, search line."""
        yield Static(id="log-caption", markup=False)
        yield LogView(id="log")
        with Horizontal(id="ask"):
            yield Static(id="kind", markup=False)
            yield SearchLine(id="search", compact=True, placeholder="enter searches, ctrl+r turns to the other kind")

    @property
    def view(self) -> LogView:
        """The lines."""
        return self.query_one(LogView)

    def show_page(self, page: LogPage) -> None:
        """The log was read, or the search went on."""
        self._page = page
        self.view.show_page(page)
        hits = page.hits
        if hits is not None and hits.wanted == self._wanted and hits.steps != self._steps:
            self._arrive(hits)
        self._say()

    def _arrive(self, hits: Hits) -> None:
        self._steps = hits.steps
        if hits.place is not None:
            self.view.mark(self._wanted, hits.place)
            self.view.seek(hits.place)
        elif hits.steps > 1:
            self.notify("No more matches that way", timeout=2)

    def on_log_view_moved(self, _: LogView.Moved) -> None:
        """Say where the view is."""
        self._say()

    def _say(self) -> None:
        words = " · ".join(self._words())
        caption = self.query_one("#log-caption", Static)
        if caption.content != words:
            caption.update(words)

    def _words(self) -> list[str]:
        view, page = self.view, self._page
        if page.problem:
            return [f"! log: can't be read: {page.problem}"]
        if not page.size:
            return ["log: empty so far"]
        words = [f"log {size(page.size)}", "following" if view.follow else f"{view.share:.0%}, f follows"]
        words += ["wrapped"] if view.wrap else []
        return words[:1] + self._search_words() + words[1:]

    def _search_words(self) -> list[str]:
        hits = self._page.hits
        if self._wanted is None or hits is None or hits.wanted != self._wanted:
            return []
        lines = f"{hits.lines:,} line{'' if hits.lines == 1 else 's'}"
        return [f"“{self._wanted.text}” in {lines}" + ("" if hits.share == 1 else f" so far ({hits.share:.0%})")]

    def action_search(self) -> None:
        """Ask what to look for."""
        self.add_class("-asking")
        self.on_search_line_turned()
        self.query_one(SearchLine).focus()

    def on_search_line_turned(self) -> None:
        """Say what kind of words are looked for."""
        kind = "regular expression" if self.query_one(SearchLine).regex else "plain text"
        self.query_one("#kind", Static).update(f"/ {kind}")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for it."""
        event.stop()
        wanted = Pattern(event.value, self.query_one(SearchLine).regex) if event.value else None
        try:
            if wanted is not None:
                _ = wanted.compiled
        except UserError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._leave()
        self._seek(wanted)

    def _seek(self, wanted: Pattern | None) -> None:
        self._wanted, self._steps = wanted, 0
        self.view.mark(wanted, None)
        rows = self.view.visible_rows
        if self.view.follow:  # who looks at the end wants the last one
            self.post_message(self.Sought(wanted, -1, self._page.size))
        else:
            self.post_message(self.Sought(wanted, 1, rows[0].line.start - 1 if rows else -1))

    def on_search_line_left(self, _: SearchLine.Left) -> None:
        """Nothing is looked for anew."""
        self._leave()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """A click elsewhere."""
        if isinstance(event.widget, SearchLine):
            self.remove_class("-asking")

    def _leave(self) -> None:
        self.remove_class("-asking")
        self.view.focus()

    def action_step(self, direction: int) -> None:
        """The next match, or the one before."""
        if self._wanted is None:
            self.action_search()
            return
        view, rows = self.view, self.view.visible_rows
        if not rows:
            return
        hit = view.hit
        seen = hit is not None and rows[0].line.start <= hit <= rows[-1].line.start
        edge = rows[0].line.start - 1 if direction > 0 else rows[-1].line.end
        self.post_message(self.Stepped(direction, hit if hit is not None and seen else edge))

    def action_follow(self) -> None:
        """Follow the end, or stay here."""
        self.view.follow = not self.view.follow

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.view.wrap = not self.view.wrap
        self._say()

    def action_forget(self) -> None:
        """End the search."""
        self._seek(None)
        self._say()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`esc` ends a search before it leaves the page."""
        return self._wanted is not None if action == "forget" else super().check_action(action, parameters)
