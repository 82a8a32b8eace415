"""Runs beside each other: a chart a metric, a curve a run, or a configuration's seeds as mean ± std."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core.chart import colour_index
from goe.core.overview import RunView
from tui.curves.columns import RunCurves
from tui.reading.base import Reader
from tui.reading.curves import CurveReader
from tui.screens.base import GoeScreen, say
from tui.session import Session
from tui.widgets.chart import curve_style
from tui.widgets.chartgrid import ChartGrid
from tui.widgets.dots import printable
from tui.widgets.keyline import KeyLine
from tui.widgets.panels import CurveLook, Member, ambiguous, letter, overlay_entries, overlay_panels

MEMORY = "charts"
GATHER_S = 0.05
"""From the first news to their drawing: by then those of the other runs are there, and all are drawn once."""


class ChartsScreen(GoeScreen):
    """The overlay of the marked runs; `esc` leaves it."""

    BINDING_GROUP_TITLE = "Compared runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", key_display="esc"),
        Binding("b", "seeds", "seeds as band"),
    ]
    CSS = """
    ChartsScreen {
        #head { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #legend { height: auto; max-height: 3; padding: 0 1; }
        &.-short #legend { max-height: 1; }
        &.-full #legend { display: none; }
    }
    """

    def __init__(self, session: Session, views: Sequence[RunView]) -> None:
        super().__init__(session)
        self._members = {view.run_id: _member(view) for view in views}
        self._views = tuple(views)
        self._look = session.memory.load(MEMORY, CurveLook)
        self._stale = False

    def compose(self) -> ComposeResult:
        """What is shown, which curve is which, the charts, keys."""
        yield Static(id="head", markup=False)
        yield Static(id="legend", markup=False)
        yield ChartGrid(self._look, id="charts")
        yield KeyLine()

    def on_mount(self) -> None:
        """Names and colours before any curve."""
        self.query_one(ChartGrid).focus()
        self._show()
        self.watch(self.app, "theme", self._show_legend, init=False)

    def readers(self) -> dict[str, Reader]:
        """The curves of each run."""
        return {f"curves {view.run_id}": CurveReader(view.run) for view in self._views}

    def take(self, what: object) -> None:
        """A run's curves were read; several runs' news are shown at once."""
        if isinstance(what, RunCurves) and what.run_id in self._members:
            member = self._members[what.run_id]
            self._members[what.run_id] = replace(member, curves=what)
            if not self._stale:
                self._stale = True
                self.set_timer(GATHER_S, self._show)

    def _show(self) -> None:
        self._stale = False
        self._show_legend()
        self.query_one(ChartGrid).show(overlay_panels(tuple(self._members.values()), seeds=self._look.seeds))

    def _show_legend(self) -> None:
        members, look = tuple(self._members.values()), self._look
        read = [one.curves.read for one in members if one.curves is not None]
        facts = [f"{len(members)} run{'s' if len(members) != 1 else ''}", f"over {look.x}"]
        facts += [f"smoothed {look.smoothing:g}"] if look.smoothing else []
        facts += ["log y"] if look.log else []
        facts += ["without outliers"] if look.robust else []
        facts += ["seeds as mean ± std"] if look.seeds else []
        if len(read) < len(members) or any(share < 1 for share in read):
            facts.append(f"reading, {sum(read) / len(members):.0%}" if members else "nothing to read")
        facts += [f"! {problem}" for one in members if one.curves and (problem := one.curves.problem)]
        say(self.query_one("#head", Static), Text.assemble(("charts", "bold"), f"  {' · '.join(facts)}"))
        say(self.query_one("#legend", Static), self._legend())

    def _legend(self) -> Text:
        entries = overlay_entries(tuple(self._members.values()), seeds=self._look.seeds)
        no_color, dark = self.app.no_color, self.app.current_theme.dark
        signed = ambiguous(colour for _, colour, _ in entries) or (no_color and len(entries) > 1)
        line = Text()
        for place, (name, colour, group) in enumerate(entries):
            style = curve_style(colour, dark=dark, no_color=no_color)
            line.append(letter(place) if signed else "━", f"{style} bold".strip())
            count = f" n={len(group)}" if self._look.seeds else ""
            line.append(f"\u00a0{printable(name).replace(' ', chr(0xA0))}{count.replace(' ', chr(0xA0))}   ")
        return line

    def on_chart_grid_looked(self, message: ChartGrid.Looked) -> None:
        """Keep what was chosen."""
        self._set_look(message.look)

    def on_chart_grid_filled(self, message: ChartGrid.Filled) -> None:
        """A chart alone names its curves itself."""
        self.set_class(message.full, "-full")

    def _set_look(self, look: CurveLook) -> None:
        self._look = look
        self.session.memory.store(MEMORY, look)
        self._show_legend()

    def action_seeds(self) -> None:
        """The seeds of a configuration as one curve, or each run for itself."""
        self._set_look(msgspec.structs.replace(self._look, seeds=not self._look.seeds))
        self.query_one(ChartGrid).set_look(self._look)
        self._show()


def _member(view: RunView) -> Member:
    config = view.config
    if config is None:
        return Member(view.run_id, view.run_id, view.run_id, colour_index(view.run_id))
    name = f"{config.experiment}-s{config.seed}"
    group = f"{config.experiment} {config.group}"
    return Member(name, config.experiment, group, colour_index(config.experiment), seed=config.seed)
