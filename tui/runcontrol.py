"""Runs taken in hand from a screen: stopped, paused, retried, held; the marked ones, or the one under the cursor.

What is asked first is decided from what the screen shows; what is done looks at the run again, in a thread.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, TypeAlias

from textual.binding import Binding, BindingType

from goe.core.errors import GoeError, RunError
from goe.core.overview import RunView, view_run
from goe.core.process import is_alive
from goe.core.rundir import RunDir
from goe.core.state import RunState
from goe.launch.control import hold, pause, resume, retry
from goe.launch.launchers import is_job, stop
from tui.faults import told
from tui.screens.base import GoeScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen

Deed: TypeAlias = Callable[[RunDir], str]
"""Does something to a run and says what. Raises GoeError or OSError."""


class RunControl(GoeScreen):
    """A screen from which runs can be taken in hand."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "change_stop", "stop"),
        Binding("p", "change_pause", "pause or resume", show=False),
        Binding("R", "change_retry", "retry: a queue may start it again", show=False),
        Binding("H", "change_hold", "hold or release: whether a queue starts it", show=False),
    ]

    @property
    def chosen(self) -> Sequence[RunView]:
        """The runs that keys such as `x` mean."""
        return (self.current,) if self.current else ()

    def action_change_stop(self) -> None:
        """Ask, then stop; runs that are stopping already can be forced."""
        views = [view_run(view.run) for view in self.chosen] if len(self.chosen) == 1 else list(self.chosen)
        live = [view for view in views if view.is_live]
        if not live:
            self._tell_nothing(views, "there is nothing to stop")
            return
        force = all(view.state is RunState.STOPPING for view in live)
        question = _stop_question(live, force=force)
        self.app.push_screen(
            question, lambda agreed: self._do("stopped", live, partial(_stop, force)) if agreed else None
        )

    def action_change_pause(self) -> None:
        """Pause what is at work; where nothing is, continue what is paused."""
        working = [view for view in self.chosen if view.state in {RunState.STARTING, RunState.RUNNING}]
        paused = [view for view in self.chosen if view.state is RunState.PAUSED]
        if working:
            text = "They halt where they are; their memory, also GPU memory, and their slots stay taken."
            self._ask("Pause", "paused", working, pause, text)
        elif paused:
            self._ask("Continue", "continued", paused, resume, "They go on where they were halted.")
        else:
            self._tell_nothing(self.chosen, "only a run at work is paused")

    def action_change_retry(self) -> None:
        """Let queues start it again."""
        text = "A queue may start them again, their automatic retries counted anew."
        self._ask("Retry", "retried", self.chosen, retry, text)

    def action_change_hold(self) -> None:
        """Keep queues from starting it; where all are held, let them."""
        views = [view for view in self.chosen if view.state is not RunState.DONE]
        if not views:
            self._tell_nothing(self.chosen, "no queue starts it anyway")
        elif all(view.held for view in views):
            self._ask("Release", "released", views, resume, "Queues may start them.")
        else:
            free = [view for view in views if not view.held]
            self._ask("Hold", "held", free, _hold, "No queue starts them until they are released; live ones go on.")

    def _ask(self, verb: str, done: str, views: Sequence[RunView], deed: Deed, text: str) -> None:
        """Several runs only after a question."""
        if len(views) > 1:
            screen = ConfirmScreen(f"{verb} {len(views)} runs?", text, verb)
            self.app.push_screen(screen, lambda agreed: self._do(done, views, deed) if agreed else None)
        elif views:
            self._do(done, views, deed)

    def _tell_nothing(self, views: Sequence[RunView], why: str) -> None:
        if len(views) == 1:
            self.notify(f"{views[0].run_id} is {views[0].state}: {why}", markup=False)
        elif views:
            self.notify(f"{len(views)} runs: {why}", markup=False)

    def _do(self, done: str, views: Sequence[RunView], deed: Deed) -> None:
        """In a thread of the app's, which outlasts this screen."""
        self.app.run_worker(partial(self._work, done, [view.run for view in views], deed), thread=True)

    def _work(self, done: str, runs: Sequence[RunDir], deed: Deed) -> None:
        said: list[tuple[str, str]] = []
        failed: list[str] = []
        for run in runs:
            try:
                said.append((run.run_id, deed(run)))
            except (GoeError, OSError) as error:
                failed.append(told(error, run.path))
        self.session.poller.refresh()
        self.app.call_later(self._answer, done, said, failed)

    def _answer(self, done: str, said: Sequence[tuple[str, str]], failed: Sequence[str]) -> None:
        if said:
            self.app.notify(answer(said), markup=False)
        if failed:
            title = f"{len(failed)} of {len(said) + len(failed)} runs were not {done}"
            one = len(said) + len(failed) == 1
            self.app.push_screen(MessageScreen(f"The run was not {done}" if one else title, "\n\n".join(failed)))


def answer(said: Sequence[tuple[str, str]]) -> str:
    """What was said of each run; of several the same only once."""
    texts: dict[str, list[str]] = {}
    for run_id, text in said:
        texts.setdefault(text, []).append(run_id)
    return "\n".join(f"{ids[0] if len(ids) == 1 else f'{len(ids)} runs'}: {text}" for text, ids in texts.items())


def _stop(force: bool, run: RunDir) -> str:
    view = view_run(run)
    if not view.is_live:
        return f"is {view.state}: there is nothing to stop"
    if force and view.launch and not is_job(view) and is_alive(view.launch.supervisor) is None:
        raise RunError(f"{view.run_id}: runs on {view.launch.supervisor.host}; only there can it be forced to end")
    stop(run, force=force)
    return "its processes are being ended" if force else "asked to stop"


def _hold(run: RunDir) -> str:
    hold(run)
    return "held: no queue starts it until it is released"


def _stop_question(views: Sequence[RunView], *, force: bool) -> ConfirmScreen:
    what = views[0].run_id if len(views) == 1 else f"{len(views)} runs"
    if force:
        text = "Asked to stop and not ended yet. Forcing loses what was done since the last checkpoint."
        return ConfirmScreen(f"End {what} by force?", text, "Force", dangerous=True)
    who = "It" if len(views) == 1 else "Each"
    text = f"{who} ends after its current step. Starting the queue again resumes it from its last checkpoint."
    return ConfirmScreen(f"Stop {what}?", text, "Stop")
