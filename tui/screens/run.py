"""One run's page: state, curves, log and checkpoints; all at once where there is room, else one at a time."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Footer, Static

from goe.core.overview import RunView
from tui.messages import Overview, RunDetail
from tui.reading.base import Reader
from tui.reading.run import RunReader
from tui.runcontrol import RunControl
from tui.screens.base import say
from tui.session import Session
from tui.widgets.chart import Chart
from tui.widgets.keytable import KeyTable
from tui.widgets.logview import LogView
from tui.widgets.runhead import CHECKPOINT_HEADINGS, alerts, checkpoint_cells, headline, subline
from tui.widgets.surface import SurfaceView

PANES = ("curves", "log", "checkpoints", "surface")
"""The last for runs on the spirals alone."""
_GRID_WIDTH, _GRID_HEIGHT = 110, 28


class RunScreen(RunControl):
    """The page; `esc` leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", key_display="esc"),
        Binding("tab,right_square_bracket", "pane(1)", "pane", key_display="tab"),
        Binding("shift+tab,left_square_bracket", "pane(-1)", "previous pane", show=False),
        Binding("1", "only('curves')", "curves", show=False),
        Binding("2,m", "only('log')", "log", show=False),
        Binding("3,c", "only('checkpoints')", "checkpoints", show=False),
        Binding("4", "only('surface')", "surface", show=False),
        Binding("0", "only('')", "all", show=False),
    ]
    CSS = """
    RunScreen {
        #head, #sub, #panes { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #sub { color: $text-muted; }
        #alerts { height: auto; max-height: 6; padding: 0 1; color: $text-warning; }
        #body { height: 1fr; }
        #curves, #files { height: 1fr; }
        #curves { layout: vertical; }
        &.-wide #curves { layout: horizontal; }
        #files { layout: horizontal; }
        Chart, SurfaceView { padding: 0 1; width: 1fr; height: 1fr; }
        #log-pane { width: 1fr; height: 1fr; }
        #checkpoints-pane { width: 1fr; height: 1fr; }
        LogView { padding: 0 1; scrollbar-size: 1 1; }
        .caption { height: 1; padding: 0 1; text-style: bold; }

        &.-grid #panes { display: none; }
        &.-grid Chart, &.-grid SurfaceView { padding: 1 1 0 1; }
        &.-grid #files { padding-top: 1; }
        &.-grid.-all #checkpoints-pane { width: 64; }
        &.-grid.-all #curves { height: 3fr; }
        &.-grid.-all #files { height: 2fr; }
        .caption { display: none; }
        &.-grid .caption { display: block; }

        SurfaceView { display: none; }
        &.-plane.-all SurfaceView, &.-surface SurfaceView { display: block; }
        &.-curves #files, &.-surface #files, &.-surface Chart { display: none; }
        &.-log #curves, &.-log #checkpoints-pane { display: none; }
        &.-checkpoints #curves, &.-checkpoints #log-pane { display: none; }
        &.-short #sub, &.-tiny #sub, &.-tiny #alerts { display: none; }
        &.-short #alerts { max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, session: Session, view: RunView) -> None:
        super().__init__(session)
        self._view = view
        self._detail: RunDetail | None = None
        self._only = ""
        """The pane chosen by the user; empty for all, or the first where they don't fit."""

    def compose(self) -> ComposeResult:
        """Head, pane titles, panes, keys."""
        yield Static(id="head", markup=False)
        yield Static(id="sub", markup=False)
        yield Static(id="alerts", markup=False)
        yield Static(id="panes", markup=False)
        with Container(id="body"):
            with Container(id="curves"):
                yield Chart(title="loss", x_label="step", id="loss")
                yield Chart(title="filter", x_label="step", y_range=(0.0, 1.0), id="filter")
                yield SurfaceView(id="surface")
            with Container(id="files"):
                with Container(id="log-pane"):
                    yield Static("log", id="log-caption", classes="caption", markup=False)
                    yield LogView(id="log")
                with Container(id="checkpoints-pane"):
                    yield Static("checkpoints", classes="caption", markup=False)
                    yield KeyTable(id="checkpoints")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """The list's last word, until the first detail comes."""
        self._arrange()
        self.show_detail(RunDetail(self._view, 0.0 if self._view.status is None else self._view.status.updated))

    @property
    def current(self) -> RunView | None:
        """The run of this page."""
        return self._view

    def readers(self) -> dict[str, Reader]:
        """The run."""
        return {"run": RunReader(self._view.run)}

    def take(self, what: object) -> None:
        """The run was read, or the list."""
        match what:
            case RunDetail():
                self.show_detail(what)
            case Overview():
                self._show_overview(what)

    def _show_overview(self, overview: Overview) -> None:
        """The list's news of this run, for a folder that was removed meanwhile."""
        if overview.problem is None and all(view.run_id != self._view.run_id for view in overview.views):
            self.notify(f"{self._view.run_id} is gone: its folder was removed", severity="warning", markup=False)
            self.action_back_out()

    def show_detail(self, detail: RunDetail) -> None:
        """The open run was read."""
        if detail.view.run_id != self._view.run_id:
            return  # a last message about the run that was open before
        old, self._detail, self._view = self._detail, detail, detail.view
        self._show_head(detail)
        if old is None or (old.view.config is None) != (detail.view.config is None):
            self._arrange()  # what it is trained on is known only now
        self.query_one(SurfaceView).show(detail.surface, detail.surface_problem)
        if old is None or detail.curves is not old.curves:
            self._show_curves(detail)
        if old is None or detail.log is not old.log:
            self.query_one(LogView).set_lines(detail.log)
            say(self.query_one("#log-caption", Static), "log, its last 256 kB" if detail.log_cut else "log")
        rows = {one.name: checkpoint_cells(one, detail.read_at) for one in detail.checkpoints}
        self.query_one("#checkpoints", KeyTable).show(CHECKPOINT_HEADINGS, rows)

    def _show_head(self, detail: RunDetail) -> None:
        view = detail.view
        say(self.query_one("#head", Static), headline(detail, dark=self.app.current_theme.dark))
        say(self.query_one("#sub", Static), f"{view.run_id}   {subline(view)}")
        say(self.query_one("#alerts", Static), alerts(detail))

    def _show_curves(self, detail: RunDetail) -> None:
        self.query_one("#loss", Chart).set_series(detail.curves.loss)
        chart = self.query_one("#filter", Chart)
        if detail.curves.filtering or _filters(detail.view):
            chart.set_series(detail.curves.filtering, title="filter")
        else:
            chart.set_series(detail.curves.accuracy, title="accuracy")

    def on_resize(self, _: events.Resize) -> None:
        """Choose between all panes and one."""
        self._arrange()

    def action_only(self, pane: str) -> None:
        """Show one pane alone, or all."""
        if not pane or pane in self._panes():
            self._only = pane
            self._arrange()

    def action_pane(self, step: int) -> None:
        """The next pane; where all are shown, the next that takes keys."""
        if self._shown() == "all":
            self.focus_next() if step > 0 else self.focus_previous()
        else:
            panes = self._panes()
            self.action_only(panes[(panes.index(self._shown()) + step) % len(panes)])

    def action_back(self) -> None:
        """One layer out: from a pane alone to all panes, from the page to the list."""
        if self._only and self._roomy():
            self.action_only("")
        else:
            self.action_back_out()

    def action_back_out(self) -> None:
        """Leave the page."""
        if self.is_current:
            self.dismiss()

    def _roomy(self) -> bool:
        return self.size.width >= _GRID_WIDTH and self.size.height >= _GRID_HEIGHT

    def _shown(self) -> str:
        return self._only or ("all" if self._roomy() else PANES[0])

    def _panes(self) -> tuple[str, ...]:
        config = self._view.config
        return PANES if config is not None and config.dataset == "spiral" else PANES[:-1]

    def _arrange(self) -> None:
        shown = self._shown()
        before = self.classes
        self.set_class(self._roomy(), "-grid", update=False)
        self.set_class(PANES[-1] in self._panes(), "-plane", update=False)
        for pane in ("all", *PANES):
            self.set_class(pane == shown, f"-{pane}", update=False)
        if self.classes != before:
            self.app.update_styles(self)  # once: styling the whole page takes 10 ms
        self.query_one("#panes", Static).update(_tabs(self._panes(), shown))
        if shown in {"log", "checkpoints"}:
            self.query_one(f"#{shown}").focus()


def _tabs(panes: tuple[str, ...], shown: str) -> Text:
    parts = [(f"{place} {pane}", "bold underline" if pane == shown else "dim") for place, pane in enumerate(panes, 1)]
    return Text("   ").join(Text(*part) for part in parts)


def _filters(view: RunView) -> bool:
    found = getattr(view.config.method, "filter", None) if view.config else None
    return found is not None and found.strategy != "none"
