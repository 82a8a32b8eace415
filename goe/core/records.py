"""What a run's files hold, as typed records, and how they are read back from files that may be cut or altered."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from goe.core.linetail import LineTail
from goe.core.process import ProcessId

Phase: TypeAlias = Literal["starting", "training", "evaluating", "finished", "stopped", "failed"]
Values: TypeAlias = dict[str, float | None]


class Launch(Struct, frozen=True, kw_only=True):
    """`launch.json`: who runs this attempt, and on what. Its folder's existence is the claim on the attempt."""

    attempt: int
    launcher: str
    supervisor: ProcessId
    worker: ProcessId | None = None
    gpus: tuple[int, ...] = ()
    gpu_share: float = 1.0
    """Of each GPU in `gpus`."""
    gpu_memory: float = 0.0
    """GiB of each GPU that the run is expected to fill; 0 if that is not known."""
    gpu_uuids: tuple[str, ...] = ()
    """CUDA's names of the GPUs, in the order of `gpus`: UUIDs. Before they were recorded: none."""
    threads: int | None = None
    """Of the CPU, for all processes of the run together."""
    processes: int = 1
    """That train it together, each on a GPU of its own where it has any."""
    restarts: int = 0
    """How often these are started anew, within the attempt, when one of them dies."""
    log_start: int | None = None
    """Bytes of `train.log` that earlier attempts left; None where nobody knows."""
    job: str = ""
    """Slurm's id of the job that this attempt is a part of; empty where Slurm has no hand in it."""
    started: float
    """Unix time."""


class Exit(Struct, frozen=True, kw_only=True):
    """`exit.json`: how an attempt ended, as the kernel told its supervisor."""

    code: int | None
    """Exit code; None if a signal ended it."""
    signal: int | None
    started: float
    ended: float
    peak_memory: int
    """Bytes: largest resident size of the worker."""
    cause: str = ""
    """Of a failure, a Cause (goe/core/jobs.py); empty for what did not fail, or before causes were recorded."""
    said: str = ""
    """Where no worker had the word: what Slurm said, then a queue wrote this, or why a node refused to train."""


class Notice(Struct, frozen=True, kw_only=True):
    """`notice`: the attempt's node has to be left."""

    until: float
    """Unix time by that node's clock."""


class Status(Struct, frozen=True, kw_only=True):
    """`status.json`: the worker's heartbeat."""

    phase: Phase
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    values: Values = {}
    """The newest value of each metric."""
    eta_s: float | None = None
    updated: float
    error: str | None = None
    """One message for the user, when the run failed."""
    warning: str | None = None
    """What may make the results others than was meant, such as code that changed since the run was queued."""
    code: str = ""
    """Which code trains: the digest of the package's files, 12 hex digits."""


class Metric(Struct, frozen=True, kw_only=True):
    """One line of `metrics.jsonl`.

    `train`: means since the record before, within one epoch. `epoch`: the epoch as a whole, with validation.
    `resume`: training goes on from `step`; whatever stands above with a later step was lost and is done again.
    """

    kind: Literal["train", "epoch", "resume"]
    epoch: int
    step: int
    time: float
    values: Values = {}


class CheckpointIndex(Struct, frozen=True, kw_only=True):
    """`checkpoints/<name>.json`: which files make up a checkpoint, and their digests."""

    epoch: int
    step: int
    weights: str
    weights_sha256: str
    state: str
    state_sha256: str
    values: Values
    """Metrics at that epoch."""
    best_accuracy: float
    """Highest validation accuracy so far, in [0, 1]."""
    saved: float


