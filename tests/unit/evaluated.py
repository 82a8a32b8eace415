"""Runs with made-up results, and rows of tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goe.core.config import RunConfig, complete
from goe.core.records import EvalResult
from goe.core.results import Measured, Row
from goe.core.rundir import RunDir, write_json


def config(experiment: str = "goe", seed: int = 1, **keys: Any) -> RunConfig:
    """A run's configuration; `keys` as in a queue file."""
    raw = {"experiment": experiment, "seed": seed, **keys}
    found = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert found is not None
    return found


def result(run: RunConfig, detection: dict[str, float | None], accuracy: float = 0.5, **changes: Any) -> EvalResult:
    """What an evaluation wrote; `detection` has an AUROC for each OOD set."""
    fields: dict[str, Any] = {
        "run_id": run.run_id,
        "checkpoint": "best",
        "epoch": 1,
        "weights_sha256": "00",
        "score": "msp",
        "protocol": "digits",
        "id_dataset": run.dataset,
        "classification": {"accuracy": accuracy, "aurc": 0.1},
        "detection": {name: {"auroc": value, "fpr95": 0.25} for name, value in detection.items()},
        "sizes": {},
        "created": 0.0,
    }
    return EvalResult(**{**fields, **changes})


def measured(run: RunConfig, detection: dict[str, float | None], accuracy: float = 0.5, **changes: Any) -> Measured:
    """`result` with its run."""
    return Measured(run, result(run, detection, accuracy, **changes))


def row(experiment: str, mean: float | None, std: float | None = None, **changes: Any) -> Row:
    """A row of a table: AUROC on `far`, unless `changes` say otherwise."""
    fields: dict[str, Any] = {
        "experiment": experiment,
        "config": "00000000",
        "method": "goe",
        "id_dataset": "digits",
        "model": "wrn-10-1",
        "score": "msp",
        "protocol": "digits",
        "checkpoint": "best",
        "test_set": "far",
        "metric": "auroc",
        "mean": mean,
        "std": std,
        "n": 3,
        "expected": 3,
    }
    return Row(**{**fields, **changes})


def evaluated(runs: Path, item: Measured, **raw: Any) -> RunDir:
    """A run's folder with that result, and `raw` scores beside it if there are any."""
    run = RunDir.create(runs, item.config)
    found = item.result
    path = run.eval / f"{found.checkpoint}-{found.score}-{found.protocol}.json"
    write_json(path, found)
    if raw:
        np.savez_compressed(path.with_suffix(".npz"), **raw)
    return run
