"""One run's page: state, curves, log, checkpoints and what it was told; several panes where there is room, else one."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from goe.core.overview import RunView
from tui.curves.columns import RunCurves
from tui.messages import Diff, Dossier, LogPage, Overview, RunDetail
from tui.reading.base import Reader
from tui.reading.curves import CurveReader
from tui.reading.dossier import DossierReader
from tui.reading.log import LogReader, Look
from tui.reading.run import RunReader
from tui.runcontrol import RunControl
from tui.screens.base import say
from tui.screens.checkpoints import CheckpointsPane
from tui.screens.choose import ChooseScreen
from tui.screens.histogram import HistogramScreen
from tui.session import Place, Session
from tui.widgets.attempts import attempt_cells, attempt_headings
from tui.widgets.chartgrid import ChartGrid
from tui.widgets.fields import FieldsView
from tui.widgets.keyline import KeyLine
from tui.widgets.keytable import KeyTable
from tui.widgets.logpane import LogPane
from tui.widgets.logview import LogView
from tui.widgets.panels import CurveLook, run_panels
from tui.widgets.runhead import alerts, headline, subline
from tui.widgets.surface import SurfaceView
from tui.widgets.tabs import TabLine

PANES = ("curves", "log", "checkpoints", "attempts", "config", "environment", "surface")
"""The last for runs on the spirals alone."""
CURVES_MEMORY = "curves"
_TABLES = ("checkpoints", "attempts")
_TEXTS = ("config", "environment")
_GRID_WIDTH, _GRID_HEIGHT = 110, 28


class RunScreen(RunControl):
    """The page; `esc` leaves it."""

    BINDING_GROUP_TITLE = "Run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", key_display="esc"),
        Binding("tab,right_square_bracket", "pane(1)", "pane", key_display="tab"),
        Binding("shift+tab,left_square_bracket", "pane(-1)", "previous pane", show=False),
        Binding("1", "only('curves')", "curves", show=False),
        Binding("2,m", "only('log')", "log", show=False),
        Binding("3,c", "only('checkpoints')", "checkpoints", show=False),
        Binding("4", "only('attempts')", "attempts", show=False),
        Binding("5", "only('config')", "configuration", show=False),
        Binding("6", "only('environment')", "environment: code, packages, host", show=False),
        Binding("7", "only('surface')", "surface, of a run on the spirals", show=False),
        Binding("0", "only('')", "all panes, where they fit", show=False),
        Binding("a", "histogram", "score histograms", show=False),
        Binding("slash", "seek", "search the log", show=False, key_display="/"),
        Binding("d", "diff", "diff against another run", show=False),
        Binding("Y", "copy", "copy the command that reproduces the run", show=False),
    ]
    CSS = """
    RunScreen {
        #head, #sub, #panes { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #sub { color: $text-muted; }
        #alerts { height: auto; max-height: 6; padding: 0 1; color: $text-warning; }
        #body { height: 1fr; }
        #curves, #files, #attempts, #config, #environment { height: 1fr; }
        #attempts, #config, #environment { display: none; }
        &.-attempts #attempts, &.-config #config, &.-environment #environment { display: block; }
        #curves { layout: vertical; }
        &.-wide #curves { layout: horizontal; }
        #files { layout: horizontal; }
        ChartGrid { width: 1fr; height: 2fr; }
        &.-wide ChartGrid { width: 2fr; height: 1fr; }
        SurfaceView { padding: 0 1; width: 1fr; height: 1fr; }
        #log-pane { width: 1fr; height: 1fr; }
        #checkpoints-pane { width: 1fr; height: 1fr; }
        .caption { height: 1; padding: 0 1; color: $text-muted; }

        &.-grid ChartGrid, &.-grid SurfaceView { padding: 1 1 0 1; }
        &.-grid #files { padding-top: 1; }
        &.-grid.-all #checkpoints-pane { width: 78; }
        &.-grid.-all #curves { height: 3fr; }
        &.-grid.-all #files { height: 2fr; }
        .caption { display: none; }
        &.-grid .caption { display: block; }

        SurfaceView { display: none; }
        &.-plane.-all SurfaceView, &.-surface SurfaceView { display: block; }
        &.-curves #files, &.-surface #files, &.-surface ChartGrid { display: none; }
        &.-attempts, &.-config, &.-environment { #curves, #files { display: none; } }
        &.-log #curves, &.-log #checkpoints-pane { display: none; }
        &.-checkpoints #curves, &.-checkpoints #log-pane { display: none; }
        &.-short #sub { display: none; }
        &.-short #alerts { max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, session: Session, view: RunView) -> None:
        super().__init__(session)
        self._view = view
        self._detail: RunDetail | None = None
        self._curves: RunCurves | None = None
        self._dossier: Dossier | None = None
        self._overview = Overview()
        self._wants_diff = False
        self._log = LogReader(view.run.log_file)
        self._place = session.places.setdefault(view.run_id, Place())

    def compose(self) -> ComposeResult:
        """Head, pane titles, panes, keys."""
        yield Static(id="head", markup=False)
        yield Static(id="sub", markup=False)
        yield Static(id="alerts", markup=False)
        yield TabLine("screen.only", id="panes")
        with Container(id="body"):
            with Container(id="curves"):
                yield ChartGrid(self.session.memory.load(CURVES_MEMORY, CurveLook), id="charts")
                yield SurfaceView(id="surface")
            with Container(id="files"):
                yield LogPane(id="log-pane")
                yield CheckpointsPane(self.session, self._view.run, id="checkpoints-pane")
            yield KeyTable(id="attempts")
            yield FieldsView(id="config")
            yield FieldsView(id="environment")
        yield KeyLine()

    def on_mount(self) -> None:
        """The list's last word, until the first detail comes."""
        for table in self.query(KeyTable):
            table.want(self._place.rows.get(table.id or ""))
        self._arrange()
        if self._shown() == "all" and self._place.focus:
            self.query_one(f"#{self._place.focus}").focus()
        self.show_detail(RunDetail(self._view, 0.0 if self._view.status is None else self._view.status.updated))

    @property
    def place(self) -> str:
        """The run."""
        return self._view.run_id

    @property
    def current(self) -> RunView | None:
        """The run of this page."""
        return self._view

    def readers(self) -> dict[str, Reader]:
        """The run, by part."""
        run = self._view.run
        return {
            "log": self._log,
            "run": RunReader(run),
            "curves": CurveReader(run),
            "dossier": DossierReader(run),
        }

    def take(self, what: object) -> None:
        """The run was read, or the list."""
        match what:
            case RunDetail():
                self.show_detail(what)
            case RunCurves() if what.run_id == self._view.run_id:
                self._show_curves(what)
            case LogPage():
                self.query_one(LogPane).show_page(what)
            case Dossier() if what.run_id == self._view.run_id:
                self._show_dossier(what)
            case Overview():
                self._show_overview(what)

    def _show_overview(self, overview: Overview) -> None:
        """The list's news of this run, for a folder that was removed meanwhile."""
        self._overview = overview
        if self._wants_diff:
            self.action_diff()
        listed = any(view.run_id == self._view.run_id for view in overview.views)
        if self.is_active and not (listed or overview.problem or overview.unread):  # else what is above is left first
            self.notify(f"{self._view.run_id} is gone: its folder was removed", severity="warning", markup=False)
            super().action_back()

    def show_detail(self, detail: RunDetail) -> None:
        """The open run was read."""
        if detail.view.run_id != self._view.run_id:
            return  # a last message about the run that was open before
        old, self._detail, self._view = self._detail, detail, detail.view
        self._show_head(detail)
        if old is None or (old.view.config is None) != (detail.view.config is None):
            self._arrange()  # what it is trained on is known only now
        self.query_one(SurfaceView).show(detail.surface, detail.surface_problem)
        self.query_one(CheckpointsPane).show_checkpoints(detail.checkpoints, detail.read_at)
        self._show_attempts()

    def _show_dossier(self, dossier: Dossier) -> None:
        self._dossier = dossier
        self._show_attempts()
        self.query_one("#config", FieldsView).show_fields(dossier.config)
        reproduce = (("reproduce (Y copies)", dossier.reproduce),)
        self.query_one("#environment", FieldsView).show_fields((*reproduce, *dossier.environment))

    def _show_attempts(self) -> None:
        """Newest first; the time of one that runs goes on."""
        facts = self._dossier.attempts[::-1] if self._dossier else ()
        now = self._detail.read_at if self._detail else 0.0
        rows = {str(fact.number): attempt_cells(fact, now) for fact in facts}
        table = self.query_one("#attempts", KeyTable)
        table.show(attempt_headings(self.size.width - table.scrollbar_size_vertical), rows)

    def _show_head(self, detail: RunDetail) -> None:
        view = detail.view
        say(self.query_one("#head", Static), headline(detail, dark=self.app.current_theme.dark))
        read = self._curves.read if self._curves is not None else 1.0
        reading = f"reading the curves, {read:.0%} · " if read < 1 else ""
        say(self.query_one("#sub", Static), f"{view.run_id}   {reading}{subline(view)}")
        say(self.query_one("#alerts", Static), alerts(detail, self._curves))

    def _show_curves(self, curves: RunCurves) -> None:
        self._curves = curves
        self.query_one(ChartGrid).show(run_panels(curves))
        if self._detail is not None:
            self._show_head(self._detail)

    def on_chart_grid_looked(self, message: ChartGrid.Looked) -> None:
        """Keep how curves are shown."""
        self.session.memory.store(CURVES_MEMORY, message.look)

    def on_resize(self, _: events.Resize) -> None:
        """Choose between all panes and one."""
        self._arrange()
        self._show_attempts()

    def action_only(self, pane: str) -> None:
        """Show one pane alone, or all."""
        if not pane or pane in self._panes():
            self._place.pane = pane
            self._arrange()

    def action_seek(self) -> None:
        """Search the log, wherever the keys are."""
        if self._shown() != "all":
            self.action_only("log")
        self.query_one(LogPane).action_search()

    def action_pane(self, step: int) -> None:
        """The next pane; where all are shown, the next that takes keys."""
        if self._shown() == "all":
            self.focus_next() if step > 0 else self.focus_previous()
        else:
            panes = self._panes()
            self.action_only(panes[(panes.index(self._shown()) + step) % len(panes)])

    async def action_histogram(self) -> None:
        """How the evaluation's scores are spread."""
        await self.app.push_screen(HistogramScreen(self.session, self._view))

    def action_back(self) -> None:
        """One layer out: from a pane alone to all panes, from the page to the list."""
        if self._place.pane and self._roomy():
            self.action_only("")
        else:
            super().action_back()

    def _read_log(self) -> None:
        if self.is_attached:  # a last message may come after the page was left
            self.session.poller.follow("log", self._log)  # at once

    def on_log_view_wanted(self, message: LogView.Wanted) -> None:
        """Another part of the log is needed."""
        around = (message.lines, message.lines) if message.place is not None else (2 * message.lines, 0)
        self._log.look(Look(message.place, *around))
        self._read_log()

    def on_log_pane_sought(self, message: LogPane.Sought) -> None:
        """Something is searched for."""
        self._log.search(message.wanted)
        self._log.step(message.direction, message.place)
        self._read_log()

    def on_log_pane_stepped(self, message: LogPane.Stepped) -> None:
        """The next match is wanted."""
        self._log.step(message.direction, message.place)
        self._read_log()

    def on_data_table_row_highlighted(self, message: KeyTable.RowHighlighted) -> None:
        """The cursor of a table moved."""
        table = message.data_table
        if isinstance(table, KeyTable) and table.id and table.row_key is not None:
            self._place.rows[table.id] = table.row_key

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Something else takes the keys."""
        self._place.focus = event.widget.id or ""

    def on_data_table_row_selected(self, message: KeyTable.RowSelected) -> None:
        """Enter, or a click on the cursor's row: the attempt's part of the log."""
        number = int(message.row_key.value or 0)
        facts = self._dossier.attempts if self._dossier else ()
        launch = next((fact.launch for fact in facts if fact.number == number), None)
        begins = 0 if number == 1 or launch is None else launch.log_start
        if begins is None:
            self.notify(f"Where attempt {number} begins in the log was not recorded", markup=False)
            return
        self.action_only("log")
        self.query_one(LogView).seek(begins)

    def action_diff(self) -> None:
        """Choose another run, then show what differs."""
        self._wants_diff = not self._overview.views
        if self._wants_diff:
            return  # the list comes within a second
        views = {view.run_id: view for view in self._overview.views if view.run_id != self._view.run_id}
        if not views:
            self.notify("There is no other run")
            return
        title = f"Show what differs between {self._view.run_id} and"
        screen = ChooseScreen(title, [(name, name) for name in views])

        def chosen(name: str | None) -> None:
            if name is not None:
                self.post_message(Diff(self._view, views[name]))

        self.app.push_screen(screen, chosen)

    def action_copy(self) -> None:
        """Through the terminal, also over ssh, where it knows OSC 52."""
        if self._dossier is not None:
            self.app.copy_to_clipboard(self._dossier.reproduce)
            self.notify(f"Copied: {self._dossier.reproduce}", markup=False)

    def _roomy(self) -> bool:
        return self.size.width >= _GRID_WIDTH and self.size.height >= _GRID_HEIGHT

    def _shown(self) -> str:
        pane = self._place.pane
        return pane if pane in self._panes() else "all" if self._roomy() else PANES[0]

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
        self.query_one(TabLine).show_panes(self._panes(), shown)
        if shown in {"log", *_TABLES, *_TEXTS}:
            self.query_one(f"#{shown}").focus()
        elif shown == "curves":
            self.query_one(ChartGrid).focus()
