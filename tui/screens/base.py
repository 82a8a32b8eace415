"""What the dashboard's full screens have in common: how they are told the news, what is there in too little room."""

from rich.console import RenderableType
from rich.text import Text
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

from goe.core.overview import RunView
from tui.messages import News
from tui.reading.base import Reader
from tui.session import Session

SMALLEST = Size(40, 12)
TOO_SMALL = Text(f"goe needs {SMALLEST.width}×{SMALLEST.height}", justify="center")


def is_too_small(size: Size) -> bool:
    """Whether nothing is drawn at this size, and no key but `q` does anything."""
    return size.width < SMALLEST.width or size.height < SMALLEST.height


class GoeScreen(Screen[None]):
    """A screen that has its own readers while it is open, and is told all news, of which it shows what it cares for."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._read: tuple[str, ...] = ()
        self.unheard: dict[str, object] = {}
        """The newest of each reader that came while a full screen lay over this one: what can't be seen isn't drawn."""

    def readers(self) -> dict[str, Reader]:
        """What is to be read while the screen is open, by a name of its own."""
        return {}

    def hear(self, news: News) -> None:
        """Take the news now, or once the screen is seen again."""
        stack = self.app.screen_stack
        if all(screen.is_modal for screen in stack[stack.index(self) + 1 :]):
            self.take(news.what)
        else:
            self.unheard[news.reader] = news.what

    def on_screen_resume(self) -> None:
        """Catch up."""
        unheard, self.unheard = self.unheard, {}
        for what in unheard.values():
            self.take(what)

    def take(self, what: object) -> None:
        """News from any reader: one of the facts of tui/messages.py. Called once the screen's widgets exist."""

    def on_mount(self) -> None:
        """Begin to read."""
        readers = self.readers()
        self._read = tuple(readers)
        for name, reader in readers.items():
            self.session.poller.follow(name, reader)

    def on_unmount(self) -> None:
        """Read no more."""
        for name in self._read:
            self.session.poller.follow(name, None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where nothing may be changed from here, every `change_…` is refused and left out of the keys."""
        return super().check_action(action, parameters) if self.session.allows(action) else False

    def action_back(self) -> None:
        """Leave the screen, unless another is above it or it is being left already."""
        if self.is_active:
            self.dismiss()

    def render(self) -> RenderableType:
        """The screen's ground; one line on it where the terminal is too small for the rest."""
        return TOO_SMALL if is_too_small(self.app.size) else super().render()

    @property
    def place(self) -> str:
        """What opens it again when the terminal was lost: a page's name or a run's id; empty where nothing does."""
        return ""

    @property
    def current(self) -> RunView | None:
        """The run that keys such as `x` mean."""
        return None


def say(line: Static, text: str | Text) -> None:
    """Show the text, or nothing at all; the same again costs nothing; only a line that grows lays the screen out."""
    line.set_class(not text, "-empty")  # a class, so that style sheets can still hide the line for its size
    if line.content != text:
        line.update(text, layout=line.styles.auto_dimensions)
