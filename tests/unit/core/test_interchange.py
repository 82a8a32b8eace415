"""A run's metrics as CSV and JSON, and what `goe export` is asked for in vain."""

from pathlib import Path

import pytest

from goe.core.errors import ConfigError, RunError, UserError
from goe.core.interchange import check_place, check_request, metric_rows, read_metrics, render_metrics
from goe.core.records import Metric, metric_line
from goe.core.rundir import RunDir

TRAIN = Metric(kind="train", epoch=1, step=4, time=1000.25, values={"loss": 0.5, "lr": 0.1})
LOST = Metric(kind="train", epoch=2, step=6, time=1001.0, values={"loss": 9.0, "lost": 1.0})
RESUME = Metric(kind="resume", epoch=1, step=5, time=1002.0)
EPOCH = Metric(kind="epoch", epoch=2, step=10, time=1003.0, values={"val/accuracy": 0.75, "loss": None})
KEPT = [TRAIN, EPOCH]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A resumed run with one damaged record."""
    found = RunDir(tmp_path / "x-s1-00000000")
    found.path.mkdir()
    lines = [metric_line(record) for record in (TRAIN, LOST, RESUME, EPOCH)]
    found.metrics_file.write_bytes(b"".join([*lines, b'{"kind":"train","epoch":3}\n']))
    return found


def test_what_was_done_again_is_left_out(run: RunDir) -> None:
    assert read_metrics(run) == (KEPT, 1)


def test_a_run_without_a_record_says_so(run: RunDir) -> None:
    run.metrics_file.write_bytes(b"{}\n")
    with pytest.raises(RunError, match=r"metrics\.jsonl: 1 records, all damaged; `goe show x-s1-00000000`"):
        read_metrics(run)
    run.metrics_file.unlink()
    with pytest.raises(RunError, match=r"metrics\.jsonl: no metrics; the run has not trained here; "):
        read_metrics(run)


def test_every_row_has_every_metric() -> None:
    first, second = metric_rows(KEPT)
    assert list(first) == list(second) == ["kind", "epoch", "step", "time", "loss", "lr", "val/accuracy"]
    assert list(first.values()) == ["train", 1, 4, 1000.25, 0.5, 0.1, None]
    assert list(second.values()) == ["epoch", 2, 10, 1003.0, None, None, 0.75]


def test_csv() -> None:
    assert render_metrics(KEPT, "csv") == (
        "kind,epoch,step,time,loss,lr,val/accuracy\ntrain,1,4,1000.25,0.5,0.1,\nepoch,2,10,1003.0,,,0.75\n"
    )


def test_json() -> None:
    assert render_metrics([EPOCH], "json") == (
        '[\n  {\n    "kind": "epoch",\n    "epoch": 2,\n    "step": 10,\n    "time": 1003.0,\n'
        '    "val/accuracy": 0.75,\n    "loss": null\n  }\n]\n'
    )


BOTH = "use --format onnx|safetensors|torch for the classifier, --to tensorboard|csv|json for the metrics"
KNOWN = "known: onnx, safetensors, torch"
SCORES = "msp, max-logit, energy, entropy, margin"
MORE = "is a detector of pytorch-ood, which needs more than the classifier's graph"
ODIN = f'--score: "odin" {MORE}; exported are {SCORES}'


@pytest.mark.parametrize(
    ("form", "to", "checkpoint", "score", "said"),
    [
        (None, None, "", None, [f"--format, --to: neither is given; {BOTH}"]),
        ("onnx", "csv", "", None, [f"--format, --to: exclude each other; {BOTH}"]),
        ("onx", None, "", None, [f'--format: "onx" is unknown (did you mean "onnx"?); {KNOWN}']),
        ("csv", None, "", None, [f'--format: "csv" is written with --to csv; {KNOWN}']),
        (None, "torch", "", None, ['--to: "torch" is written with --format torch; known: tensorboard, csv, json']),
        (
            "pt",
            None,
            "",
            "enrgy",
            [
                f'--format: "pt" is unknown; {KNOWN}',
                f'--score: "enrgy" is unknown (did you mean "energy"?); known: {SCORES}',
            ],
        ),
        (
            "onnx",
            None,
            "",
            "odin",
            [ODIN],
        ),
        (
            None,
            "csv",
            "last",
            "msp",
            ["--checkpoint: only with --format; metrics have none", "--score: only with --format; metrics have none"],
        ),
    ],
)
def test_what_is_refused(form: str | None, to: str | None, checkpoint: str, score: str | None, said: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        check_request(form, to, checkpoint=checkpoint, score=score)
    assert list(raised.value.problems) == said


def test_what_is_taken() -> None:
    check_request("onnx", None, checkpoint="epoch-003", score="margin")
    check_request("torch", None, checkpoint="", score=None)
    check_request(None, "tensorboard", checkpoint="", score=None)


def test_places_that_a_file_can_t_have(tmp_path: Path) -> None:
    check_place(tmp_path / "new.csv")
    with pytest.raises(UserError, match="is a folder; pass --out FILE"):
        check_place(tmp_path)
    with pytest.raises(UserError, match=r"x\.csv: there is no folder .*nowhere; make it, or pass --out elsewhere"):
        check_place(tmp_path / "nowhere" / "x.csv")
