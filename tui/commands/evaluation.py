"""`goe eval` and `goe score`: trained runs under further scores, on further sets, on image files."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.commands.options import DEFAULT_RUNS, Checkpoint, DataRoot, RunNames, Runs
from tui.commands.selection import WORKER, select, use_data
from tui.commands.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goe.core.config import Tests
    from goe.core.evaljob import EvalRequest
    from goe.core.rundir import RunDir
    from goe.core.tabulation import Request


def eval_(
    names: RunNames = None,
    dataset: Annotated[str | None, typer.Option(help="Only runs on this ID data set.")] = None,
    model: Annotated[str | None, typer.Option(help="Only runs of this model.")] = None,
    checkpoint: Checkpoint = "",
    scores: Annotated[
        str, typer.Option(help="Comma-separated scores, e.g. msp,energy,knn, or all (default: as configured).")
    ] = "",
    protocol: Annotated[
        str | None, typer.Option(help="OOD test sets of default, scood, goe2024 or openood (default: as configured).")
    ] = None,
    ood: Annotated[
        str | None,
        typer.Option(help="Comma-separated OOD test sets instead: names, folders, lists, LIST.txt@IMAGES; or all."),
    ] = None,
    ood_mode: Annotated[
        str | None, typer.Option(help="scood, goe2024, lists with sc_label: drop, as-id, dataset.")
    ] = None,
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
    chosen = select(runs, names, dataset, model)
    ready = [run for run in chosen if (run.checkpoints / "last.json").exists()]
    for run in chosen if names and ready else ():
        if run not in ready:
            print(f"{run.run_id}: has no checkpoint yet; left out", file=sys.stderr)
    if not ready:
        what = " ".join(filter(None, [dataset, model]))
        raise RunError(f"{runs}: no trained run{f' of {what}' if what else ''} to evaluate; `goe train` makes one")
    use_data(data)
    code, results = _evaluate(request, ready, gpu_id)
    if results:
        print_table(ready, queue=None, form="text", request=_just_evaluated(results))
    raise typer.Exit(code)


def _just_evaluated(results: "Sequence[str]") -> "Request":
    """A table of what was asked for alone, several scores as lines below each other."""
    from goe.core.evalfile import split_stem
    from goe.core.layout import Layout
    from goe.core.tabulation import Request
    from goe.core.where import Where

    keys = ("checkpoint", "score", "protocol")
    asked = dict.fromkeys(pair for name in results for pair in zip(keys, split_stem(name) or (), strict=False))
    several = sum(key == "score" for key, _ in asked) > 1
    rows = ("experiment", "score") if several else ("experiment",)
    return Request(layout=Layout(rows=rows), where=Where(tuple(asked)), mixed=True)


def _evaluate(request: "EvalRequest", runs: "Sequence[RunDir]", gpu_id: int | None) -> tuple[int, list[str]]:
    """Let a worker evaluate `runs` and show how far it is; its exit code and the results there are now."""
    import subprocess

    import msgspec

    from goe.core.evaljob import EvalProgress
    from tui.progress import EvalDisplay

    env = dict(os.environ)
    if gpu_id is not None:
        env |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(gpu_id)}
    command = [*WORKER, "eval", msgspec.json.encode(request).decode(), *(str(run.path.resolve()) for run in runs)]
    lines = msgspec.json.Decoder(EvalProgress)
    with EvalDisplay() as display, subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        results: list[str] = []
        for line in worker.stdout:
            now = lines.decode(line)
            if now.result:
                results.append(now.result)
            else:
                display.show(now)
    return worker.returncode, results


def score(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES…", help="Image files, and folders of them.")],
    score_name: Annotated[str, typer.Option("--score", help="The score (default: the first configured).")] = "",
    checkpoint: Checkpoint = "",
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
    from goe.core.scorespecs import SCORE_NAMES

    absent = [str(path) for path in images if not path.exists()]
    if absent:
        raise RunError(f"{absent[0]}: no such file or folder" + (f"; {len(absent) - 1} more" if absent[1:] else ""))
    found = resolve_run(runs, run)
    _refuse_unknown("--score", [score_name] if score_name else [], SCORE_NAMES)
    request = ScoreRequest(checkpoint=checkpoint, score=score_name, paths=tuple(map(str, images)))
    use_data(data)
    command = [*WORKER, "score", msgspec.json.encode(request).decode(), str(found.path.resolve())]
    lines = msgspec.json.Decoder(ScoredImage)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            print(line.decode().rstrip() if as_json else describe_scored(lines.decode(line)), flush=True)
    raise typer.Exit(worker.returncode)


def _scores(words: str) -> tuple[str, ...]:
    """The scores of a comma-separated list. Raises ConfigError for unknown ones."""
    from goe.core.layout import ALL, split_words
    from goe.core.scorespecs import SCORE_NAMES

    chosen = split_words(words)
    _refuse_unknown("--scores", [word for word in chosen if word != ALL], (*SCORE_NAMES, ALL))
    return SCORE_NAMES if ALL in chosen else chosen


def _refuse_unknown(option: str, words: "Sequence[str]", known: "Sequence[str]") -> None:
    from goe.core.errors import ConfigError, did_you_mean

    problems = [
        f'{option}: "{word}" is unknown{did_you_mean(word, known)}; known: {", ".join(known)}'
        for word in words
        if word not in known
    ]
    if problems:
        raise ConfigError(problems)


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
