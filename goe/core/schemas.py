"""JSON Schemas of a run's files, generated from the records that read and write them, so that they can't drift."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from goe.core.code import Queued
from goe.core.config import RunConfig
from goe.core.errors import ConfigError, did_you_mean
from goe.core.evaljob import ScoredImage
from goe.core.provenance import Environment
from goe.core.records import EVAL_VERSION, CheckpointIndex, EvalResult, Exit, Launch, Metric, Status
from goe.core.slurm import SlurmJob
from goe.core.thresholds import Thresholds

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Described:
    """A kind of file."""

    record: type[msgspec.Struct]
    version: int
    """Counts changes after which an older reader would misread the file."""
    where: str
    """In a run's folder, or what prints it."""


SCHEMAS: Mapping[str, Described] = {
    "config": Described(RunConfig, 1, "config.json"),
    "queued": Described(Queued, 1, "queued.json"),
    "environment": Described(Environment, 1, "env.json"),
    "metrics": Described(Metric, 1, "metrics.jsonl, each line"),
    "checkpoint": Described(CheckpointIndex, 1, "checkpoints/<name>.json"),
    "thresholds": Described(Thresholds, 1, "checkpoints/<weights>.thresholds.json"),
    "eval": Described(EvalResult, EVAL_VERSION, "eval/<checkpoint>-<score>-<protocol>.json"),
    "score": Described(ScoredImage, 1, "what `goe score --json` prints, each line"),
    "launch": Described(Launch, 1, "attempts/<n>/launch.json"),
    "status": Described(Status, 1, "attempts/<n>/status.json"),
    "exit": Described(Exit, 1, "attempts/<n>/exit.json"),
    "slurm": Described(SlurmJob, 1, "slurm.json"),
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) called `name`; its `$id` ends with the version. Raises ConfigError if it is unknown."""
    found = SCHEMAS.get(name)
    if found is None:
        raise ConfigError([f'schema: "{name}" is unknown{did_you_mean(name, SCHEMAS)}; known: {", ".join(SCHEMAS)}'])
    return {"$schema": DIALECT, "$id": f"urn:goe:{name}:{found.version}", **msgspec.json.schema(found.record)}
