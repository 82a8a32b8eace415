"""Runs on disk with evaluation results and records of chosen numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from goe.core.config import complete
from goe.core.records import EvalResult, Metric, metric_line
from goe.core.rundir import RunDir, write_json


def make_run(runs: Path, experiment: str, seed: int, **choices: object) -> RunDir:
    raw = {"experiment": experiment, "seed": seed, "dataset": "digits", "method": "baseline", **choices}
    config = complete(raw, lambda *_: None)
    assert config is not None
    return RunDir.create(runs, config)


def evaluate(
    run: RunDir,
    *,
    correct: Sequence[int] = (1, 1, 1, 0),
    id_scores: Sequence[float] = (0.9, 0.8, 0.6, 0.4),
    ood: Mapping[str, Sequence[float]] | None = None,
    more_id: Mapping[str, Sequence[float]] | None = None,
    score: str = "msp",
    protocol: str = "digits",
    checkpoint: str = "last",
) -> Path:
    """Leave the run's result and scores, as goe.evaluate does; returns the scores' file."""
    sets = {"near": (0.7, 0.5, 0.3, 0.1)} if ood is None else ood
    result = EvalResult(
        run_id=run.run_id,
        checkpoint=checkpoint,
        epoch=3,
        weights_sha256="ab" * 32,
        score=score,
        protocol=protocol,
        id_dataset="digits",
        classification={},
        detection={name: {} for name in sets},
        sizes={},
        created=0.0,
    )
    path = run.eval / f"{checkpoint}-{score}-{protocol}.json"
    write_json(path, result)
    arrays = {"digits": id_scores, **sets, **{f"{name}/id": scores for name, scores in (more_id or {}).items()}}
    scores = {f"score/{name}": np.array(values, np.float64) for name, values in arrays.items()}
    np.savez_compressed(path.with_suffix(".npz"), correct=np.array(correct, bool), **scores)
    return path.with_suffix(".npz")


def record(run: RunDir, lines: Sequence[tuple[str, int, int, Mapping[str, float | None]]]) -> None:
    """Append (kind, epoch, step, values) to the run's records."""
    with run.metrics_file.open("ab") as file:
        for kind, epoch, step, values in lines:
            metric = Metric(kind=kind, epoch=epoch, step=step, time=0.0, values=dict(values))  # type: ignore[arg-type]
            file.write(metric_line(metric))
