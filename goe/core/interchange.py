"""What `goe export` gives to other programs: which forms there are, and a run's metrics as CSV or JSON."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from goe.core.errors import ConfigError, RunError, UserError, did_you_mean
from goe.core.records import Metric, MetricsTail
from goe.core.rundir import RunDir
from goe.core.scorespecs import LOGIT_SCORES, SCORE_NAMES

DetectorFormat: TypeAlias = Literal["onnx", "safetensors", "torch"]
"""`--format`: the trained classifier with its preprocessing and threshold (goe/exporting.py)."""
MetricsFormat: TypeAlias = Literal["tensorboard", "csv", "json"]
"""`--to`: the run's metrics."""
DETECTOR_FORMATS: tuple[str, ...] = get_args(DetectorFormat)
METRICS_FORMATS: tuple[str, ...] = get_args(MetricsFormat)

Cell: TypeAlias = str | float | None


def check_request(form: str | None, to: str | None, *, checkpoint: str, score: str | None) -> None:
    """Raise ConfigError, with every problem, unless one of `form` and `to` is given and the rest goes with it."""
    if (form is None) == (to is None):
        choices = f"--format {'|'.join(DETECTOR_FORMATS)} for the classifier, --to {'|'.join(METRICS_FORMATS)} for the "
        found = "neither is given" if form is None else "exclude each other"
        raise ConfigError([f"--format, --to: {found}; use {choices}metrics"])
    problems = []
    if form is not None:
        problems += _unknown("format", form, DETECTOR_FORMATS, other="to", others=METRICS_FORMATS)
        problems += _no_logit_score(score)
    if to is not None:
        problems += _unknown("to", to, METRICS_FORMATS, other="format", others=DETECTOR_FORMATS)
        given = {"checkpoint": checkpoint, "score": score}
        problems += [f"--{name}: only with --format; metrics have none" for name, value in given.items() if value]
    if problems:
        raise ConfigError(problems)


def _unknown(option: str, word: str, known: Sequence[str], *, other: str, others: Sequence[str]) -> list[str]:
    if word in known:
        return []
    if word in others:
        return [f'--{option}: "{word}" is written with --{other} {word}; known: {", ".join(known)}']
    return [f'--{option}: "{word}" is unknown{did_you_mean(word, known)}; known: {", ".join(known)}']


def _no_logit_score(score: str | None) -> list[str]:
    if score is None or score in LOGIT_SCORES:
        return []
    if score in SCORE_NAMES:
        found = "is a detector of pytorch-ood, which needs more than the classifier's graph; exported are"
    else:
        found = f"is unknown{did_you_mean(score, LOGIT_SCORES)}; known:"
    return [f'--score: "{score}" {found} {", ".join(LOGIT_SCORES)}']


def check_place(out: Path) -> None:
    """Raise UserError now for what writing the file `out` would fail at after the work is done."""
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}; make it, or pass --out elsewhere")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; pass --out FILE")


def read_metrics(run: RunDir) -> tuple[list[Metric], int]:
    """The run's records, without those that a resumed training did again, and how many more are damaged.

    Raises RunError where there is no record.
    """
    tail = MetricsTail(run.metrics_file)
    tail.poll()
    if not tail.records:
        found = f"{tail.bad} records, all damaged" if tail.bad else "no metrics; the run has not trained here"
        raise RunError(f"{run.metrics_file}: {found}; `goe show {run.run_id}` says how it stands")
    return tail.records, tail.bad


def metric_rows(records: Sequence[Metric]) -> list[dict[str, Cell]]:
    """A row a record: kind, epoch, step, time, then every metric of any record by name, None where it has none."""
    names = dict.fromkeys(name for record in records for name in record.values)
    return [
        {
            "kind": record.kind,
            "epoch": record.epoch,
            "step": record.step,
            "time": record.time,
            **{name: record.values.get(name) for name in names},
        }
        for record in records
    ]


def render_metrics(records: Sequence[Metric], form: Literal["csv", "json"]) -> str:
    """The rows of one or more records as text; an empty cell or null where there is no value."""
    rows = metric_rows(records)
    return _csv(rows) if form == "csv" else msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"


def _csv(rows: Iterable[dict[str, Cell]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, row in enumerate(rows):
        if not number:
            writer.writerow(row)
        writer.writerow(["" if value is None else value for value in row.values()])
    return out.getvalue()
