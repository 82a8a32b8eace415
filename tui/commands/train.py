"""`goe train`: one run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.commands.options import DEFAULT_RUNS, DataRoot, Runs
from tui.commands.output import warn
from tui.commands.selection import use_data
from tui.commands.tables import print_table

if TYPE_CHECKING:
    from goe.core.config import RunConfig
    from goe.core.jobs import JobOptions
    from goe.core.records import Launch
    from goe.core.rundir import RunDir
    from goe.launch.base import Slot


def train(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Option(help="ID data set: digits, cifar10, cifar100, spiral.")] = "digits",
    model: Annotated[
        str | None, typer.Option(help="wrn-D-W, resnet-18, -34, -50, densenet-bc-L-k, mlp-…; also wrn, res34, dense.")
    ] = None,
    method: Annotated[str, typer.Option(help="baseline, oe, energy-oe, mixoe, udg, goe.")] = "goe",
    trial: Annotated[str, typer.Option(help="Trial number; it is the seed.")] = "1",
    name: Annotated[str | None, typer.Option(help="Experiment name (default: method-dataset-model).")] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.")] = None,
    k: Annotated[int | None, typer.Option("--k", "--filtered-num", "--filtered_num", help="Filter's k.")] = None,
    estimation: Annotated[
        str | None, typer.Option("--estimation", "--estimation-func", help="Filter by msp, margin or entropy.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Filter strategy: topk, static, adaptive, quantile, none.")
    ] = None,
    gpu_id: Annotated[
        int | None, typer.Option(help="GPU to use (default: one that is free; without GPUs, the CPU).")
    ] = None,
    gpu_count: Annotated[
        int, typer.Option("--gpu-count", "--gpus", min=1, help="GPUs to train on together, a process on each.")
    ] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes to train with together where there is no GPU.")] = 1,
    restarts: Annotated[int, typer.Option(min=0, help="How often all processes are started anew when one dies.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other key of experiments.toml.")
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A run's config.json, to be trained exactly.")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    data: DataRoot = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the training and return.")] = False,
) -> None:
    """Train one run and watch it. Closing the terminal leaves it running; the same command shows it again."""
    from goe.core.jobs import JobOptions

    options = JobOptions(gpu_count=gpu_count, processes=processes, restarts=restarts)
    if config_file is not None:
        _train(_frozen(config_file, ctx, runs), runs, data, gpu_id, options, detach=detach)
        return
    raw: dict[str, Any] = {"dataset": dataset, "method": {"name": method}}
    optional = {"model": model, "epochs": epochs}
    raw |= {key: value for key, value in optional.items() if value is not None}
    chosen = {"k": k, "estimation": estimation, "strategy": strategy}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    if chosen:
        raw["method"]["filter"] = chosen
    _train(config_of(raw, settings or [], trial, name), runs, data, gpu_id, options, detach=detach)


def _train(
    config: "RunConfig", runs: Path, data: Path | None, gpu_id: int | None, options: "JobOptions", *, detach: bool
) -> None:
    from goe.core.errors import ConfigError
    from goe.core.jobs import Job, sharing_problems
    from goe.core.rundir import RunDir

    problems = [f"--{finding}" for _, finding in sharing_problems(Job(config=config, options=options))]
    if gpu_id is not None and options.gpu_count > 1:
        problems.append("--gpu-count: goes without --gpu-id, which names a single GPU")
    if problems:
        raise ConfigError(problems)
    runs.mkdir(parents=True, exist_ok=True)
    use_data(data)
    attach(RunDir.create(runs.resolve(), config), gpu_id, options, detach=detach)


_BESIDE_CONFIG = {"config_file", "runs", "data", "gpu_id", "gpu_count", "processes", "restarts", "detach"}
"""Options that change nothing of what is trained."""


def _frozen(path: Path, ctx: typer.Context, runs: Path) -> "RunConfig":
    """The configuration in a `config.json`, complete as it is. Raises ConfigError or RunError."""
    import msgspec

    from goe.core.config import RunConfig, complete
    from goe.core.errors import ConfigError, RunError
    from goe.core.lineage import source_run
    from goe.core.overview import view_run
    from goe.core.rundir import read_json
    from goe.core.state import RunState

    given = [name for name in ctx.params if name not in _BESIDE_CONFIG and _on_command_line(ctx, name)]
    problems = [f"--config: goes without --{name.replace('settings', 'set')}: the file has it all" for name in given]
    config = read_json(path, RunConfig)
    if config is None:
        raise RunError(f"{path}: no such file; --config takes a run's config.json")
    complete(msgspec.to_builtins(config), lambda key, finding: problems.append(f"{path}: {'.'.join(key)}: {finding}"))
    source = source_run(runs, config)
    if source is not None and view_run(source).state is not RunState.DONE:
        problems.append(f"{path}: begins with the weights of {source.run_id}, not done in {runs}; train that first")
    if problems:
        raise ConfigError(problems)
    return config


def _on_command_line(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


_OWN = {"experiment": "name", "name": "name", "seed": "trial", "seeds": "trial"}
"""Keys with an option of their own."""


def config_of(raw: dict[str, Any], settings: Sequence[str], trial: str, name: str | None) -> "RunConfig":
    """One run's configuration from options. Raises ConfigError with every problem."""
    from goe.core.config import complete, merge, spell_out
    from goe.core.errors import ConfigError
    from goe.core.setting import parse_setting

    problems: list[str] = []
    if not trial.isdecimal():
        problems.append(f"--trial: {trial!r} is not a number; write 1 or 01")
    for setting in settings:
        try:
            added = parse_setting(setting).table
        except ConfigError as error:
            problems.append(f"--set: {error}")
            continue
        problems += [f"--set: {key}: use --{_OWN[key]} instead" for key in added if key in _OWN]
        raw = merge(raw, spell_out(added))
    draft = spell_out(raw)
    chosen = draft["method"].get("name") if isinstance(draft["method"], dict) else None  # what is wrong comes below
    label = name or "-".join(str(part) for part in (chosen, draft["dataset"], draft.get("model")) if part)
    raw = {**raw, "experiment": label, "seed": int(trial) if trial.isdecimal() else 0}
    config = complete(raw, lambda path, finding: problems.append(f"--{'.'.join(path)}: {finding}"))
    if config is not None and config.init_from is not None and config.init_from.experiment:
        problems.append(
            "--set: init-from: `goe train` knows no other experiments; give a run's folder (./runs/RUN) or file"
        )
    if problems or config is None:
        raise ConfigError(problems)
    return config


