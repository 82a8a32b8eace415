"""Which runs begin with the weights of which: `init-from` tied to the runs of the same queue file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from goe.core.config import InitFrom, RunConfig
from goe.core.errors import did_you_mean
from goe.core.rundir import RunDir

Report = Callable[[str, str], None]
"""Called with the experiment's name and the finding."""


def tie(runs: Sequence[RunConfig], report: Report) -> tuple[RunConfig, ...]:
    """`runs` with each `init-from` experiment's configuration filled in, so that run ids depend on it.

    Reports experiments that aren't there, lack the seed, go round in a circle, or train another network.
    """
    found = {(run.experiment, run.seed): run for run in runs}
    tied: dict[tuple[str, int], RunConfig] = {}

    def visit(run: RunConfig, path: tuple[str, ...]) -> RunConfig:
        key = (run.experiment, run.seed)
        if key in tied:
            return tied[key]
        origin = run.init_from
        if origin is not None and origin.experiment:
            source = found.get((origin.experiment, run.seed))
            finding = _problem(run, origin, source, found, path)
            if finding or source is None:
                report(run.experiment, finding)
            else:
                group = visit(source, (*path, run.experiment)).group
                run = msgspec.structs.replace(run, init_from=msgspec.structs.replace(origin, group=group))
        tied[key] = run
        return run

    return tuple(visit(run, ()) for run in runs)


def _problem(
    run: RunConfig,
    origin: InitFrom,
    source: RunConfig | None,
    found: dict[tuple[str, int], RunConfig],
    path: tuple[str, ...],
) -> str:
    names = {name for name, _ in found}
    if origin.experiment not in names:
        return f'no experiment is called "{origin.experiment}"{did_you_mean(origin.experiment, names)}'
    if source is None:
        return f'experiment "{origin.experiment}" has no seed {run.seed}; give both the same seeds'
    if origin.experiment in {*path, run.experiment}:
        return " begins with ".join([*path, run.experiment, origin.experiment]) + ", a circle"
    if (source.model, source.dataset) != (run.model, run.dataset):
        return f'experiment "{source.experiment}" trains {source.model} on {source.dataset}, not {run.model}'
    return ""


def source_run(runs: Path, config: RunConfig) -> RunDir | None:
    """The run of the same folder that `config`'s run begins with; None if it begins with a file or from scratch."""
    origin = config.init_from
    return RunDir(runs / origin.run_id(config.seed)) if origin is not None and origin.experiment else None
