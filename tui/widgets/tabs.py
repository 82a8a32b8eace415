"""The line that names the panes of a page and how to reach them: by number, by tab, by a click."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.widgets import Static


class TabLine(Static):
    """`1 curves   2 log …`; on a narrow screen only the chosen one keeps its name."""

    DEFAULT_CSS = """
    TabLine {
        link-style: none;
        link-color: $foreground;
        link-background-hover: $foreground 10%;
        link-style-hover: none;
    }
    """

    def __init__(self, action: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, markup=False)
        self._action = action
        self._panes: tuple[str, ...] = ()
        self._chosen = ""

    def show_panes(self, panes: Sequence[str], chosen: str) -> None:
        """Name these; `chosen` may be none of them."""
        self._panes, self._chosen = tuple(panes), chosen
        self._draw()

    def on_resize(self) -> None:
        """More or less room."""
        self._draw()

    def _draw(self) -> None:
        text = self._text("   ", names=True)
        if cell_len(text.plain) > self.content_size.width > 0:
            text = self._text(" ", names=True)
        if cell_len(text.plain) > self.content_size.width > 0:
            text = self._text("  ", names=False)
        if self.content != text:
            self.update(text)

    def _text(self, gap: str, *, names: bool) -> Text:
        found = Text(no_wrap=True, end="")
        for place, pane in enumerate(self._panes, 1):
            chosen = pane == self._chosen
            style = Style(bold=chosen, underline=chosen, dim=not chosen)
            label = f"{place} {pane}" if names or chosen else str(place)
            found.append(gap if place > 1 else "")
            found.append(label, style + Style(meta={"@click": f"{self._action}('{pane}')"}))
        return found
