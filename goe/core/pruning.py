"""Checkpoints that are given up to save space: which may go, and what goes with them."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from goe.core.errors import ConfigError, RunError, did_you_mean
from goe.core.integrity import WEIGHTS, files_in, files_of, read_index
from goe.core.inventory import index_files, output_folder
from goe.core.lineage import source_run
from goe.core.overview import RunView, view_run
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir
from goe.core.state import RunState
from goe.core.thresholds import SUFFIX


@dataclass(frozen=True, slots=True)
class Keep:
    """Which checkpoints stay."""

    names: tuple[str, ...] = ("last", "best")
    every: int = 0
    """And every n-th epoch's; 0 for none."""

    def __call__(self, name: str, epoch: int) -> bool:
        """Whether the checkpoint `name` of `epoch` stays."""
        return name in self.names or (self.every > 0 and name.startswith("epoch-") and epoch % self.every == 0)


def parse_keep(text: str) -> Keep:
    """`last,best,every=10`; also names such as epoch-050. Raises ConfigError."""
    names, every, problems = [], 0, []
    for word in filter(None, (part.strip() for part in text.split(","))):
        head, separator, number = word.partition("=")
        if head == "every" and separator and number.isdecimal() and int(number):
            every = int(number)
        elif word in {"last", "best"} or (word.startswith("epoch-") and word[6:].isdecimal()):
            names.append(word)
        else:
            near = did_you_mean(word, ("last", "best", "every=10"))
            problems.append(f'--keep: "{word}" is unknown{near}; known: last, best, every=N, epoch-NNN')
    if not names and not every and not problems:
        problems.append("--keep: keeps nothing; write for example last,best,every=10")
    if problems:
        raise ConfigError(problems)
    return Keep(tuple(names), every)


@dataclass(frozen=True, slots=True)
class Removal:
    """A file or folder that is to go."""

    path: Path
    size: int
    """Bytes."""
    why: str


@dataclass(frozen=True, slots=True)
class Pruning:
    """What goes from one run, and what stays though it was not to be kept."""

    run: RunDir
    removals: tuple[Removal, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(removal.size for removal in self.removals)


def needed_by(runs: Path, views: Iterable[RunView]) -> dict[tuple[Path, str], str]:
    """Checkpoints, by run folder and name, that runs which are not done will begin with, each with such a run's id."""
    found: dict[tuple[Path, str], str] = {}
    for view in views:
        origin = view.config.init_from if view.config is not None else None
        if origin is None or view.state is RunState.DONE or view.config is None:
            continue
        source = source_run(runs, view.config)
        path = source.path if source is not None else Path(origin.file)
        found[path.resolve(), origin.checkpoint] = view.run_id
    return found


def plan_pruning(run: RunDir, keep: Keep, needed: Mapping[tuple[Path, str], str]) -> Pruning:
    """What `keep` leaves over. Nothing of a live run, nor of one with an index that can't be read."""
    view = view_run(run)
    if view.is_live:
        return Pruning(run, remarks=(f"is {view.state}: nothing is removed while it lives",))
    indexes = {path: read_index(path) for path in index_files(run.checkpoints)}
    for path, index in indexes.items():
        if isinstance(index, str):
            return Pruning(run, remarks=(f"{path.name} can't be read and may name any file: nothing is removed",))
    whole = {path: index for path, index in indexes.items() if not isinstance(index, str)}
    remarks, goes = [], []
    for path, index in whole.items():
        if keep(path.stem, index.epoch):
            continue
        user = needed.get((run.path.resolve(), path.stem))
        if user is not None:
            remarks.append(f"{path.stem} stays: {user} begins with it and is not done")
        elif path.stem == "last" and view.state is not RunState.DONE:
            remarks.append("last stays: the run is not done and goes on from it")
        else:
            goes.append(path)
    stays = [index for path, index in whole.items() if path not in goes]
    return Pruning(run, tuple(_removals(run, goes, [whole[path] for path in goes], stays)), tuple(remarks))


def _removals(
    run: RunDir, goes: Sequence[Path], gone: Sequence[CheckpointIndex], stays: Sequence[CheckpointIndex]
) -> Iterable[Removal]:
    """Indexes first, so that no reader finds one without its files."""
    for path in goes:
        yield Removal(path, path.stat().st_size, "not to be kept")
    used = {name for index in stays for name in files_of(index)}
    used |= {index.weights.removesuffix(WEIGHTS) + SUFFIX for index in stays}
    named = {name for index in gone for name in (*files_of(index), index.weights.removesuffix(WEIGHTS) + SUFFIX)}
    for path in files_in(run.checkpoints):
        if (path.suffix != ".json" or path.name.endswith(SUFFIX)) and path.name not in used:
            why = "of a checkpoint not to be kept" if path.name in named else "named by no index"
            yield Removal(path, path.stat().st_size, why)
    kept = {output_folder(run, index.weights_sha256) for index in stays}
    outputs = run.eval / "outputs"
    for folder in sorted(outputs.iterdir()) if outputs.is_dir() else ():
        if folder not in kept:
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            yield Removal(folder, size, "outputs of weights that are gone")


def prune(pruning: Pruning) -> None:
    """Remove it. Raises RunError if the run has come to life since; OSError where the disk refuses."""
    view = view_run(pruning.run)
    if view.is_live:
        raise RunError(f"{pruning.run.run_id}: is {view.state} now; nothing was removed from it")
    for removal in pruning.removals:
        if removal.path.is_dir():
            shutil.rmtree(removal.path)
        else:
            removal.path.unlink(missing_ok=True)
