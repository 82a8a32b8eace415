"""What the command palette offers: each deed of the screen below it with its keys, themes, runs by name."""

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from goe.core.overview import RunView
from tui.keymap import deed_groups
from tui.screens.runs import RunsScreen

_RUNS = 50
"""Runs offered at most; more words find the others."""


class Commands(Provider):
    """Deeds and themes from the start, runs once something is written."""

    async def discover(self) -> Hits:
        """What there is before anything is written."""
        for words, keys, command in self._commands():
            yield DiscoveryHit(_line(Content(words), keys), command, words)

    async def search(self, query: str) -> Hits:
        """What the words may mean."""
        matcher = self.matcher(query)
        for words, keys, command in self._commands():
            if (score := matcher.match(words)) > 0:
                yield Hit(score, _line(matcher.highlight(words), keys), command, words)
        for view in found_runs(self._runs(), query):
            text = f"open {view.run_id}"
            yield Hit(0.5, _line(Content(text), str(view.state)), partial(self._open, view), text)

    def _commands(self) -> Iterator[tuple[str, str, IgnoreReturnCallbackType]]:
        deeds = [deed for group in deed_groups(self.screen) for deed in group.deeds]
        for deed in sorted(deeds, key=lambda deed: not deed.shown):
            yield deed.words, " ".join(deed.keys), partial(self.app.run_action, deed.action, deed.node)
        for name in sorted(self.app.available_themes, key=lambda name: (not name.startswith("goe-"), name)):
            yield f"theme {name}", "", partial(setattr, self.app, "theme", name)

    def _runs(self) -> tuple[RunView, ...]:
        return next((screen.views for screen in self.app.screen_stack if isinstance(screen, RunsScreen)), ())

    def _open(self, view: RunView) -> None:
        self.app.post_message(RunsScreen.Opened(view))


def _line(words: Content, aside: str) -> Content:
    return Content.assemble(words, (f"  {aside}", "dim"))


def found_runs(views: tuple[RunView, ...], query: str) -> list[RunView]:
    """Runs with every word in their name."""
    words = query.lower().removeprefix("open ").split()
    return [view for view in views if all(word in view.run_id.lower() for word in words)][:_RUNS]