class EvalResult(Struct, frozen=True, kw_only=True):
    """`eval/<checkpoint>-<score>-<protocol>.json`: every metric of one checkpoint under one score and protocol.

    All fractions in [0, 1]; None is a metric that is not defined here (for example an AUROC without errors). What is
    not known of a result written by version 1 is empty or None.
    """

    version: int = 1
    """Of this record: EVAL_VERSION when it was written."""
    run_id: str
    experiment: str = ""
    seed: int | None = None
    method: str = ""
    model: str = ""
    outliers: str = ""
    """Source of the training outliers; empty without any."""
    outliers_without_id: bool | None = None
    """Whether the ID classes were removed from it: True, False, or None where nobody knows."""
    checkpoint: str
    checkpoint_rule: str = ""
    """How the checkpoint was chosen, in words."""
    epoch: int
    weights_sha256: str
    score: str
    score_code: str = ""
    """Which code computed it."""
    protocol: str
    positive: Literal["id"] = "id"
    ties: Literal["mid-rank"] = "mid-rank"
    id_dataset: str
    threshold: float | None = None
    """The score from which on 95 % of the ID validation images are accepted."""
    classification: Values
    detection: dict[str, Values]
    """Per OOD test set, in the benchmark's order."""
    sizes: dict[str, int]
    digests: dict[str, str] = {}
    """SHA-256 of each test set's images and labels as the network was given them."""
    filter: Values = {}
    """What the filter did to the training outliers in the checkpoint's epoch: rate, and precision, recall and
    base-rate where the truth is known. Empty for a run without one."""
    created: float


EVAL_VERSION = 2
"""2: what the run was trained on, threshold, digests, CCR. docs/schemas.md has all of it."""


def metric_line(record: Metric) -> bytes:
    """`record` as a line of `metrics.jsonl`, its CRC-32 in a last member.

    Without the checksum a `resume` whose step is altered would still be read, and take many other records with it.
    """
    body = msgspec.json.encode(record)[:-1]
    return body + _CHECK + _check_value(body) + b"\n"


def split_records(data: bytes) -> Iterator[Metric | None]:
    """The records of complete lines of `metrics.jsonl`; None for each that can't be read.

    A damaged line break glues two records together, and so does a line cut by a crash with the next one; each
    `{"kind"` begins a record, so at most one is lost.
    """
    for line in data.removesuffix(b"\n").split(b"\n") if data else ():
        whole = _decode(line)
        if whole is not None:
            yield whole
            continue
        rest, *parts = line.split(_RECORD_START)
        if rest:
            yield None
        for part in parts:
            yield _decode(_RECORD_START + part[: part.rfind(b"}") + 1])


def _decode(line: bytes) -> Metric | None:
    body, check, value = line.rpartition(_CHECK)
    if check and value != _check_value(body):
        return None
    try:
        return _METRIC.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _check_value(body: bytes) -> bytes:
    return b'%08x"}' % zlib.crc32(body)


class MetricsTail:
    """Reads `metrics.jsonl` from where it stopped the last time; a line still being written waits for its end."""

    def __init__(self, path: Path) -> None:
        self.records: list[Metric] = []
        self.bad = 0
        self._lines = LineTail(path)

    @property
    def cut(self) -> bool:
        """Whether the file ends within a line: one being written, or cut when the writer was killed."""
        return self._lines.cut

    def poll(self) -> bool:
        """Read what is new. True if anything changed."""
        data = self._lines.poll()
        if self._lines.restarted:
            self.records, self.bad = [], 0
        for record in split_records(data):
            if record is None:
                self.bad += 1
            elif record.kind == "resume":
                self.records = [old for old in self.records if old.step <= record.step]
            else:
                self.records.append(record)
        return self._lines.restarted or bool(data)


def series(records: list[Metric], name: str, kind: Literal["train", "epoch"]) -> tuple[list[float], list[float]]:
    """Steps and values of one metric, skipping records that lack it."""
    points = [(record.step, record.values.get(name)) for record in records if record.kind == kind]
    kept = [(float(step), value) for step, value in points if value is not None]
    return [step for step, _ in kept], [value for _, value in kept]


_METRIC = msgspec.json.Decoder(Metric)
_RECORD_START = b'{"kind"'
_CHECK = b',"crc":"'
