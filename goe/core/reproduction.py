"""How a run is computed again: the commands, from what its directory says, and whether the outcome is the same."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from goe.core.code import ROOT, identify_code
from goe.core.errors import RunError
from goe.core.lineage import source_run
from goe.core.overview import view_run
from goe.core.provenance import Environment, read_environment
from goe.core.records import CheckpointIndex, MetricsTail, Values
from goe.core.rundir import RunDir, read_json

CLOCK = {"images_per_s", "eta_s"}
"""Metrics of speed, which no two runs share."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command."""

    why: str
    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    """To run it in."""

    def __str__(self) -> str:
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.env.items())
        line = f"{settings} {shlex.join(self.command)}".strip()
        return f"(cd {shlex.quote(str(self.folder))} && {line})" if self.folder else line


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything needed to compute `run` again in `into`."""

    run: RunDir
    into: Path
    environment: Environment
    prepare: tuple[Step, ...]
    """Makes `into` and the code in it."""
    install: tuple[Step, ...]
    """Makes a Python with the same packages."""
    train: Step
    notes: tuple[str, ...]

    @property
    def requirements(self) -> Path:
        """The pins of every package."""
        return self.into / "requirements.txt"

    def pins(self) -> list[str]:
        """Lines of `requirements`; a goe from a checkout is none."""
        own = self.environment.commit is not None
        packages = sorted(self.environment.packages.items(), key=lambda item: item[0].lower())
        return [f"{name}=={version}" for name, version in packages if not (own and name == "goe")]

    @property
    def outcome(self) -> RunDir:
        """Where the run will be."""
        return RunDir(self.into / "runs" / self.run.run_id)


def plan(run: RunDir, into: Path, *, python: str | None = None, root: Path = ROOT) -> Plan:
    """The commands for `run`, with the code in a worktree of the checkout `root` and everything else in `into`.

    `python` is used as it is; None makes one in `into`. Raises RunError where the run can't be computed again.
    """
    config, environment = run.config(), read_environment(run)
    launch = attempt.launch() if (attempt := run.attempt()) is not None else None
    if launch is None or launch.launcher == "import":
        raise RunError(f"{run.run_id}: was not trained here; there is nothing to repeat")
    code, runs = into / "code", into / "runs"
    prepare = [Step("a folder of its own", ("mkdir", "-p", str(runs)))]
    source = source_run(run.path.parent, config)
    if source is not None:
        prepare.append(Step("the weights it begins with", ("ln", "-s", str(source.path.resolve()), str(runs))))
    prepare += _checkout(run, environment, code, root)
    here = into / "venv" / "bin" / "python"
    version = ".".join(environment.python.split(".")[:2])
    install = (
        Step(f"Python {environment.python} with the same packages", (f"python{version}", "-m", "venv", f"{into}/venv")),
        Step("", (str(here), "-m", "pip", "install", "-r", f"{into}/requirements.txt")),
    )
    settings = {"OMP_NUM_THREADS": str(environment.threads * environment.processes)}
    if environment.commit is not None:
        settings["PYTHONPATH"] = str(code)
    if not launch.gpus:
        settings["CUDA_VISIBLE_DEVICES"] = ""
    if environment.code:
        options = ("--config", str(run.config_file.resolve()), "--runs", str(runs))
        data = ("--data", environment.data) if environment.data else ()
        several = environment.processes > 1
        ranks = ("--gpu-count" if launch.gpus else "--processes", str(environment.processes)) if several else ()
        command = ("cli", "train", *options, *data, *ranks)
    else:  # a goe that could not yet train a config.json
        place = str(runs / run.run_id)
        prepare.append(Step("", ("mkdir", "-p", *(f"{place}/{part}" for part in ("checkpoints", "eval", "attempts")))))
        prepare.append(Step("", ("cp", str(run.config_file.resolve()), place)))
        gpus = ",".join(str(gpu) for gpu in launch.gpus)
        command = ("goe.launch.supervisor", place, "1", "local", gpus, str(launch.threads or ""))
    folder = Path(environment.folder) if environment.folder else None
    train = Step(
        "the same configuration, seed and number of threads",
        (python or str(here), "-P", "-m", *command),
        settings,
        folder if folder is not None and folder.is_dir() else None,
    )
    return Plan(run, into, environment, tuple(prepare), install, train, tuple(_notes(run, environment)))


def _checkout(run: RunDir, environment: Environment, code: Path, root: Path) -> list[Step]:
    """The commands for the code; none for an installed package, which is one of the packages."""
    if environment.commit is None:
        return []
    if environment.dirty and environment.patch and environment.patch != run.patch_file.name:
        raise RunError(f"{run.run_id}: its uncommitted changes were {environment.patch}; nobody can repeat it")
    if environment.dirty and not run.patch_file.exists():
        raise RunError(f"{run.patch_file}: missing: the code had uncommitted changes that nobody kept")
    steps = [
        Step(
            f"the code at commit {environment.commit[:7]}",
            ("git", "-C", str(root), "worktree", "add", "--detach", str(code), environment.commit),
        )
    ]
    if environment.dirty:
        patch = str(run.patch_file.resolve())
        steps.append(Step("its uncommitted changes", ("git", "-C", str(code), "apply", patch)))
    return steps


def _notes(run: RunDir, environment: Environment) -> list[str]:
    """What stands between the commands and the same weights."""
    notes = []
    codes = {
        status.code: number
        for number in range(run.attempt_count(), 0, -1)
        if (status := run.numbered(number).status()) is not None and status.code
    }
    if len(codes) > 1:
        first = min(number for code, number in codes.items() if code != environment.code)
        notes.append(f"attempt {first} was trained by other code than the first; only the first's is repeated")
    if environment.commit is None and environment.code not in {"", identify_code().digest}:
        notes.append(f"the installed goe was other code than this one; install goe=={environment.goe} from its source")
    if environment.gpus and (launch := run.numbered(1).launch()).gpus:
        notes.append(f"it was trained on GPU {launch.gpus[0]}, {environment.gpus[0]}, where sums may round otherwise")
    if environment.precision and run.config().precision == "auto":
        notes.append(f"it was trained in {environment.precision}, chosen for its chip; another may have another choice")
    return notes


def script(plan: Plan) -> list[str]:
    """The plan as a shell script, which is all that another machine needs beside the run's folder."""
    environment = plan.environment
    lines = [f"# {plan.run.run_id}: of {environment.host}, Python {environment.python}, seed {environment.seed}"]
    lines += [f"# note: {note}" for note in plan.notes]
    lines.append("set -e")
    lines += _lines(plan.prepare)
    lines += [f"cat > {shlex.quote(str(plan.requirements))} <<'END'", *plan.pins(), "END"]
    lines += _lines(plan.install)
    return [*lines, *_lines([plan.train])]