def attach(run: "RunDir", gpu_id: int | None, options: "JobOptions", *, detach: bool) -> None:
    """Start the run unless it is done or alive, and show its progress to its end."""
    from goe.core.overview import view_run
    from goe.core.state import RunState
    from goe.launch.base import Start
    from goe.launch.local import LocalLauncher
    from tui.progress import follow

    view = view_run(run)
    if view.state is RunState.DONE:
        print(f"{run.run_id} is done; nothing to train. `goe eval {run.run_id}` evaluates it", file=sys.stderr)
        return
    if view.state is RunState.BROKEN:
        from goe.core.errors import RunError

        raise RunError(str(view.problem))
    if view.is_live:
        print(f"{run.run_id} runs already; showing it", file=sys.stderr)
    else:
        run.held_file.unlink(missing_ok=True)  # whoever starts it by hand wants it to run
        LocalLauncher().launch([Start(run, _slot(run.path.parent, gpu_id, options), view.attempt + 1)])
    if detach:
        print(run.run_id)
        return
    code = follow(run)
    if code == 0:
        print_table([run], queue=None, form="text")
    raise typer.Exit(code)


def as_before(launch: "Launch | None") -> "JobOptions":
    """What an attempt was given, to be asked for again."""
    from goe.core.jobs import JobOptions

    if launch is None:
        return JobOptions()
    return JobOptions(
        gpu_count=max(1, len(launch.gpus)),
        processes=1 if launch.gpus else launch.processes,
        restarts=launch.restarts,
    )


def _slot(runs: Path, gpu_id: int | None, options: "JobOptions") -> "Slot":
    """Free GPUs, or the one that was named, free or not; without GPUs, the CPU."""
    from goe.core.errors import ConfigError, RunError
    from goe.core.overview import view_runs
    from goe.core.queuefile import QueueOptions
    from goe.launch.base import Slot
    from goe.launch.gpu import read_gpus, select
    from goe.launch.slots import Slots, gpu_slot, too_few_cores

    present = read_gpus()
    if not present:
        if gpu_id is not None:
            warn(f"--gpu-id {gpu_id}: this machine has no GPU; training on the CPU")
        if options.gpu_count > 1:
            raise ConfigError([f"--gpu-count {options.gpu_count}: this machine has no GPU; --processes is for the CPU"])
        problem = too_few_cores(options.processes)
        if problem is not None:
            raise ConfigError([f"--{problem}"])
        return Slot(processes=options.processes, restarts=options.restarts)
    if options.processes > 1:
        warn(f"--processes {options.processes}: is for machines without GPUs; --gpu-count is for GPUs")
    names = None if gpu_id is None else (gpu_id,)
    chosen = select(present, names or (), "--gpu-id")
    slots = Slots(QueueOptions(), names)
    live = [view for view in view_runs(runs) if view.is_live]
    problem = slots.problem(options)
    if problem is not None:
        raise ConfigError([f"--{problem}"])
    found, reason = slots.take(options, live), slots.why(options, live)
    if found is None and not chosen:
        what = "no GPU is free" if options.gpu_count == 1 else "too few GPUs are free"
        raise RunError(f"{what}: {reason}; wait, or say with --gpu-id which one to use all the same")
    if found is None:
        warn(f"--gpu-id {gpu_id} is in use: {reason}")
    return found or gpu_slot(chosen)
