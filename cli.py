"""The command line: parse, call, print. Every command imports what it needs itself, so that `--help` is instant."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from goe.core.chart import Figure
    from goe.core.config import RunConfig, Tests
    from goe.core.evaljob import EvalRequest
    from goe.core.queuefile import Queue
    from goe.core.rundir import RunDir
    from goe.tabulate import Request

app = typer.Typer(
    name="goe",
    help="A terminal lab for out-of-distribution detection with outlier exposure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
queue_app = typer.Typer(help="Work through experiments.toml.", no_args_is_help=True)
data_app = typer.Typer(help="Data sets.", no_args_is_help=True)
figure_app = typer.Typer(help="Pictures of what the methods do.", no_args_is_help=True)
app.add_typer(queue_app, name="queue")
app.add_typer(data_app, name="data")
app.add_typer(figure_app, name="figure")

Runs = Annotated[
    Path, typer.Option("--runs", "--save-path", envvar="GOE_RUNS", metavar="DIR", help="The folder with the runs.")
]
QueueFile = Annotated[Path, typer.Option("--queue", envvar="GOE_QUEUE", metavar="FILE", help="The queue file to read.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
RunNames = Annotated[list[str] | None, typer.Argument(metavar="RUN…", help="Run ids, or unique beginnings of them.")]
Slots = Annotated[
    int | None, typer.Option("--slots", min=1, help="Runs at once (default: as the queue says, or one a GPU).")
]
Gpus = Annotated[str | None, typer.Option("--gpus", help="GPUs to use, e.g. 0,2.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data", envvar="GOE_DATA", metavar="DIR", help="The folder with data sets.")
]
DEFAULT_RUNS = Path("runs")
DEFAULT_QUEUE = Path("experiments.toml")


def main() -> None:
    """Entry point of `goe`: a user's mistake ends in one clear message and its own exit code."""
    from goe.core.errors import EXIT_USER, GoeError

    try:
        app()
    except GoeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `goe runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        print(f"error: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(EXIT_USER)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Set up nothing; commands set up what they need."""
    if version:
        from importlib.metadata import version as installed

        print(f"goe {installed('goe')}")
        raise typer.Exit


@app.command()
def train(
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
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other key of experiments.toml.")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    data: DataRoot = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the training and return.")] = False,
) -> None:
    """Train one run and watch it. Closing the terminal leaves it running; the same command shows it again."""
    from goe.core.rundir import RunDir

    raw: dict[str, Any] = {"dataset": dataset, "method": {"name": method}}
    optional = {"model": model, "epochs": epochs}
    raw |= {key: value for key, value in optional.items() if value is not None}
    chosen = {"k": k, "estimation": estimation, "strategy": strategy}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    if chosen:
        raw["method"]["filter"] = chosen
    config = _config(raw, settings or [], trial, name)
    runs.mkdir(parents=True, exist_ok=True)
    _use_data(data)
    _attach(RunDir.create(runs.resolve(), config), gpu_id, detach=detach)


_OWN = {"experiment": "name", "name": "name", "seed": "trial", "seeds": "trial"}
"""Keys with an option of their own."""


def _config(raw: dict[str, Any], settings: Sequence[str], trial: str, name: str | None) -> "RunConfig":
    """One run's configuration from options. Raises ConfigError with every problem."""
    import tomli

    from goe.core.config import complete, merge, spell_out
    from goe.core.errors import ConfigError

    problems: list[str] = []
    if not trial.isdecimal():
        problems.append(f"--trial: {trial!r} is not a number; write 1 or 01")
    for setting in settings:
        key, separator, value = setting.partition("=")
        try:
            added = tomli.loads(setting if separator else "")
        except tomli.TOMLDecodeError:
            try:
                added = tomli.loads(f'{key} = "{value}"')  # a bare word is meant as a string
            except tomli.TOMLDecodeError:
                added = {}
        if not added:
            problems.append(f"--set: {setting!r} is not KEY=VALUE, for example --set lr=0.05")
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


def _use_data(chosen: Path | None, otherwise: str = "") -> Path:
    """The folder with the data sets, told to every process started from here."""
    root = chosen or Path(otherwise or "data")
    os.environ["GOE_DATA"] = str(root.absolute())
    return root


def _attach(run: "RunDir", gpu_id: int | None, *, detach: bool) -> None:
    """Start the run unless it is done or alive, and show its progress to its end."""
    from goe.core.overview import view_run
    from goe.core.state import RunState
    from goe.launch.local import LocalLauncher
    from tui.progress import follow

    view = view_run(run)
    if view.state is RunState.DONE:
        print(f"{run.run_id} is done; nothing to train. `goe eval {run.run_id}` evaluates it", file=sys.stderr)
        return
    if view.state is RunState.BROKEN:
        from goe.core.errors import RunError

        raise RunError(str(view.problem))
    if view.state.is_live:
        print(f"{run.run_id} runs already; showing it", file=sys.stderr)
    else:
        LocalLauncher().launch(run, _slot(run.path.parent, gpu_id), attempt=view.attempt + 1)
    if detach:
        print(run.run_id)
        return
    code = follow(run)
    if code == 0:
        _print_table([run], queue=None, form="text")
    raise typer.Exit(code)


def _slot(runs: Path, gpu_id: int | None) -> Any:
    from goe.core.overview import view_runs
    from goe.core.queuefile import QueueOptions
    from goe.launch.base import Slot
    from goe.launch.gpu import gpu_indices
    from goe.launch.runner import free_slots, make_slots

    present = gpu_indices()
    if not present:
        if gpu_id is not None:
            print(f"--gpu-id {gpu_id}: this machine has no GPU; training on the CPU", file=sys.stderr)
        return Slot()
    if gpu_id is not None and gpu_id not in present:  # the run would quietly train on the CPU
        from goe.core.errors import ConfigError

        raise ConfigError([f"--gpu-id: no GPU {gpu_id} here; there are {', '.join(map(str, present))}"])
    if gpu_id is not None:
        return Slot(gpus=(gpu_id,))
    slots = make_slots(QueueOptions(), gpus=present)
    return next(iter(free_slots(slots, [view for view in view_runs(runs) if view.state.is_live])), slots[0])


@app.command("eval")
def eval_(
    names: RunNames = None,
    dataset: Annotated[str | None, typer.Option(help="Only runs on this ID data set.")] = None,
    model: Annotated[str | None, typer.Option(help="Only runs of this model.")] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last or epoch-NNN (default: as configured).")] = "",
    scores: Annotated[
        str, typer.Option(help="Comma-separated scores, e.g. msp,energy,knn, or all (default: as configured).")
    ] = "",
    protocol: Annotated[
        str | None, typer.Option(help="OOD test sets of default, scood, goe2024 or openood (default: as configured).")
    ] = None,
    ood: Annotated[
        str | None, typer.Option(help="Comma-separated OOD test sets instead: names, folders, lists; or all.")
    ] = None,
    ood_mode: Annotated[str | None, typer.Option(help="scood, goe2024: drop, as-id or dataset.")] = None,
    gpu_id: Annotated[int | None, typer.Option(help="GPU to use.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Evaluate again what is evaluated already.")] = False,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep logits and features of each set in the run's eval/outputs.")
    ] = True,
    runs: Runs = DEFAULT_RUNS,
    data: DataRoot = None,
) -> None:
    """Evaluate trained runs (all of the folder if none is named) and print their table."""
    from goe.core.errors import RunError
    from goe.core.evaljob import EvalRequest

    request = EvalRequest(
        checkpoint=checkpoint,
        scores=_scores(scores),
        tests=_tests(protocol, ood, ood_mode),
        force=force,
        keep_outputs=cache,
    )
    chosen = _select(runs, names, dataset, model)
    ready = [run for run in chosen if (run.checkpoints / "last.json").exists()]
    for run in chosen if names and ready else ():
        if run not in ready:
            print(f"{run.run_id}: has no checkpoint yet; left out", file=sys.stderr)
    if not ready:
        what = " ".join(filter(None, [dataset, model]))
        raise RunError(f"{runs}: no trained run{f' of {what}' if what else ''} to evaluate; `goe train` makes one")
    _use_data(data)
    code = _evaluate(request, ready, gpu_id)
    _print_table(ready, queue=None, form="text", request=_just_evaluated(request, ready))
    raise typer.Exit(code)


def _just_evaluated(request: "EvalRequest", runs: "Sequence[RunDir]") -> "Request":
    """A table of what was asked for alone, several scores as lines below each other."""
    from goe.core.layout import Layout
    from goe.core.results import gather
    from goe.core.where import Where
    from goe.tabulate import Request

    there = {item.result.score for item in gather(runs)[0]}
    scores = [score for score in request.scores if score in there]  # one that failed has none
    rows = ("experiment", "score") if len(scores) > 1 else ("experiment",)
    asked = [("score", score) for score in scores]
    asked += [("checkpoint", request.checkpoint)] if request.checkpoint and there else []
    return Request(layout=Layout(rows=rows), where=Where(tuple(asked)), mixed=True)


def _evaluate(request: "EvalRequest", runs: "Sequence[RunDir]", gpu_id: int | None) -> int:
    """Let a worker evaluate `runs` and show how far it is; its exit code."""
    import subprocess

    import msgspec

    from goe.core.evaljob import EvalProgress
    from tui.progress import EvalDisplay

    env = dict(os.environ)
    if gpu_id is not None:
        env |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(gpu_id)}
    command = [*_WORKER, "eval", msgspec.json.encode(request).decode(), *(str(run.path.resolve()) for run in runs)]
    lines = msgspec.json.Decoder(EvalProgress)
    with EvalDisplay() as display, subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            display.show(lines.decode(line))
    return worker.returncode


_WORKER = [sys.executable, "-P", "-m", "goe.worker"]


@app.command()
def score(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES…", help="Image files, and folders of them.")],
    score_name: Annotated[str, typer.Option("--score", help="The score (default: the first configured).")] = "",
    checkpoint: Annotated[str, typer.Option(help="best, last or epoch-NNN (default: as configured).")] = "",
    runs: Runs = DEFAULT_RUNS,
    data: DataRoot = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each image.")] = False,
) -> None:
    """Score image files with a trained detector: ID class, score, and whether it takes them for ID."""
    import subprocess

    import msgspec

    from goe.core.errors import RunError
    from goe.core.evaljob import ScoredImage, ScoreRequest
    from goe.core.report import describe_scored
    from goe.core.rundir import resolve_run

    absent = [str(path) for path in images if not path.exists()]
    if absent:
        raise RunError(f"{absent[0]}: no such file or folder" + (f"; {len(absent) - 1} more" if absent[1:] else ""))
    found = resolve_run(runs, run)
    names = _scores(score_name)
    request = ScoreRequest(checkpoint=checkpoint, score=names[0] if names else "", paths=tuple(map(str, images)))
    _use_data(data)
    command = [*_WORKER, "score", msgspec.json.encode(request).decode(), str(found.path.resolve())]
    lines = msgspec.json.Decoder(ScoredImage)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            print(line.decode().rstrip() if as_json else describe_scored(lines.decode(line)), flush=True)
    raise typer.Exit(worker.returncode)


def _scores(words: str) -> tuple[str, ...]:
    """The scores of a comma-separated list. Raises ConfigError for unknown ones."""
    from goe.core.errors import ConfigError, did_you_mean
    from goe.core.scorespecs import SCORE_NAMES

    if words == "all":
        return SCORE_NAMES
    chosen = tuple(word for word in words.split(",") if word)
    known = ", ".join((*SCORE_NAMES, "all"))
    problems = [
        f'--scores: "{word}" is unknown{did_you_mean(word, SCORE_NAMES)}; known: {known}'
        for word in chosen
        if word not in SCORE_NAMES
    ]
    if problems:
        raise ConfigError(problems)
    return chosen


def _tests(protocol: str | None, ood: str | None, ood_mode: str | None) -> "Tests":
    """Other OOD test sets. Raises ConfigError for words that are none."""
    import msgspec

    from goe.core.config import Tests
    from goe.core.dataspecs import OODMode, Protocol
    from goe.core.errors import ConfigError, did_you_mean

    known: dict[str, tuple[str | None, Sequence[str]]] = {
        "protocol": (protocol, Protocol.__args__),  # type: ignore[attr-defined]
        "ood-mode": (ood_mode, OODMode.__args__),  # type: ignore[attr-defined]
    }
    problems = [
        f'--{option}: "{word}" is unknown{did_you_mean(word, words)}; known: {", ".join(words)}'
        for option, (word, words) in known.items()
        if word is not None and word not in words
    ]
    if problems:
        raise ConfigError(problems)
    chosen = {"protocol": protocol, "ood": ood.split(",") if ood else None, "ood_mode": ood_mode}
    return msgspec.convert(chosen, Tests)


def _select(runs: Path, names: Sequence[str] | None, dataset: str | None, model: str | None) -> "list[RunDir]":
    from goe.core.config import MODEL_ALIASES
    from goe.core.errors import RunError
    from goe.core.rundir import find_runs, resolve_run

    if names:
        return [resolve_run(runs, name) for name in names]
    wanted_model = MODEL_ALIASES.get(model, model) if model else None
    found = []
    for run in find_runs(runs):
        try:
            config = run.config()
        except RunError as error:
            print(f"warning: {error}", file=sys.stderr)
            continue
        if dataset in {None, config.dataset} and wanted_model in {None, config.model}:
            found.append(run)
    return found


Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="KEY=VALUE", help="Only results of this experiment, method, model, …; *, ? and [] fit."
    ),
]
PositiveClass = Annotated[str, typer.Option("--positive", help="id or ood: the class to be found at 95 %.")]
TiesCount = Annotated[str, typer.Option("--ties", help="mid-rank or against-id, as the authors' curve.")]


@app.command()
def table(
    names: RunNames = None,
    form: Annotated[str, typer.Option("--format", help="text, md, csv, json, latex or html.")] = "text",
    rows: Annotated[
        str, typer.Option(help="Of experiment, method, model, dataset, score, checkpoint: what a line is about.")
    ] = "experiment",
    columns: Annotated[str, typer.Option(help="metrics: a block a test set; sets: a block a metric.")] = "metrics",
    metrics: Annotated[str, typer.Option(help="accuracy,aurc,e-aurc,ece,fpr95,auroc,…, or all.")] = "",
    sets: Annotated[str, typer.Option(help="OOD test sets, and average (default: all).")] = "",
    where: Conditions = None,
    positive: PositiveClass = "id",
    ties: TiesCount = "mid-rank",
    mixed: Annotated[bool, typer.Option("--mixed", help="Show several protocols, a block for each.")] = False,
    preset: Annotated[str, typer.Option(help="paper: the layout of Koo et al. (2024).")] = "",
    compare_with: Annotated[str, typer.Option("--compare", help="paper: its figures beside the cells.")] = "",
    against: Annotated[str, typer.Option(metavar="EXPERIMENT", help="Mark what differs from this one by †.")] = "",
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
) -> None:
    """Print mean ± standard deviation over seeds, per OOD test set and averaged; best and second best are marked."""
    from goe.core.errors import ConfigError, did_you_mean
    from goe.core.forms import FORMATS
    from goe.core.layout import parse_layout
    from goe.core.where import parse_where
    from goe.tabulate import Request

    for option, word, known in (
        ("--format", form, FORMATS),
        ("--preset", preset or "paper", ("paper",)),
        ("--compare", compare_with or "paper", ("paper",)),
    ):
        if word not in known:
            raise ConfigError([f'{option}: "{word}" is unknown{did_you_mean(word, known)}; known: {", ".join(known)}'])
    request = Request(
        layout=parse_layout(rows=rows, columns=columns, metrics=metrics, sets=sets, positive=positive, ties=ties),
        where=parse_where(where or []),
        mixed=mixed,
        paper_layout=bool(preset),
        paper_figures=bool(compare_with),
        against=against,
    )
    _print_table(_select(runs, names, None, None), queue=None if names else queue, form=form, request=request)


def _print_table(
    chosen: "Sequence[RunDir]", *, queue: Path | None, form: Any, request: "Request | None" = None
) -> None:
    """Without a `request` the usual table, also of several protocols: what was just evaluated is always shown."""
    from goe.core.forms import RECORDS, render
    from goe.tabulate import Request, tabulate

    found = tabulate(chosen, queue, request or Request(mixed=True), every_metric=form in RECORDS)
    for problem in found.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if found.missing:
        print(f"without a result: {', '.join(found.missing)}", file=sys.stderr)
    if not found.table.blocks:
        print("no evaluated run yet; `goe queue run` or `goe train` makes some", file=sys.stderr)
    if found.table.blocks or form in RECORDS:
        print(render(found.table, form, colour=_colour()), end="")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="An experiment.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    where: Conditions = None,
    positive: PositiveClass = "id",
    ties: TiesCount = "mid-rank",
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare two experiments seed by seed: paired differences, bootstrap intervals, t-tests."""
    from goe.comparison import columns, records, scopes, unpartnered
    from goe.comparison import compare as comparisons
    from goe.core.layout import parse_layout
    from goe.core.results import aggregate, gather
    from goe.core.where import parse_where
    from goe.tabulate import recompute

    conventions = parse_layout(positive=positive, ties=ties).conventions
    chosen = parse_where(where or [])
    measured, problems = gather(_select(runs, None, None, None))
    measured, damaged = recompute(chosen.choose(measured), conventions)
    for problem in (*problems, *damaged):
        print(f"warning: {problem}", file=sys.stderr)
    found = comparisons(aggregate(measured, []), a, b)
    if as_json:
        _print_json(records(found))
        return
    for title, some in scopes(found).items():
        print(f"{title} · {conventions}")
        _print_columns(columns(some))
        print()
    print(f"difference: {a} less {b} over the seeds both have; interval: bootstrap; p: paired t-test")
    for message in unpartnered(found):
        print(message, file=sys.stderr)


@app.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, or a unique beginning of one.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="The classifier with preprocessing and threshold: onnx, safetensors, torch."),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="The run's metrics: tensorboard, csv, json.")] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last or epoch-NNN (default: as configured).")] = "",
    score: Annotated[
        str | None,
        typer.Option(help="Score to decide by: msp, max-logit, energy, entropy, margin (default: as configured)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where to (default: RUN-CHECKPOINT.onnx; csv, json: standard output)."),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    data: DataRoot = None,
) -> None:
    """Write a run for other programs: its trained classifier (--format), or its metrics (--to)."""
    import subprocess

    from goe.core.interchange import check_request
    from goe.core.rundir import resolve_run

    check_request(form, to, checkpoint=checkpoint, score=score)
    found = resolve_run(runs, run)
    if form is None:
        _export_metrics(found, to, out)
        return
    _use_data(data)
    worker = [sys.executable, "-P", "-m", "goe.worker", "export", str(found.path.resolve()), form]
    done = subprocess.run([*worker, checkpoint, score or "", str(out or "")], check=False)
    raise typer.Exit(done.returncode)


def _export_metrics(run: "RunDir", to: Any, out: Path | None) -> None:
    from goe.core.interchange import check_place, read_metrics, render_metrics
    from goe.core.rundir import write_atomic

    records, bad = read_metrics(run)
    if bad:
        print(f"warning: {run.metrics_file}: {bad} damaged records left out", file=sys.stderr)
    if to == "tensorboard":
        from goe.eventfiles import write_events

        out = out or Path("tensorboard", run.run_id)
        write_events(records, out)
    elif out is not None:
        check_place(out)
        write_atomic(out, render_metrics(records, to).encode())
    else:
        print(render_metrics(records, to), end="")
        return
    print(out)
    print(f"{out}: {len(records)} records of {run.run_id}", file=sys.stderr)


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="eval, metrics, config, …; none lists.")] = None,
) -> None:
    """Print the JSON Schema of a kind of file in a run's folder."""
    from goe.core.schemas import SCHEMAS, schema

    if name is not None:
        _print_json(schema(name))
        return
    lines = [("schema", "version", "file")]
    lines += [(each, str(found.version), found.where) for each, found in SCHEMAS.items()]
    _print_columns(lines)


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@app.command("runs")
def runs_(runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """List all runs with their state."""
    from goe.core.overview import view_runs
    from goe.core.report import columns, run_record

    views = view_runs(runs)
    if as_json:
        _print_json([run_record(view) for view in views])
        return
    if not views:
        print(f"no runs in {runs}", file=sys.stderr)
        return
    _print_columns(columns(views))
    for view in views:
        if view.problem:
            print(f"{view.run_id}: {view.problem}", file=sys.stderr)


@app.command()
def show(
    run: Annotated[str, typer.Argument(metavar="RUN")], runs: Runs = DEFAULT_RUNS, as_json: AsJson = False
) -> None:
    """Show one run: state, configuration, metrics, checkpoints, attempts."""
    from goe.core.overview import view_run
    from goe.core.report import describe, run_record
    from goe.core.rundir import resolve_run

    view = view_run(resolve_run(runs, run))
    if as_json:
        _print_json(run_record(view))
    else:
        print("\n".join(describe(view)))


class _ListsByDefault(TyperGroup):
    """`goe checkpoints RUN` lists; a word that is a command of the group runs that."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


checkpoints_app = typer.Typer(
    cls=_ListsByDefault,
    help="List checkpoints, also as `goe checkpoints [RUN…]`, or import weights trained elsewhere.",
)
app.add_typer(checkpoints_app, name="checkpoints")


@checkpoints_app.command("list")
def checkpoints(names: RunNames = None, runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """List checkpoints with epoch, validation accuracy and size."""
    from goe.core.inventory import list_checkpoints
    from goe.core.report import percent, size

    views = [view for run in _select(runs, names, None, None) for view in list_checkpoints(run)]
    if as_json:
        _print_json(
            [
                {
                    "run_id": view.run_id,
                    "checkpoint": view.name,
                    "epoch": view.index.epoch if view.index else None,
                    "val_accuracy": view.value("val/accuracy"),
                    "bytes": view.size,
                    "problem": view.problem,
                }
                for view in views
            ]
        )
        return
    if not views:
        print(f"no checkpoints in {runs}", file=sys.stderr)
        return
    lines = [("run", "checkpoint", "epoch", "val acc %", "size", "")]
    for view in views:
        epoch = str(view.index.epoch) if view.index else "–"
        accuracy = percent(view.value("val/accuracy"), 2)
        lines.append((view.run_id, view.name, epoch, accuracy, size(view.size), view.problem or ""))
    _print_columns(lines)


@checkpoints_app.command("import")
def checkpoints_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of torch.save(net.state_dict()), or .safetensors.")],
    model: Annotated[str, typer.Option(help="wrn, res18, res34, res50, dense; also wrn-D-W and so on.")],
    dataset: Annotated[str, typer.Option(help="ID data set it was trained on: cifar10, cifar100, digits.")],
    method: Annotated[str, typer.Option(help="Method it was trained with.")] = "goe",
    name: Annotated[str | None, typer.Option(help="Experiment name (default: imported-method-dataset-model).")] = None,
    trial: Annotated[str, typer.Option(help="Trial number; it is the seed.")] = "1",
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Make a run, done and ready for `goe eval`, of weights that the paper's authors' code trained."""
    import subprocess

    import msgspec

    from goe.core.config import spell_out

    raw: dict[str, Any] = spell_out({"preset": "paper", "dataset": dataset, "model": model, "method": method})
    config = _config(raw, [], trial, name or f"imported-{method}-{dataset}-{raw['model']}")
    command = [*_WORKER, "import", str(file), str(runs), msgspec.json.encode(config).decode()]
    done = subprocess.run(command, check=False)
    raise typer.Exit(done.returncode)


@app.command()
def stop(
    names: Annotated[list[str], typer.Argument(metavar="RUN…")],
    runs: Runs = DEFAULT_RUNS,
    force: Annotated[bool, typer.Option("--force", help="End its processes instead of asking.")] = False,
) -> None:
    """Ask runs to stop after their current step; the queue or the same `goe train` resumes them."""
    from goe.core.overview import view_run
    from goe.core.rundir import resolve_run
    from goe.launch.local import LocalLauncher

    for name in names:
        run = resolve_run(runs, name)
        if view_run(run).state.is_live:
            LocalLauncher().stop(run, force=force)
            print(f"{run.run_id}: {'ending' if force else 'stopping after the current step'}", file=sys.stderr)
        else:
            print(f"{run.run_id}: is not running", file=sys.stderr)


@queue_app.command("check")
def queue_check(queue: QueueFile = DEFAULT_QUEUE) -> None:
    """Read the queue file and report every problem with its line."""
    from goe.core.queuefile import load_queue

    found = load_queue(queue)
    experiments = len({run.experiment for run in found.runs})
    print(f"{queue}: {experiments} experiments, {len(found.runs)} runs, no problems")


@queue_app.command("list")
def queue_list(runs: Runs = DEFAULT_RUNS, queue: QueueFile = DEFAULT_QUEUE, as_json: AsJson = False) -> None:
    """List the queue's runs in their order, with their state."""
    from goe.core.queuefile import load_queue
    from goe.core.report import columns, run_record
    from goe.launch.runner import pending

    views = pending(load_queue(queue), runs)
    if as_json:
        _print_json([run_record(view) for view in views])
    else:
        _print_columns(columns(views))


@queue_app.command("run")
def queue_run(
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    slots: Slots = None,
    gpus: Gpus = None,
    data: DataRoot = None,
) -> None:
    """Train whatever of the queue is not done. Ctrl-C leaves training alive; the next `goe queue run` adopts it."""
    from goe.core.queuefile import load_queue

    found = load_queue(queue)
    _use_data(data, found.options.data)
    raise typer.Exit(0 if _work_through(found, runs, slots, gpus, command="goe queue run") else 1)


def _work_through(found: "Queue", runs: Path, slots: int | None, gpus: str | None, *, command: str) -> bool:
    """Train what of a queue is not done, and show it; whether all of it is done in the end."""
    from goe.core.errors import ConfigError
    from goe.launch.runner import Runner, make_slots
    from tui.progress import QueueDisplay

    if gpus is not None and not all(part.isdecimal() for part in gpus.split(",")):
        raise ConfigError([f"--gpus: {gpus!r} is not a list of GPU numbers, for example 0,2"])
    indices = None if gpus is None else [int(part) for part in gpus.split(",")]
    runs.mkdir(parents=True, exist_ok=True)
    with QueueDisplay(command) as display:
        runner = Runner(
            found, runs.resolve(), make_slots(found.options, gpus=indices, count=slots), report=display.event
        )
        try:
            complete = runner.run(idle=lambda: display.show(runner.views.values()))
        except KeyboardInterrupt:
            display.interrupted(runner.views.values())
            raise typer.Exit(130) from None
    display.summary(runner.views.values())
    return complete


@figure_app.command("spiral")
def figure_spiral(
    runs: Runs = DEFAULT_RUNS,
    seeds: Annotated[int, typer.Option(min=1, max=5, help="Runs of each method; the first is drawn.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to draw it: .png, .svg or .pdf (default: spiral.png).")
    ] = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Draw it in the terminal; in a file only with --out.")
    ] = False,
    slots: Slots = None,
    gpus: Gpus = None,
) -> None:
    """Confidence over the plane after Baseline, OE, OE with filtering and G-OE, trained on two spirals if need be."""
    from goe.core.rundir import RunDir
    from goe.figures.draw import check_drawable
    from goe.figures.spiral import draw, read_panels, spiral_queue, summary_table

    if out is None and not terminal:
        out = Path("spiral.png")
    if out is not None:
        check_drawable(out)
    queue = spiral_queue(seeds)
    if not _work_through(queue, runs, slots, gpus, command="goe figure spiral"):
        raise typer.Exit(1)
    trained = [RunDir(runs / config.run_id) for config in queue.runs]
    panels = read_panels(trained)
    if out is not None:
        draw(panels, out)
        print(f"{out}: drawn", file=sys.stderr)
    if terminal:
        from rich.console import Console

        from tui.widgets.heatmap import side_by_side

        console = Console()
        colour = console.color_system in {"256", "truecolor"} and not console.no_color  # 16 colours are no scale
        fields = [(panel.title, panel.surface.rows()) for panel in panels]
        console.print(side_by_side(fields, console.width, colour=colour))
    _print_columns(summary_table(trained))


FigureRuns = Annotated[
    list[str], typer.Argument(metavar="RUN…", help="Run ids, unique beginnings of them, or experiments' names.")
]
FigureOut = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where to: .png, .svg or .pdf (default: FIGURE.png).")
]
InTerminal = Annotated[bool, typer.Option("--terminal", help="Draw it in the terminal; in a file only with --out.")]
FigureScore = Annotated[str, typer.Option("--score", help="Default: the first configured one that has a result.")]
FigureProtocol = Annotated[str, typer.Option("--protocol", help="Which OOD test sets, where a run has several.")]
FigureCheckpoint = Annotated[str, typer.Option("--checkpoint", help="best, last, … (default: as configured).")]
FigureSet = Annotated[str, typer.Option("--set", metavar="NAME", help="This OOD test set alone.")]
BySteps = Annotated[bool, typer.Option("--steps", help="Over steps, as recorded while training, each run for itself.")]


@figure_app.command("roc")
def figure_roc(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: FigureCheckpoint = "",
    ood: FigureSet = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """ROC curves: of one run for each OOD test set, of several runs on one of them (--set, default: the first)."""
    out = _drawable("roc", out, terminal=terminal)
    from goe.figures.charts import roc_figure

    _show_figure(roc_figure(_evaluated(runs, names, score, protocol, checkpoint), ood), out, terminal=terminal)


@figure_app.command("hist")
def figure_hist(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: FigureCheckpoint = "",
    ood: FigureSet = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Histograms of each run's scores: ID against the OOD test sets."""
    out = _drawable("hist", out, terminal=terminal)
    from goe.figures.charts import histogram_figure

    _show_figure(histogram_figure(_evaluated(runs, names, score, protocol, checkpoint), ood), out, terminal=terminal)


@figure_app.command("risk-coverage")
def figure_risk_coverage(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: FigureCheckpoint = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Error rate among each share of most confident answers on the ID test set."""
    out = _drawable("risk-coverage", out, terminal=terminal)
    from goe.figures.charts import risk_coverage_figure

    _show_figure(risk_coverage_figure(_evaluated(runs, names, score, protocol, checkpoint)), out, terminal=terminal)


@figure_app.command("reliability")
def figure_reliability(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: FigureCheckpoint = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Accuracy against confidence on the ID test set, in 15 bins."""
    out = _drawable("reliability", out, terminal=terminal)
    from goe.figures.charts import reliability_figure

    _show_figure(reliability_figure(_evaluated(runs, names, score, protocol, checkpoint)), out, terminal=terminal)


@figure_app.command("training")
def figure_training(
    names: FigureRuns,
    steps: BySteps = False,
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Loss, its terms, accuracy and learning rate over epochs; seeds of an experiment as mean and spread."""
    out = _drawable("training", out, terminal=terminal)
    from goe.figures.selection import select_groups
    from goe.figures.training import training_figure

    _show_figure(training_figure(select_groups(runs, names), _warn, by_step=steps), out, terminal=terminal)


@figure_app.command("filter")
def figure_filter(
    names: FigureRuns,
    steps: BySteps = False,
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """What the filter dropped over epochs, its threshold, and its precision and recall where the truth is known."""
    out = _drawable("filter", out, terminal=terminal)
    from goe.figures.selection import select_groups
    from goe.figures.training import filter_figure

    _show_figure(filter_figure(select_groups(runs, names), _warn, by_step=steps), out, terminal=terminal)


def _drawable(figure: str, out: Path | None, *, terminal: bool) -> Path | None:
    """The file to draw, found writable before any work; None for the terminal alone."""
    if out is None and not terminal:
        out = Path(f"{figure}.png")
    if out is not None:
        from goe.figures.draw import check_drawable

        check_drawable(out)
    return out


def _evaluated(runs: Path, names: Sequence[str], score: str, protocol: str, checkpoint: str) -> Any:
    from goe.figures.scores import Wanted, read_groups
    from goe.figures.selection import select_groups

    return read_groups(select_groups(runs, names), Wanted(score, protocol, checkpoint), _warn)


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _show_figure(figure: "Figure", out: Path | None, *, terminal: bool) -> None:
    if out is not None:
        from goe.figures.draw import draw

        draw(figure, out)
        print(f"{out}: drawn", file=sys.stderr)
    if terminal:
        from rich.console import Console

        from tui.widgets.figure import picture

        console = Console()
        colour = console.color_system is not None and not console.no_color
        console.print(picture(figure, console.width, colour=colour))


DataName = Annotated[str, typer.Argument(metavar="NAME", help="A data set; `goe data list` shows them.")]


@data_app.command("list")
def data_list(data: DataRoot = None, as_json: AsJson = False) -> None:
    """List the known data sets: what each is for, and which are there."""
    from goe.core.report import size
    from goe.data.registry import ALL
    from goe.data.store import look

    root = _use_data(data)
    found = [look(entry, root) for entry in ALL]
    if as_json:
        _print_json([_data_record(each) for each in found])
        return
    lines = [("data set", "for", "state", "size", "what")]
    for each in found:
        roles = ", ".join(role if role != "ood" else "OOD tests" for role in each.entry.roles)
        shown = size(each.size) if each.size is not None else "–"
        lines.append((each.entry.name, roles.replace("id", "ID", 1), each.state, shown, each.entry.title))
    _print_columns(lines)


@data_app.command("info")
def data_info(name: DataName, data: DataRoot = None, as_json: AsJson = False) -> None:
    """Say what a data set is, where it belongs, its licence, and how to get it."""
    from goe.data.store import describe, find, look

    found = look(find(name), _use_data(data))
    if as_json:
        _print_json(_data_record(found))
    else:
        print("\n".join(describe(found)))


def _data_record(found: Any) -> dict[str, Any]:
    from dataclasses import asdict

    path = None if found.path is None else str(found.path)
    return {**asdict(found.entry), "path": path, "state": found.state, "bytes": found.size}


@data_app.command("fetch")
def data_fetch(names: Annotated[list[str], typer.Argument(metavar="NAME…")], data: DataRoot = None) -> None:
    """Download data sets into the data folder; what was broken off goes on."""
    from goe.data.store import fetch, find
    from tui.progress import download_bar

    for entry in [find(name) for name in names]:
        if entry.warning:
            print(f"{entry.name}: {entry.warning}", file=sys.stderr)
        with download_bar(entry.name) as progress:
            place = fetch(entry, _use_data(data), progress)
        print(f"{entry.name}: {place or 'built in; nothing to fetch'}")


@data_app.command("verify")
def data_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="Default: all that are there.")] = None,
    data: DataRoot = None,
) -> None:
    """Compare what is there with its checksums."""
    from goe.data.registry import ALL
    from goe.data.store import find, look, verify

    root = _use_data(data)
    entries = [find(name) for name in names] if names else [e for e in ALL if e.place and look(e, root).present]
    bad = False
    for entry in entries:
        findings = verify(entry, root)
        bad = bad or bool(findings)
        print("\n".join(findings) if findings else f"{entry.name}: right")
    if not entries:
        print(f"no data sets in {root}; `goe data fetch NAME` gets some", file=sys.stderr)
    raise typer.Exit(2 if bad else 0)


@data_app.command("path")
def data_path(data: DataRoot = None) -> None:
    """Print the data folder that goe would use."""
    print(_use_data(data).absolute())


@app.command("tui")
def tui_(
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    once: Annotated[bool, typer.Option("--once", help="Print one plain frame and exit.")] = False,
) -> None:
    """Open the dashboard. Quitting it never touches training."""
    if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        import shutil

        from tui.once import frame

        print(frame(runs, queue, shutil.get_terminal_size((100, 24)).columns))
        return
    from tui.app import run_app

    run_app(runs, queue)


def _print_json(value: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _print_columns(lines: Sequence[tuple[str, ...]]) -> None:
    """Left-aligned columns, two spaces apart."""
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
