"""`experiments.toml`: the hand-edited list of experiments, expanded into run configurations.

[queue]                      # optional: how many runs at once
[defaults]                   # any key of RunConfig, for all experiments
[[experiment]]               # name, seeds, sweep, and any key of RunConfig
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import tomli
from msgspec import Meta, Struct

from goe.core.config import (
    DEFAULT_METHOD,
    RunConfig,
    check_struct,
    complete,
    merge,
    spell_out,
    unknown_key,
)
from goe.core.errors import ConfigError
from goe.core.jobs import Job, JobOptions, Retry, order_problems, sharing_problems
from goe.core.lineage import tie
from goe.core.queuetext import read_queue
from goe.core.slurm import SlurmRequest, request_problems
from goe.core.specs import Natural, NonNegative, Positive, StrictlyPositive
from goe.core.targets import TargetError, parse_target
from goe.core.tomlpos import KeyPath, key_lines, line_of

Table: TypeAlias = Mapping[str, Any]

TOP_KEYS = ("queue", "defaults", "experiment")
RUN_KEYS = frozenset(field.encode_name for field in msgspec.structs.fields(RunConfig)) - {"experiment", "seed"}
JOB_KEYS = frozenset(field.encode_name for field in msgspec.structs.fields(JobOptions))
EXPERIMENT_KEYS = RUN_KEYS | JOB_KEYS | {"name", "seeds", "sweep"}


class QueueOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The `[queue]` table."""

    launcher: Literal["local", "slurm"] = "local"
    """Where runs are started: on this machine, or as jobs of Slurm."""
    slots: Positive = 1
    """Runs at once where there is no GPU; the cores are shared out among them."""
    max_jobs: Positive = 100
    """Slurm: jobs at once, waiting and at work."""
    slurm: SlurmRequest = SlurmRequest()
    """What all jobs ask of Slurm."""
    gpus: tuple[Natural | str, ...] | None = None
    """The GPUs to use, by number in PCI bus order or UUID; all of the machine's when left out, none when empty."""
    data: str = ""
    """The folder with the data sets, relative to the current one; GOE_DATA and `--data` come first."""
    retry: Retry = Retry()
    """After which failures runs are started again."""
    min_free: NonNegative = 1.0
    """GiB that must be free on the disk of the runs for a run to be started."""
    notify: tuple[str, ...] = ()
    """Commands, or URLs of webhooks, ntfy, Slack or Discord, told of what happens."""
    notify_on: tuple[Literal["done", "failed", "empty"], ...] = ("done", "failed", "empty")
    grace: StrictlyPositive = 30.0
    """Seconds a cancelled run has to stop by itself."""


class Queue(Struct, frozen=True):
    """A queue file, read, checked and expanded."""

    path: Path
    options: QueueOptions
    jobs: tuple[Job, ...]
    """In the file's order."""

    @property
    def runs(self) -> tuple[RunConfig, ...]:
        """The configurations of the jobs."""
        return tuple(job.config for job in self.jobs)


def load_queue(path: Path) -> Queue:
    """Read and expand `path`. Raises ConfigError with every problem of the file, each with its line."""
    return parse_queue(read_queue(path).text, path)


def load_options(path: Path) -> QueueOptions:
    """The `[queue]` of `path` alone, whatever its experiments. Raises ConfigError where that can't be read."""
    return _reader(read_queue(path).text, path).read_options()


def parse_queue(text: str, path: Path) -> Queue:
    """`load_queue` for text already read; `path` is only named in messages."""
    return _reader(text, path).read()


def _reader(text: str, path: Path) -> "_Reader":
    try:
        table = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        finding = f"not valid TOML: {error.msg}"
        problem = f"{path}:{error.lineno}:{error.colno}: {finding}"
        raise ConfigError([problem], [(error.lineno, finding)]) from None
    return _Reader(path, text, table)


def experiment_entries(text: str) -> dict[str, int]:
    """Which [[experiment]] of the text (from 0) makes each experiment, sweeps expanded. The text need only be TOML."""
    reader = _Reader(Path(), text, tomli.loads(text))
    reader.gather()
    return {name: int(where[1]) for name, (where, _) in reader.places.items()}


