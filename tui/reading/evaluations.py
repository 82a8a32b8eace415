"""The evaluation results of a folder of runs; a run whose files are as they were costs a few stats."""

from dataclasses import dataclass
from pathlib import Path

from goe.core.config import RunConfig
from goe.core.errors import ConfigError, RunError
from goe.core.results import Measured, expected_runs, gather
from goe.core.rundir import RunDir
from goe.core.stamp import Stamp, stamp_of
from tui.reading.base import guarded
from tui.reading.overview import RunsFolder
from tui.reading.turns import Turns

FOLDERS, FILES = 200, 20
"""Runs that are looked at in one poll, in turn: whether a result came or went, and whether a file was altered."""
_Stamps = dict[Path, Stamp | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    """One run as it was read."""

    run: RunDir
    folder: Stamp | None
    """Of its results, which change by renaming."""
    stamps: _Stamps
    """Of the files that were read, from before they were."""
    configs: tuple[RunConfig, ...]
    measured: tuple[Measured, ...]
    problems: tuple[str, ...]

    @property
    def altered(self) -> bool:
        """Whether one of its files is not as it was read."""
        return any(stamp_of(path) != stamp for path, stamp in self.stamps.items())


class Evaluations:
    """Every result under `runs`, and the runs there should be."""

    def __init__(self, runs: Path, queue: Path) -> None:
        self.measured: tuple[Measured, ...] = ()
        self.expected: tuple[RunConfig, ...] = ()
        """Those planned in the queue file, then those found."""
        self.problems: tuple[str, ...] = ()
        self.reads = 0
        """How often a run was read, not only looked at."""
        self._folder = RunsFolder(runs)
        self._queue = queue
        self._queue_stamp: Stamp | None = None
        self._planned: tuple[RunConfig, ...] = ()
        self._found: dict[str, RunDir] = {}
        self._kept: dict[str, _Kept] = {}
        """By name, of `_found`."""
        self._folders, self._files = Turns(), Turns()
        self._hurry = False
        self._fresh = False

    def hurry(self) -> None:
        """Every run has its turn in the next poll."""
        self._hurry = True

    def poll(self) -> bool:
        """Read what changed; whether anything did."""
        found: dict[str, RunDir] = {}
        problems: tuple[str, ...] = ()
        try:
            found = self._folder.runs()
        except RunError as error:
            problems = (str(error),)
        altered, kept = self._altered(), self._kept
        if altered or found is not self._found:
            kept = {name: self._look_at(run, altered) for name, run in found.items()}
            self._found = found
        changed = self._poll_queue() or self._changed(kept) or not self._fresh
        if changed:
            self._kept, self._fresh = kept, True
            known = {config.run_id for config in self._planned}
            configs = [config for one in kept.values() for config in one.configs]
            self.expected = (*self._planned, *(config for config in configs if config.run_id not in known))
            self.measured = tuple(item for one in kept.values() for item in one.measured)
        problems += tuple(text for one in kept.values() for text in one.problems)
        changed |= problems != self.problems
        self.problems = problems
        return changed

    def _changed(self, kept: dict[str, _Kept]) -> bool:
        if kept is self._kept:
            return False
        return list(kept) != list(self._kept) or any(kept[name] is not one for name, one in self._kept.items())

    def _altered(self) -> set[str]:
        """Those whose turn it is, and of which something is not as it was read."""
        everything, self._hurry = self._hurry, False
        kept = self._kept
        folders = () if everything else self._folders.take(kept, FOLDERS)
        files = kept if everything else self._files.take(kept, FILES)
        found = {name for name in folders if stamp_of(kept[name].run.eval) != kept[name].folder}
        return found | {name for name in files if kept[name].altered}

    def _look_at(self, run: RunDir, altered: set[str]) -> _Kept:
        before = self._kept.get(run.run_id)
        if before is not None and before.run is run and run.run_id not in altered:
            return before
        self.reads += 1
        return guarded(run, _read, lambda view: _Kept(run, stamp_of(run.eval), {}, (), (), (view.problem or "",)))

    def _poll_queue(self) -> bool:
        """Read the queue file if it changed; the last readable version counts while it is broken."""
        before, self._queue_stamp = self._queue_stamp, stamp_of(self._queue)
        if self._queue_stamp == before:
            return False
        try:
            self._planned = tuple(expected_runs([], self._queue))
        except ConfigError:
            return False
        return True


def _read(run: RunDir) -> _Kept:
    folder = stamp_of(run.eval)
    stamps = {path: stamp_of(path) for path in _files(run)}
    measured, problems = gather([run])
    named = {run.checkpoints / f"{item.result.checkpoint}.json" for item in measured}
    kept = {path: stamp for path, stamp in stamps.items() if path.parent != run.checkpoints}
    kept |= {path: stamps.get(path) for path in named}
    return _Kept(run, folder, kept, tuple(expected_runs([run], None)), tuple(measured), tuple(problems))


def _files(run: RunDir) -> list[Path]:
    """What a result hangs on: the folder tells when one comes or goes."""
    return [run.config_file, run.eval, *run.eval.glob("*.json"), *run.checkpoints.glob("*.json")]
