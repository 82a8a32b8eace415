"""The evaluation results of a folder of runs; a run whose files are as they were costs a few stats."""

from dataclasses import dataclass
from pathlib import Path

from goe.core.config import RunConfig
from goe.core.errors import ConfigError, RunError
from goe.core.results import Measured, expected_runs, gather
from goe.core.rundir import RunDir, find_runs
from goe.core.stamp import Stamp, stamp_of
from tui.reading.base import guarded

_Stamps = dict[Path, Stamp | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    """One run as it was read."""

    stamps: _Stamps
    """Of the files that were read, from before they were."""
    configs: tuple[RunConfig, ...]
    measured: tuple[Measured, ...]
    problems: tuple[str, ...]


class Evaluations:
    """Every result under `runs`, and the runs there should be."""

    def __init__(self, runs: Path, queue: Path) -> None:
        self.measured: tuple[Measured, ...] = ()
        self.expected: tuple[RunConfig, ...] = ()
        """Those planned in the queue file, then those found."""
        self.problems: tuple[str, ...] = ()
        self.reads = 0
        """How often a run was read, not only looked at."""
        self._runs = runs
        self._queue = queue
        self._queue_stamp: Stamp | None = None
        self._planned: tuple[RunConfig, ...] = ()
        self._kept: dict[str, _Kept] = {}
        self._fresh = False

    def poll(self) -> bool:
        """Read what changed; whether anything did."""
        found: list[RunDir] = []
        problems: tuple[str, ...] = ()
        try:
            found = find_runs(self._runs)
        except RunError as error:
            problems = (str(error),)
        kept = {run.run_id: self._look_at(run) for run in found}
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
        return list(kept) != list(self._kept) or any(kept[name] is not one for name, one in self._kept.items())

    def _look_at(self, run: RunDir) -> _Kept:
        """The run as it was read, read anew if one of its files changed."""
        before = self._kept.get(run.run_id)
        if before is not None and all(stamp_of(path) == stamp for path, stamp in before.stamps.items()):
            return before
        self.reads += 1
        return guarded(run, _read, lambda view: _Kept({}, (), (), (view.problem or "",)))

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
    stamps = {path: stamp_of(path) for path in _files(run)}
    measured, problems = gather([run])
    named = {run.checkpoints / f"{item.result.checkpoint}.json" for item in measured}
    kept = {path: stamp for path, stamp in stamps.items() if path.parent != run.checkpoints}
    kept |= {path: stamps.get(path) for path in named}
    return _Kept(kept, tuple(expected_runs([run], None)), tuple(measured), tuple(problems))


def _files(run: RunDir) -> list[Path]:
    """What a result hangs on: the folder tells when one comes or goes."""
    return [run.config_file, run.eval, *run.eval.glob("*.json"), *run.checkpoints.glob("*.json")]
