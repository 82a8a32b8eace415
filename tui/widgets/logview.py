"""The tail of a log: lines in, plain text out; it opens no file and never interprets what a program printed."""

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from goe.core.logfile import clean_line

MAX_LINES = 2_000


class LogView(ScrollView, can_focus=True):
    """The last 2,000 lines of a log, following its end until the reader scrolls up."""

    ALLOW_SELECT = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "scroll_up", "Scroll up", show=False),
        Binding("j", "scroll_down", "Scroll down", show=False),
        Binding("h", "scroll_left", "Scroll left", show=False),
        Binding("l", "scroll_right", "Scroll right", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "Follow", show=False),
    ]
    DEFAULT_CSS = """
    LogView {
        height: 1fr;
    }
    """

    follow: var[bool] = var(True)
    """Whether new lines scroll into view; off while the reader is above the end, on again at the end."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: list[str] = []

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines shown, cleaned."""
        return tuple(self._lines)

    def set_lines(self, lines: Iterable[str]) -> None:
        """Show this tail instead; a reader who scrolled up keeps the lines in view if they are still there."""
        new = [clean_line(line) for line in list(lines)[-MAX_LINES:]]
        if new != self._lines:
            self._replace(new, gone=0 if self.follow else _lines_gone(self._lines, new))

    def append(self, lines: Iterable[str]) -> None:
        """Add lines at the end; the oldest beyond 2,000 go."""
        added = [clean_line(line) for line in list(lines)[-MAX_LINES:]]
        if added:
            gone = max(0, len(self._lines) + len(added) - MAX_LINES)
            self._replace((self._lines + added)[-MAX_LINES:], gone)

    def clear(self) -> None:
        """Empty the view and follow again, for another log."""
        self._replace([], gone=0)
        self.follow = True

    def _replace(self, lines: list[str], gone: int) -> None:
        """Show `lines`, of which the first `gone` shown before are no longer part."""
        follow = self.follow  # setting the size may clamp the scroll position and so change it
        self._lines = lines
        self.virtual_size = Size(max(map(cell_len, lines), default=0), len(lines))
        if follow:
            self._show_end()
        elif gone:
            self.scroll_to(y=self.scroll_y - gone, animate=False, immediate=True)
        self.refresh()

    def _show_end(self) -> None:
        # forced, because the first lines arrive before the layout has shown a scrollbar
        self.scroll_end(animate=False, force=True, immediate=True, x_axis=False)

    def watch_follow(self, follow: bool) -> None:
        """Jump to the end when following is switched on from elsewhere.

        Arriving at the end must not scroll again: that would stop the animation from inside its own last step.
        """
        if follow and not self.is_vertical_scroll_end:
            self._show_end()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up stops following; reaching the end starts it again."""
        super().watch_scroll_y(old_value, new_value)
        self.follow = round(new_value) >= self.max_scroll_y

    def on_resize(self, _: events.Resize) -> None:
        """A smaller view still shows the end."""
        if self.follow:
            self._show_end()

    def render_line(self, y: int) -> Strip:
        """Textual's Line API: the line y rows below the top of the view."""
        left, top = self.scroll_offset
        style, width, number = self.rich_style, self.size.width, top + y
        if number >= len(self._lines):
            return Strip.blank(width, style)
        text = Text(self._lines[number], style, no_wrap=True, end="")
        self._mark_selection(text, number)
        # rich leaves the style out of a text without spans, which would show the terminal's own background
        segments = Segment.apply_style(text.render(self.app.console), style)
        strip = Strip(segments).crop_extend(left, left + width, style)
        return strip.apply_offsets(left, number)

    def _mark_selection(self, text: Text, number: int) -> None:
        span = self.text_selection.get_span(number) if self.text_selection else None
        if span is not None:
            start, end = span
            style = self.screen.get_component_rich_style("screen--selection")
            text.stylize(style, start, len(text) if end == -1 else end)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """The selected text for the clipboard, and what to put after it."""
        return selection.extract("\n".join(self._lines)), "\n"


def _lines_gone(old: list[str], new: list[str]) -> int:
    """How many lines at the top of `old` are no longer in `new`, both being tails of one growing log.

    The last old line is left out of the comparison: a progress bar may have changed it since.
    """
    kept = old[:-1]
    return next((n for n in range(len(kept)) if kept[n:] == new[: len(kept) - n]), 0)
