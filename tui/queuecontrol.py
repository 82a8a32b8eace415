"""The queue file and the queue taken in hand from a screen.

Every edit is the one of the `goe queue` command of its name.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from goe.core import queueedit, queuemany
from goe.core.errors import ConfigError, GoeError
from goe.core.overview import view_runs
from goe.core.queueedit import Edit
from goe.core.queuefile import load_queue
from goe.core.queuemany import Way
from goe.launch.detached import stop_queue
from tui.faults import told
from tui.messages import Queued, QueueFacts
from tui.reading.base import Reader
from tui.reading.queue import QueueReader
from tui.screens.base import GoeScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.editor import edit_file
from tui.screens.entryform import EntryForm, free_name
from tui.screens.form import Form, FormScreen
from tui.screens.queuewords import NEW_RUNS, count_of, fate, has_begun, left_behind, problems_in
from tui.session import Session

T = TypeVar("T")


class QueueControl(GoeScreen):
    """A screen from which experiments can be edited, and the queue ended."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.facts: QueueFacts | None = None
        """The file and its runs, as last read."""
        self._reader = QueueReader(session.runs, session.queue)
        self._editing = asyncio.Lock()

    def readers(self) -> dict[str, Reader]:
        """The file and its runs."""
        return {"queue": self._reader}

    @property
    def experiment(self) -> Queued | None:
        """The one under the cursor."""
        return None

    @property
    def chosen(self) -> list[Queued]:
        """Those that are edited together."""
        return [self.experiment] if self.experiment else []

    def come_to(self, name: str) -> None:
        """Put the cursor on this experiment once it is read."""

    def action_change_add(self) -> None:
        """A new experiment, at the end."""
        self._open(lambda text: EntryForm(self.session.history, text).form())

    def action_change_edit(self) -> None:
        """The experiment's keys in a form."""
        self._on_current(
            lambda each: self._open(
                lambda text: EntryForm(self.session.history, text, each.name).form(NEW_RUNS if has_begun(each) else "")
            )
        )

    def action_change_copy(self) -> None:
        """A copy under another name, directly below."""
        self._on_current(
            lambda each: self._open(
                lambda text: EntryForm(self.session.history, text, each.name, free_name(text, each.name)).form()
            )
        )

    def action_change_move(self, way: Way) -> None:
        """A place up or down, or to an end."""
        self._edit_chosen("move", lambda text, names: queuemany.move_together(text, names, way))

    def action_change_priority(self, step: int) -> None:
        """A higher or lower priority."""
        self._edit_chosen("priority of", lambda text, names: queuemany.step_priority(text, names, step))

    def action_change_hold(self) -> None:
        """Keep the queue from starting it, or let it."""
        chosen = self.chosen
        what = "release" if all(each.held for each in chosen) else "hold"
        self._edit_chosen(what, queuemany.turn_hold)

    def action_change_remove(self) -> None:
        """Take them out of the file, after a question."""
        chosen = self.chosen
        question = f"Take {count_of(chosen)} out of {self.session.queue.name}?"

        def remove(agreed: bool | None) -> None:
            if agreed:
                self._edit(lambda text: queueedit.remove(text, names), f"take out {count_of(chosen)}")

        if self._are_named(chosen):
            names = [each.name for each in chosen]
            self.app.push_screen(ConfirmScreen(question, fate(chosen), "Take out"), remove)

    def action_change_undo(self) -> None:
        """Take the last edit back."""

        async def undo() -> None:
            what = await self._do(self.session.history.undo)
            if what is not None:
                self.notify(f"Taken back: {what}", markup=False)

        self.run_worker(undo())

    def action_change_in_editor(self) -> None:
        """The file in $EDITOR, at the first problem of the experiment, or of the file, or else at the experiment."""
        current, facts = self.experiment, self.facts
        line = current.line if current else 1
        if facts is not None and facts.problems:
            line = dict(facts.faults).get(current.name if current else "", facts.line)
        self._in_editor(line)

    def _in_editor(self, line: int) -> None:
        path = self.session.queue
        try:
            edit_file(self.app, path, line)
            load_queue(path)
        except ConfigError as error:
            self._after_editor(error)
        except GoeError as error:
            self.app.push_screen(MessageScreen("The editor", str(error)))
        self._look_again()

    def _after_editor(self, error: ConfigError) -> None:
        question = ConfirmScreen(*problems_in(self.session.queue, error.problems), "Edit again")
        self.app.push_screen(question, lambda agreed: self._in_editor(error.line) if agreed else None)

    def _are_named(self, chosen: Sequence[Queued]) -> bool:
        """Whether there are any, and an edit can name each; says so where it can't."""
        named = all(each.name and each.name.isprintable() for each in chosen)
        if not named:
            self.notify("It has no name that could be used: e opens the file", markup=False)
        return bool(chosen) and named

    def _on_current(self, do: Callable[[Queued], None]) -> None:
        """Do it with the experiment under the cursor, if that can be named."""
        current = self.experiment
        if current is not None and self._are_named([current]):
            do(current)

    def _edit_chosen(self, what: str, edit: Callable[[str, list[str]], str]) -> None:
        """Edit the marked experiments, or the cursor's."""
        chosen = self.chosen
        if self._are_named(chosen):
            names = [each.name for each in chosen]
            self._edit(lambda text: edit(text, names), f"{what} {count_of(chosen)}")

    def _edit(self, edit: Edit, what: str) -> None:
        self.run_worker(self._do(lambda: self.session.history.apply(edit, what)))

    async def _do(self, work: Callable[[], T]) -> T | None:
        """Work on the file, one after the other in the order of the keys; what goes wrong is shown."""
        done = None
        async with self._editing:
            try:
                done = await asyncio.to_thread(work)
            except (GoeError, OSError) as error:
                self.app.push_screen(MessageScreen("Not changed", told(error, self.session.queue)))
        self._look_again()
        return done

    def _open(self, make: Callable[[str], Form]) -> None:
        """Show a form made from the file as it is now."""
        self.run_worker(self._ask(lambda: make(self.session.history.text())), group="form", exclusive=True)

    async def _ask(self, make: Callable[[], Form]) -> None:
        try:
            form = await asyncio.to_thread(make)
        except (GoeError, OSError) as error:
            self.app.push_screen(MessageScreen("Not changed", told(error, self.session.queue)))
            return
        self.app.push_screen(FormScreen(form), self._asked)

    def _asked(self, values: dict[str, str] | None) -> None:
        if values is not None:
            self.come_to(values.get("name", ""))
            self._look_again()

    def _look_again(self) -> None:
        if self.is_running:
            self.session.poller.follow("queue", self._reader)

    def action_change_stop_queue(self) -> None:
        """End the queue, after a question; its runs go on."""
        if self.facts is None or self.facts.mark is None:
            self.notify("No queue works here", markup=False)
            return
        self.run_worker(self._ask_to_stop())

    async def _ask_to_stop(self) -> None:
        views = await self._do(lambda: view_runs(self.session.runs))
        if views is not None:
            live = [view.run_id for view in views if view.is_live]
            self.app.push_screen(ConfirmScreen("Stop the queue?", left_behind(live), "Stop"), self._stop)

    def _stop(self, agreed: bool | None) -> None:
        async def stop() -> None:
            mark = await self._do(lambda: stop_queue(self.session.runs))
            if mark is not None:
                self.notify("The queue has ended; its runs go on", markup=False)

        if agreed:
            self.run_worker(stop())