def swept_keys(entry: Table) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The keys that the sweep of an [[experiment]] sets, each with its path within `sweep` as it is written."""
    return {_meant(written): written for written, _ in _swept(entry)}


class _Variant(Struct, frozen=True):
    """One experiment after its sweep: a name and the swept values laid over its table."""

    name: str
    table: Table
    swept: Mapping[tuple[str, ...], KeyPath]
    """The keys the sweep sets, each with the place of its values."""


class _Reader:
    """Gathers problems while it expands; each finding is tied to the line that causes it."""

    def __init__(self, path: Path, text: str, table: Table) -> None:
        self.path = path
        self.table = table
        self.lines = key_lines(text)
        self.problems: set[tuple[int, str]] = set()  # every seed of an experiment repeats the same ones
        self.places: dict[str, tuple[KeyPath, _Variant]] = {}

    def read(self) -> Queue:
        for key in self.table.keys() - set(TOP_KEYS):
            self._report((key,), unknown_key(key, TOP_KEYS))
        options = self._options()
        jobs = self.gather()
        runs = tie([job.config for job in jobs], self._in_lineage)
        jobs = tuple(msgspec.structs.replace(job, config=config) for job, config in zip(jobs, runs, strict=True))
        for experiment, finding in order_problems(jobs, self.places):
            self._in(*self.places[experiment], ("after",), finding)
        self._raise_problems()
        return Queue(self.path, options, jobs)

    def read_options(self) -> QueueOptions:
        options = self._options()
        self._raise_problems()
        return options

    def _raise_problems(self) -> None:
        if self.problems:
            found = sorted(self.problems)
            raise ConfigError([f"{self.path}:{line}: {text}" for line, text in found], found)

    def gather(self) -> tuple[Job, ...]:
        """The jobs as far as they can be read, not yet tied to each other."""
        return tuple(self._jobs())

    def _report(self, path: KeyPath, finding: str) -> None:
        self.problems.add((line_of(self.lines, path) or 1, finding))

    def _is_table(self, key: str) -> bool:
        if isinstance(self.table.get(key, {}), dict):
            return True
        self._report((key,), f"{key} must be a table: [{key}]")
        return False

    def _options(self) -> QueueOptions:
        def report(path: tuple[str, ...], finding: str) -> None:
            self._report(("queue", *path), finding if path[0] in finding else f"{path[0]}: {finding}")

        table = self.table.get("queue", {}) if self._is_table("queue") else {}
        values = check_struct(QueueOptions, table, (), report)
        for place, name in enumerate(values.get("gpus") or ()):
            if isinstance(name, str) and not name.startswith(("GPU-", "MIG-")):
                finding = f'gpus: "{name}" is neither a GPU\'s number nor its UUID (GPU-…, MIG-…)'
                self._report(("queue", "gpus", place), finding)
        for found, text in request_problems(values.get("slurm") or SlurmRequest()):
            self._report(("queue", "slurm", *found), f"slurm.{text}")
        for place, entry in enumerate(values.get("notify") or ()):
            try:
                parse_target(entry)
            except TargetError as error:
                self._report(("queue", "notify", place), f"notify: {error}")
        return QueueOptions(**values)

    def _jobs(self) -> Iterator[Job]:
        defaults = _named(self.table.get("defaults", {}), DEFAULT_METHOD) if self._is_table("defaults") else {}
        for key in defaults.keys() - RUN_KEYS - JOB_KEYS - {"seeds"}:
            self._report(("defaults", key), unknown_key(key, RUN_KEYS | JOB_KEYS | {"seeds"}))
        experiments = self.table.get("experiment", [])
        if not isinstance(experiments, list) or not all(isinstance(entry, dict) for entry in experiments):
            self._report(("experiment",), "write each experiment as [[experiment]], with two brackets")
            return
        if not experiments:
            self.problems.add((1, "no experiment; add at least one [[experiment]] with a name"))
        names: dict[str, int] = {}
        for index, entry in enumerate(experiments):
            yield from self._experiment(index, entry, defaults, names)

    def _experiment(self, index: int, entry: Table, defaults: Table, names: dict[str, int]) -> Iterator[Job]:
        where: KeyPath = ("experiment", index)
        for key in entry.keys() - EXPERIMENT_KEYS:
            self._report((*where, key), unknown_key(key, EXPERIMENT_KEYS))
        name = entry.get("name")
        if not isinstance(name, str):
            self._report((*where, "name"), 'an experiment needs a name, for example name = "goe"')
            name = f"unnamed-{index}"  # to check the rest of it
        seeds = self._seeds(where, entry, defaults)
        usual = defaults.get("method", {"name": DEFAULT_METHOD})
        method = usual.get("name") if isinstance(usual, dict) else DEFAULT_METHOD
        for variant in self._variants(where, name, _named(entry, method)):
            first = names.setdefault(variant.name, index)
            if first != index:
                line = line_of(self.lines, ("experiment", first, "name"))
                self._report((*where, "name"), f'the name "{variant.name}" is taken by the experiment at line {line}')
            self.places.setdefault(variant.name, (where, variant))
            table = _drop(merge(_drop(defaults, {"seeds"}), variant.table), {"name", "seeds", "sweep"})
            known = {key: value for key, value in table.items() if key in RUN_KEYS}

            def report(path: tuple[str, ...], finding: str, variant: _Variant = variant) -> None:
                self._in(where, variant, path, finding)

            queued = {key: value for key, value in table.items() if key in JOB_KEYS}
            options = check_struct(JobOptions, queued, (), report)
            for found, text in request_problems(options.get("slurm") or SlurmRequest()):
                report(("slurm", str(found[0])), f"slurm.{text}")
            for seed in seeds:
                config = complete({**known, "experiment": variant.name, "seed": seed}, report)
                if config is not None and None not in options.values():
                    job = Job(config=config, options=JobOptions(**options))
                    for key, finding in sharing_problems(job):
                        report((key,), finding)
                    yield job

    def _in(self, where: KeyPath, variant: _Variant, path: tuple[str, ...], finding: str) -> None:
        """Report a finding at the place its value came from: sweep, experiment or defaults."""
        text = finding if len(path) < 2 or path[-1] in finding else f"{'.'.join(path)}: {finding}"
        text = text if not path or path[0] in text else f"{path[0]}: {text}"
        places: list[KeyPath] = [(*where, *path), ("defaults", *path), (*where, path[0]), ("defaults", path[0]), where]
        for swept, place in variant.swept.items():
            if path[: len(swept)] == swept or swept == (*path, "name"):
                places.insert(0, place)
        self._report(next((place for place in places if place in self.lines), where), text)

    def _in_lineage(self, experiment: str, finding: str) -> None:
        self._in(*self.places[experiment], ("init-from",), finding)

    def _seeds(self, where: KeyPath, entry: Table, defaults: Table) -> Sequence[int]:
        place = (*where, "seeds") if "seeds" in entry else ("defaults", "seeds")
        seeds = entry.get("seeds", defaults.get("seeds", [1]))
        try:
            checked = msgspec.convert(seeds, Annotated[list[Natural], Meta(min_length=1)])
        except msgspec.ValidationError:
            self._report(place, f"seeds must be a list of integers from 0, for example [1, 2, 3], not {seeds!r}")
            return [1]  # to check the rest of the experiment
        if len(set(checked)) < len(checked):
            self._report(place, f"seeds repeat: {checked}; each trial needs a seed of its own")
        return list(dict.fromkeys(checked))

    def _variants(self, where: KeyPath, name: str, entry: Table) -> Iterator[_Variant]:
        """The experiment itself, or one variant for each point of its sweep's grid."""
        axes = self._axes(where, entry)
        swept = {path: place for path, (place, _) in axes.items()}
        names: set[str] = set()
        for point in itertools.product(*(values for _, values in axes.values())):
            values = list(zip(axes, point, strict=True))
            table = dict(entry)
            for path, value in sorted(values, key=lambda pair: len(pair[0])):  # a method before what is set within it
                table = merge(table, spell_out(_nest(path, value)))
            label = "".join(f"-{path[-1]}{_slug(value)}" for path, value in values)
            if f"{name}{label}" in names:
                found = f'two points of the sweep are called "{name}{label}"; list each value once'
                self._report((*where, "sweep"), f"{found}, and write variants of one method as experiments")
            names.add(f"{name}{label}")
            yield _Variant(f"{name}{label}", table, swept)

    def _axes(self, where: KeyPath, entry: Table) -> dict[tuple[str, ...], tuple[KeyPath, list[Any]]]:
        """The keys that the sweep varies, with place and values; what can't be swept is reported and left out."""
        leaves = _swept(entry)
        if "sweep" in entry and not leaves:
            self._report((*where, "sweep"), "a sweep is a table of lists, for example sweep = { lr = [0.1, 0.05] }")
        axes: dict[tuple[str, ...], tuple[KeyPath, list[Any]]] = {}
        for written, values in leaves:
            place = (*where, "sweep", *written)
            path = _meant(written)
            if path[0] not in RUN_KEYS:
                self._report(place, unknown_key(path[0], RUN_KEYS))
            elif not isinstance(values, list) or not values:
                self._report(place, f"sweep over {'.'.join(path)}: expected a list of values, got {values!r}")
            elif path in axes:
                self._report(place, f"sweep over {'.'.join(path)}: it is swept twice")
            else:
                axes[path] = place, values
        return axes


def _named(table: Table, name: Any) -> dict[str, Any]:
    """`spell_out`, with the method called `name` where its table leaves that out."""
    table = spell_out(table)
    method = table.get("method")
    return {**table, "method": {"name": name, **method}} if isinstance(method, dict) else dict(table)


def _drop(table: Table, keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _leaves(table: Table, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of nested tables with its path as written: a quoted `"method.filter.k"` is one key."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _swept(entry: Table) -> list[tuple[tuple[str, ...], Any]]:
    """What the sweep of an [[experiment]] says, with the paths as written."""
    sweep = entry.get("sweep", {})
    return list(_leaves(sweep)) if isinstance(sweep, dict) else []


def _meant(written: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for key in written for part in key.split("."))


def _nest(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def _slug(value: Any) -> str:
    """A sweep value as part of a folder's name."""
    if isinstance(value, dict):
        value = value.get("name", "-".join(str(part) for part in value.values()))
    return "".join(char if char.isalnum() or char in "._+-" else "_" for char in str(value))