def _lines(steps: Sequence[Step]) -> list[str]:
    return [line for step in steps for line in ([f"# {step.why}"] if step.why else []) + [str(step)]]


def finished_weights(run: RunDir) -> CheckpointIndex:
    """The checkpoint after the last epoch. Raises RunError for a run that has not come to it."""
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    epochs = run.config().epochs
    if index is None or index.epoch < epochs:
        so_far = index.epoch if index else 0
        state = view_run(run).state
        raise RunError(f"{run.run_id}: is {state} after {so_far} of {epochs} epochs; only final weights are compared")
    return index


def verdict(old: RunDir, new: RunDir) -> tuple[bool, str]:
    """Whether the final weights are bit-equal, and the sentence about it; else which epoch is the first to differ."""
    ours, theirs = finished_weights(old), finished_weights(new)
    if ours.weights_sha256 == theirs.weights_sha256:
        return True, f"the final weights are bit-equal: SHA-256 {ours.weights_sha256[:16]}… after epoch {ours.epoch}"
    repeated = _epochs(new)
    for epoch, values in _epochs(old).items():
        others = repeated.get(epoch)
        if others is None:
            return False, f"the final weights differ; epoch {epoch} has no record to compare"
        name = next((name for name in {**values, **others} if values.get(name) != others.get(name)), None)
        if name is not None:
            return False, (
                f"the final weights differ; epoch {epoch} is the first that does: {name} was {values.get(name)}, "
                f"is {others.get(name)}"
            )
    return False, "the final weights differ, though every epoch measured the same"


def _epochs(run: RunDir) -> dict[int, Values]:
    tail = MetricsTail(run.metrics_file)
    tail.poll()
    return {
        record.epoch: {name: value for name, value in record.values.items() if name not in CLOCK}
        for record in tail.records
        if record.kind == "epoch"
    }
