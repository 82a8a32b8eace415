"""The scores that a figure is drawn from: which evaluation result of a run is meant, and its raw scores, checked."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from goe.core.errors import ConfigError, RunError, UserError, did_you_mean
from goe.core.evalfile import command, stem
from goe.core.groups import Group
from goe.core.records import EvalResult
from goe.core.results import read_results
from goe.core.rundir import RunDir
from goe.core.scorespecs import SCORE_NAMES
from goe.figures.curves import Bools, Floats


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which result of each run. Empty: the run's first configured score that has one, its only protocol, its
    configured checkpoint.
    """

    score: str = ""
    protocol: str = ""
    checkpoint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One result and the scores it was computed from, all finite."""

    result: EvalResult
    correct: Bools
    """(n,) whether each image of the ID test set is classified right."""
    id: Floats
    """(n,)"""
    ood: dict[str, Floats]
    more_id: dict[str, Floats]
    """Of images that count as ID beside the ID test set in that OOD set's comparison."""

    def against(self, ood: str) -> Floats:
        """The ID scores that this OOD set is compared with."""
        return np.concatenate([self.id, self.more_id.get(ood, self.id[:0])])


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """A group of runs with the scores of those that have them."""

    label: str
    scores: tuple[Scores, ...]
    """At least one."""
    expected: int
    """Runs of the group."""


def read_groups(groups: Iterable[Group], wanted: Wanted, warn: Callable[[str], None]) -> list[Evaluated]:
    """The scores of every group. What one seed of several lacks goes to `warn` and leaves that seed out.

    Raises UserError where a group has nothing to show, or the groups' results don't compare.
    """
    if wanted.score and wanted.score not in SCORE_NAMES:
        hint = did_you_mean(wanted.score, SCORE_NAMES)
        raise ConfigError([f'--score: "{wanted.score}" is unknown{hint}; known: {", ".join(SCORE_NAMES)}'])
    found = [_read_group(group, wanted, warn) for group in groups]
    _check_comparable([scores.result for each in found for scores in each.scores])
    return found


def _read_group(group: Group, wanted: Wanted, warn: Callable[[str], None]) -> Evaluated:
    found: list[Scores] = []
    problems: list[RunError] = []
    for run in group.runs:
        try:
            found.append(read_scores(run, choose_result(run, wanted)))
        except RunError as error:
            problems.append(error)
    if not found:
        raise problems[0]
    for problem in problems:
        warn(f"left out: {problem}")
    return Evaluated(group.label, tuple(found), len(group.runs))


def _check_comparable(results: Sequence[EvalResult]) -> None:
    first = results[0]
    for other in results[1:]:
        for what in ("id_dataset", "protocol"):
            if getattr(other, what) != getattr(first, what):
                name = {"id_dataset": "ID data set", "protocol": "protocol"}[what]
                raise UserError(
                    f"{other.run_id}: {name} {getattr(other, what)}, but {getattr(first, what)} of {first.run_id}: "
                    "one figure can't compare them; draw one each, or choose with --protocol"
                )


def choose_result(run: RunDir, wanted: Wanted) -> EvalResult:
    """The result meant by `wanted`. Raises RunError if there is none, UserError if there are several."""
    config = run.config()
    results, problems = read_results(run)
    checkpoint = wanted.checkpoint or config.evaluate
    found = [
        result
        for result in results
        if result.checkpoint == checkpoint
        and wanted.score in {"", result.score}
        and wanted.protocol in {"", result.protocol}
    ]
    if not found:
        raise RunError(_nothing_found(run, results, problems, checkpoint, wanted))
    present = list(dict.fromkeys(result.score for result in found))
    score = next((name for name in (*config.scores, *present) if name in present), "")
    found = [result for result in found if result.score == score]
    if len(found) > 1:
        protocols = ", ".join(result.protocol for result in found)
        raise UserError(f"--protocol: {run.run_id} has {score} results of several protocols; choose one of {protocols}")
    return found[0]


def _nothing_found(
    run: RunDir, results: Sequence[EvalResult], problems: Sequence[str], checkpoint: str, wanted: Wanted
) -> str:
    if problems and not results:
        return problems[0]
    asked = [f"checkpoint {checkpoint}"]
    asked += [f"{name} {value}" for name, value in (("score", wanted.score), ("protocol", wanted.protocol)) if value]
    there = ", ".join(stem(result.checkpoint, result.score, result.protocol) for result in results)
    options = [
        f" --{option} {value}"
        for option, value in (
            ("checkpoint", wanted.checkpoint),
            ("scores", wanted.score),
            ("protocol", wanted.protocol),
        )
        if value
    ]
    has = f"only {there}" if there else "nothing"
    return f"{run.eval}: no result of {', '.join(asked)}; there is {has}; `goe eval {run.run_id}{''.join(options)}`"


def read_scores(run: RunDir, result: EvalResult) -> Scores:
    """The raw scores of `result`. Raises RunError where the file is missing, cut, or not what the result says."""
    path = run.eval / f"{stem(result.checkpoint, result.score, result.protocol)}.npz"
    remedy = f"`{command(run.run_id, path.stem)}` writes it anew"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except FileNotFoundError:
        raise RunError(f"{path}: not there; {remedy}") from None
    except Exception as error:  # noqa: BLE001 - a cut zip raises whatever its decoder met first
        raise RunError(f"{path}: cut or altered: {error}; {remedy}") from None
    try:
        return _checked(result, arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{path}: altered: {error.args[0]}; {remedy}") from None


def _checked(result: EvalResult, arrays: dict[str, np.ndarray]) -> Scores:
    scores = {name: _numbers(name, array) for name, array in arrays.items() if name != "correct"}
    try:
        correct, id_scores = arrays["correct"], scores[f"score/{result.id_dataset}"]
        ood = {name: scores[f"score/{name}"] for name in result.detection}
    except KeyError as missing:
        raise KeyError(f"there is no {missing.args[0]} in it") from None
    if correct.dtype != np.bool_ or correct.shape != id_scores.shape:
        raise ValueError(f"correct is {correct.dtype} {correct.shape}, not bool {id_scores.shape}")
    more = {name: scores[f"score/{name}/id"] for name in ood if f"score/{name}/id" in scores}
    return Scores(result, correct, id_scores, ood, more)


def _numbers(name: str, array: np.ndarray) -> Floats:
    found = array.astype(np.float64)
    if found.ndim != 1 or found.size == 0:
        raise ValueError(f"{name} has shape {found.shape}, not one dimension with at least one value")
    if not np.isfinite(found).all():
        raise ValueError(f"{np.sum(~np.isfinite(found))} of {found.size} values of {name} are NaN or infinite")
    return found
