"""The pages behind the list, each loaded on its first visit, or all in the quiet after the first useful frame."""

from importlib import import_module
from typing import cast

from tui.screens.base import GoeScreen

PLACES = {
    "results": "tui.screens.results.ResultsScreen",
    "queue": "tui.screens.queue.QueueScreen",
    "system": "tui.screens.system.SystemScreen",
}
"""Those that are made of nothing but the session, by the app's action that goes there."""
PAGES = {
    **PLACES,
    "run": "tui.screens.run.RunScreen",
    "charts": "tui.screens.charts.ChartsScreen",
    "diff": "tui.screens.diff.DiffScreen",
}


def page(name: str) -> type[GoeScreen]:
    """The page of this name."""
    module, _, kind = PAGES[name].rpartition(".")
    return cast("type[GoeScreen]", getattr(import_module(module), kind))


def load_pages() -> None:
    """Load them all."""
    for name in PAGES:
        page(name)
