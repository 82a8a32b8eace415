"""The manual's tables of keys are what the bindings say, and its pictures are there.

To write the tables anew: GOE_SNAPSHOTS=accept pytest tests/tui/test_manual.py
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from tui.app import GoeApp
from tui.screens.charts import ChartsScreen
from tui.screens.checkpoints import CheckpointsPane
from tui.screens.columns import ColumnsScreen
from tui.screens.diff import DiffScreen
from tui.screens.form import FormScreen
from tui.screens.histogram import HistogramScreen
from tui.screens.queue import QueueScreen
from tui.screens.results import ResultsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.several import SeveralScreen
from tui.screens.system import SystemScreen
from tui.widgets.chartgrid import ChartGrid
from tui.widgets.choicelist import ChoiceList
from tui.widgets.logpane import LogPane
from tui.widgets.logview import LogView
from tui.widgets.resultstable import ResultsTable
from tui.widgets.runtable import RunTable
from tui.widgets.textscroll import TextScroll

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs" / "dashboard.md"
README = ROOT / "README.md"
KEYS: dict[str, tuple[type[DOMNode], ...]] = {
    "everywhere": (GoeApp,),
    "runs": (RunsScreen, RunTable),
    "columns": (ColumnsScreen,),
    "charts": (ChartsScreen, ChartGrid),
    "histogram": (HistogramScreen, TextScroll),
    "run": (RunScreen,),
    "log": (LogPane, LogView),
    "checkpoints": (CheckpointsPane,),
    "diff": (DiffScreen,),
    "results": (ResultsScreen, ResultsTable, SeveralScreen, ChoiceList),
    "queue": (QueueScreen, FormScreen),
    "system": (SystemScreen,),
}
BLOCK = re.compile(r"<!-- keys: (?P<name>\w+) -->\n(?P<table>.*?)<!-- end -->", re.DOTALL)


def table(kinds: tuple[type[DOMNode], ...]) -> str:
    """A line for each deed: its keys and what it does."""
    app = GoeApp(Path("runs"), Path("experiments.toml"))
    deeds: dict[str, list[str]] = {}
    for kind in kinds:
        ours = [base for base in kind.__mro__ if base.__module__.startswith("tui.") and "BINDINGS" in vars(base)]
        for base in reversed(ours):
            for binding in Binding.make_bindings(vars(base)["BINDINGS"]):
                deeds.setdefault(binding.description, []).append(
                    app.get_key_display(replace(binding, key_display=None))
                )
    rows = [f"| {' '.join(f'`{key}`' for key in dict.fromkeys(keys))} | {words} |" for words, keys in deeds.items()]
    return "\n".join(["| key | |", "|---|---|", *rows]) + "\n"


def test_the_manual_has_every_key() -> None:
    found = MANUAL.read_text(encoding="utf-8")
    wanted = BLOCK.sub(lambda one: f"<!-- keys: {one['name']} -->\n{table(KEYS[one['name']])}<!-- end -->", found)
    if os.environ.get("GOE_SNAPSHOTS") == "accept":
        MANUAL.write_text(wanted, encoding="utf-8")
        found = wanted
    assert {one["name"] for one in BLOCK.finditer(found)} == set(KEYS)
    assert wanted == found, "keys have changed: GOE_SNAPSHOTS=accept pytest tests/tui/test_manual.py writes them anew"


@pytest.mark.parametrize("page", [MANUAL, README])
def test_its_pictures_are_there(page: Path) -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert pictures
    assert [name for name in pictures if not (page.parent / name).is_file()] == []


def test_every_picture_is_shown() -> None:
    shown = MANUAL.read_text(encoding="utf-8") + README.read_text(encoding="utf-8")
    assert [file.name for file in (ROOT / "docs" / "pictures").iterdir() if file.name not in shown] == []
