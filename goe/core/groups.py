"""Which runs are meant: run ids or experiments' names on the command line become groups of runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from goe.core.errors import RunError, did_you_mean
from goe.core.rundir import RunDir, find_runs, resolve_run


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that belong together."""

    label: str
    runs: tuple[RunDir, ...]
    """One that was named itself, or every seed of one experiment's configuration."""


def select_groups(runs: Path, names: Sequence[str]) -> list[Group]:
    """A group for each run (id, unique beginning of it, or path) and each experiment's configuration named.

    An experiment's name stands for all its seeds, also where it begins a run id. Raises RunError for a name that is
    neither, or begins several ids.
    """
    experiments = _experiments(find_runs(runs))
    found: list[Group] = []
    for name in names:
        if name in experiments and not (runs / name / "config.json").exists():
            found += experiments[name]
        else:
            found.append(_named(runs, name, experiments))
    once = {tuple(run.run_id for run in group.runs): group for group in found}
    return _told_apart(list(once.values()))


def _experiments(found: Sequence[RunDir]) -> dict[str, list[Group]]:
    """Groups by experiment. Runs without a readable configuration are in none; who names one is told why."""
    seeds: dict[tuple[str, str], list[RunDir]] = {}
    for run in found:
        try:
            config = run.config()
        except RunError:
            continue
        seeds.setdefault((config.experiment, config.group), []).append(run)
    groups: dict[str, list[Group]] = {}
    for (experiment, _), each in seeds.items():
        groups.setdefault(experiment, []).append(Group(experiment, tuple(each)))
    return groups


def _named(runs: Path, name: str, experiments: dict[str, list[Group]]) -> Group:
    ids = [run.run_id for run in find_runs(runs)]
    if not (Path(name) / "config.json").exists() and not any(run_id.startswith(name) for run_id in ids):
        hint = did_you_mean(name, [*experiments, *ids])
        raise RunError(f"{name}: no such run or experiment in {runs}{hint}; `goe runs --runs {runs}` lists the runs")
    run = resolve_run(runs, name)
    config = run.config()
    return Group(f"{config.experiment}-s{config.seed}", (run,))


def _told_apart(groups: list[Group]) -> list[Group]:
    """Labels that several groups share get the configuration's hex digits."""
    labels = [group.label for group in groups]
    return [
        replace(group, label=f"{group.label} ({group.runs[0].config().group})")
        if labels.count(group.label) > 1
        else group
        for group in groups
    ]
