"""The least that a Textual program can do: one list of 1,000 options. What `goe tui` takes beyond it is its own."""

from collections.abc import Mapping, Sequence

from link import COMPILED

TEXT = "option 0000"

_APP = """
from textual.app import App
from textual.widgets import OptionList
class Trivial(App):
    BINDINGS = [("j", "down", "down")]
    def compose(self):
        yield OptionList(*(f"option {number:04d}" for number in range(1000)))
    def action_down(self):
        self.query_one(OptionList).action_cursor_down()
Trivial().run()
"""


def trivial(python: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """Its command line, and what its environment adds."""
    return [python, "-c", _APP], COMPILED | {"TERM": "tmux-256color"}
