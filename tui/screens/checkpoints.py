"""The checkpoints of a run's page: a row each, and the keys for what can be done with the one under the cursor."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from goe.core.errors import GoeError
from goe.core.rundir import RunDir
from tui.faults import told
from tui.messages import Checkpoint
from tui.screens.checkpointing import Checkpointing, verdicts
from tui.screens.choose import ChooseScreen
from tui.screens.confirm import MessageScreen
from tui.session import Session
from tui.widgets.keytable import KeyTable
from tui.widgets.runhead import CHECKPOINT_HEADINGS, checkpoint_cells


class CheckpointsPane(Vertical):
    """Enter offers what the keys do."""

    BINDING_GROUP_TITLE = "Checkpoints"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("V", "verify", "verify the checkpoints' files", show=False),
        Binding("T", "change_evaluate", "evaluate the checkpoint", show=False),
        Binding("E", "change_export", "export the checkpoint or the metrics", show=False),
        Binding("D,delete", "change_delete", "delete the checkpoint", show=False),
    ]

    def __init__(self, session: Session, run: RunDir, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._session = session
        self._run = run
        self._found: tuple[Checkpoint, ...] = ()
        self._read_at = 0.0
        self._verdicts: dict[object, str] = {}
        """What was found of each checkpoint, by its content."""

    def compose(self) -> ComposeResult:
        """Caption and table."""
        yield Static("checkpoints: enter for what can be done", classes="caption", markup=False)
        yield KeyTable(id="checkpoints")

    def show_checkpoints(self, found: tuple[Checkpoint, ...], read_at: float) -> None:
        """Show these."""
        self._found, self._read_at = found, read_at
        self._show()

    def _show(self) -> None:
        rows = {
            one.name: checkpoint_cells(one, self._read_at, self._verdicts.get(one.content, "")) for one in self._found
        }
        self.query_one(KeyTable).show(CHECKPOINT_HEADINGS, rows)

    @property
    def current(self) -> Checkpoint | None:
        """The one under the cursor."""
        name = self.query_one(KeyTable).row_key
        return next((one for one in self._found if one.name == name), None)

    @property
    def _work(self) -> Checkpointing:
        return Checkpointing(self.app, self._session, self._run)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is changed under --readonly."""
        return super().check_action(action, parameters) if self._session.allows(action) else False

    def on_data_table_row_selected(self, event: KeyTable.RowSelected) -> None:
        """Enter, or a click on the cursor's row: what can be done."""
        event.stop()
        one = self.current
        if one is None:
            return
        choices = (
            ("change_evaluate", "T  evaluate"),
            ("change_export", "E  export"),
            ("verify", "V  verify all files"),
        )
        possible = [choice for choice in (*choices, ("change_delete", "D  delete")) if self.check_action(choice[0], ())]
        self.app.push_screen(ChooseScreen(f"{one.name} of {self._run.run_id}", possible), self._do)

    async def _do(self, action: str | None) -> None:
        if action is not None:
            await self.run_action(action)

    def action_change_evaluate(self) -> None:
        """Evaluate the checkpoint under the cursor."""
        if (one := self.current) is not None:
            self._work.evaluate(one.name)

    def action_change_export(self) -> None:
        """Write it, or the run's metrics, for other programs."""
        if (one := self.current) is not None:
            self._work.export(one.name)

    def action_change_delete(self) -> None:
        """Delete it, if nothing needs it."""
        if (one := self.current) is not None:
            self._work.delete(one.name, [other.name for other in self._found if other is not one])

    def action_verify(self) -> None:
        """Compare every file with the digest that its index names; a large one takes seconds."""
        if self._found:
            self._verdicts = {one.content: "…" for one in self._found}
            self._show()
            self.run_worker(partial(self._verify, self._found), thread=True, exclusive=True, group="verify")

    def _verify(self, found: Sequence[Checkpoint]) -> None:
        try:
            said = verdicts(self._run, found)
        except (GoeError, OSError) as error:
            said = {one.name: told(error, self._run.checkpoints) for one in found}
        self.app.call_from_thread(self._say_verdicts, found, said)

    def _say_verdicts(self, found: Sequence[Checkpoint], said: dict[str, str]) -> None:
        if not self.is_attached:
            return
        self._verdicts = {one.content: "! bad" if said[one.name] else "✓ whole" for one in found}
        self._show()
        bad = [f"{name}: {text}" for name, text in said.items() if text]
        if bad:
            self.app.push_screen(MessageScreen(f"{self._run.run_id}: damaged checkpoints", "\n".join(bad)))
        else:
            self.notify("Every file is what its index says")
