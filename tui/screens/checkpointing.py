"""What can be done with a checkpoint: evaluate, export, delete, verify; the work itself is other processes'."""

import asyncio
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual.app import App

from goe.core.errors import GoeError
from goe.core.integrity import verify
from goe.core.interchange import DETECTOR_FORMATS, METRICS_FORMATS
from goe.core.overview import view_runs
from goe.core.pruning import Keep, Pruning, needed_by, plan_pruning, prune
from goe.core.rundir import RunDir
from goe.launch.detached import last_lines
from goe.launch.local import children
from tui.faults import told
from tui.goecommand import GOE
from tui.messages import Checkpoint
from tui.screens.choose import AskScreen, ChooseScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.session import Session
from tui.widgets.runhead import size

_SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "torch": ".pt", "csv": ".csv", "json": ".json"}
_POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """The checkpoints of one run, before one user."""

    app: App[None]
    session: Session
    run: RunDir

    def evaluate(self, name: str) -> None:
        """Ask, then let `goe eval` do it."""
        text = "It is evaluated as the run is configured, by a process of its own that goes on when you leave."
        question = ConfirmScreen(f"Evaluate {name} of {self.run.run_id}?", text, "Evaluate")
        self.app.push_screen(question, lambda agreed: self._evaluate(name) if agreed else None)

    def _evaluate(self, name: str) -> None:
        self._start(
            f"{self.run.run_id}: evaluation of {name}",
            ["eval", self.run.run_id, "--checkpoint", name, "--runs", str(self.run.path.parent)],
            self.run.eval / f"{name}.log",
        )

    def export(self, name: str) -> None:
        """Ask for form and place, then let `goe export` do it."""
        choices = [(form, f"{form}: classifier with preprocessing and threshold") for form in DETECTOR_FORMATS]
        choices += [(form, f"{form}: the run's metrics") for form in METRICS_FORMATS]
        self.app.push_screen(
            ChooseScreen(f"Export {name} of {self.run.run_id} as", choices), partial(self._ask_place, name)
        )

    def _ask_place(self, name: str, form: str | None) -> None:
        if form is None:
            return
        place = f"{self.run.run_id}-{name}" if form in DETECTOR_FORMATS else self.run.run_id
        place = f"{place}{_SUFFIXES[form]}" if form in _SUFFIXES else f"tensorboard/{place}"
        text = f"From {Path.cwd()}, or absolute:"
        self.app.push_screen(AskScreen("Write to", text, place), partial(self._confirm_place, name, form))

    def _confirm_place(self, name: str, form: str, place: str | None) -> None:
        if place is None:
            return
        if not Path(place).is_file():
            self._export(name, form, place)
            return
        question = ConfirmScreen("Replace the file?", f"{place} exists.", "Replace", dangerous=True)
        self.app.push_screen(question, lambda agreed: self._export(name, form, place) if agreed else None)

    def _export(self, name: str, form: str, place: str) -> None:
        what = ["--format", form, "--checkpoint", name] if form in DETECTOR_FORMATS else ["--to", form]
        command = ["export", self.run.run_id, *what, "--out", place, "--runs", str(self.run.path.parent)]
        self._start(f"{self.run.run_id}: export to {place}", command, self.run.eval / "export.log")

    def delete(self, name: str, others: Sequence[str]) -> None:
        """Say what would go, ask, remove it; never what a live or unfinished run needs."""
        self.app.run_worker(partial(self._plan, name, tuple(others)), thread=True, group="delete")

    def _plan(self, name: str, others: tuple[str, ...]) -> None:
        runs = self.run.path.parent
        planned = plan_pruning(self.run, Keep(others), needed_by(runs, view_runs(runs)))
        self.app.call_from_thread(self._ask_delete, name, planned)

    def _ask_delete(self, name: str, planned: Pruning) -> None:
        indexes = [removal.path.stem for removal in planned.removals if removal.path.suffix == ".json"]
        if name not in indexes:
            reason = "\n".join(planned.remarks) or "it is gone already"
            self.app.push_screen(MessageScreen(f"{name} is not deleted", reason))
            return
        lines = [f"{removal.path.name}  {size(removal.size)}  {removal.why}" for removal in planned.removals]
        text = "\n".join(["This can't be undone. Files that go:", *lines])
        question = ConfirmScreen(f"Delete {name} of {self.run.run_id}?", text, "Delete", dangerous=True)
        self.app.push_screen(question, lambda agreed: self._delete(name, planned) if agreed else None)

    def _delete(self, name: str, planned: Pruning) -> None:
        try:
            prune(planned)
        except (GoeError, OSError) as error:
            self.app.push_screen(MessageScreen(f"{name} was not deleted", told(error, self.run.checkpoints)))
            return
        self._tell(f"{name}: deleted, {size(planned.size)} freed")
        self.session.poller.refresh()

    def _start(self, what: str, words: list[str], log: Path) -> None:
        """Run a command of goe that outlives the dashboard, what it says in `log`."""
        env = {**os.environ, "GOE_QUEUE": str(self.session.queue.absolute()), "NO_COLOR": "1"}
        try:
            with log.open("wb") as file:
                child = subprocess.Popen(
                    [*GOE, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    env=env,
                    start_new_session=True,
                )
        except OSError as error:
            self.app.push_screen(MessageScreen(f"{what} was not started", told(error, log)))
            return
        children.append(child)
        self._tell(f"{what} has begun")
        self.app.run_worker(self._watch(what, child, log), group="work", exit_on_error=False)

    async def _watch(self, what: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
        """Say how it ended."""
        while child.poll() is None:
            await asyncio.sleep(_POLL_S)
        if child.returncode == 0:
            self._tell(f"{what} is done")
        else:
            said = "\n".join(last_lines(log, 12))
            self.app.push_screen(
                MessageScreen(f"{what} failed with exit code {child.returncode}", f"{said}\n\n({log})")
            )
        self.session.poller.refresh()

    def _tell(self, text: str) -> None:
        self.app.notify(text, markup=False)


def verdicts(run: RunDir, checkpoints: Sequence[Checkpoint]) -> dict[str, str]:
    """What is wrong with the files of each checkpoint, told by their digests; reads every byte of them."""
    bad = {finding.file: finding.text for finding in verify(run) if finding.bad}
    return {one.name: "; ".join(f"{name}: {bad[name]}" for name in one.files if name in bad) for one in checkpoints}
