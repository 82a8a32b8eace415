"""The last line of a screen: as many of its keys as fit whole, the most needed first, and always help.

Of a dashboard that only reads it says so before anything else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

_GAP, _WIDE_GAP, _WIDE = 1, 2, 80
"""Columns between two keys; where the screen is this wide, more."""
READONLY = "read-only"
"""What is said, and with a hyphen before it the app's class while it is so."""


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    words: str
    is_help: bool
    click: Style = field(compare=False)
    """Presses it."""

    @property
    def width(self) -> int:
        return cell_len(self.name) + 1 + cell_len(self.words)


class KeyLine(Widget):
    """Enter, then the keys of the screen, of the focused widget, of the app; what doesn't fit is left to the help.

    Textual's Footer is a widget for each key, made anew whenever the focus moves: a tenth of a screen's opening.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyline--key", "keyline--readonly"}
    DEFAULT_CSS = """
    KeyLine {
        dock: bottom;
        height: 1;
        background: $footer-background;
        color: $footer-description-foreground;
        link-color-hover: $footer-key-foreground;
        link-background-hover: $block-hover-background;
        link-style-hover: none;

        & > .keyline--key { color: $footer-key-foreground; text-style: bold; }
        & > .keyline--readonly { color: $warning; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[_Key, ...] = ()

    def on_mount(self) -> None:
        """Hear of other keys."""
        self.screen.bindings_updated_signal.subscribe(self, self._take)

    def _take(self, screen: Screen[object]) -> None:
        if screen is not self.screen or not self.app.app_focus:
            return
        shown: dict[str, ActiveBinding] = {}
        for active in screen.active_bindings.values():
            if active.binding.show:
                shown.setdefault(active.binding.action, active)
        keys = tuple(self._key(active) for active in sorted(shown.values(), key=self._rank))
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _key(self, active: ActiveBinding) -> _Key:
        binding = active.binding
        click = Style(meta={"@click": f"app.simulate_key({binding.key!r})"})
        return _Key(self.app.get_key_display(binding), binding.description, binding.action == "help", click)

    def _rank(self, active: ActiveBinding) -> int:
        if active.binding.key == "enter":
            return 0
        return 1 if active.node is self.screen else 3 if active.node is self.app else 2

    def render_line(self, _: int) -> Strip:
        """Textual's Line API."""
        width, style = self.size.width, self.rich_style
        gap, edge = (_WIDE_GAP, 1) if width >= _WIDE else (_GAP, 0)
        asides = [key for key in self._keys if key.is_help]
        room = width - 2 * edge - sum(key.width for key in asides)
        segments = [Segment(" " * edge, style)]
        if self.app.has_class(f"-{READONLY}"):
            said = Segment(READONLY + " " * gap, self.get_component_rich_style("keyline--readonly"))
            segments.append(said)
            room -= said.cell_length
        for key in _fitting((key for key in self._keys if not key.is_help), room, gap):
            segments += [*self._segments(key), Segment(" " * gap, style)]
            room -= key.width + gap
        segments.append(Segment(" " * room, style))
        for key in asides:
            segments += self._segments(key)
        return Strip(segments).crop_extend(0, width, style)

    def _segments(self, key: _Key) -> list[Segment]:
        name, words = self.get_component_rich_style("keyline--key"), self.rich_style
        return [Segment(key.name, name + key.click), Segment(f" {key.words}", words + key.click)]


def _fitting(keys: Iterable[_Key], room: int, gap: int) -> Iterator[_Key]:
    for key in keys:
        if key.width + gap <= room:
            room -= key.width + gap
            yield key
