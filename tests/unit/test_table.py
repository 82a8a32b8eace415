"""Results gathered over seeds and laid out as tables, with values worked out by hand."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from goe.core.config import RunConfig, complete
from goe.core.records import EvalResult
from goe.core.results import (
    AVERAGE,
    Measured,
    Row,
    aggregate,
    average,
    expected_runs,
    gather,
)
from goe.core.rundir import RunDir, write_json
from goe.core.table import Block, blocks, render

KEYS = "experiment method id_dataset model score protocol test_set metric mean std n expected"


def config(experiment: str = "goe", seed: int = 1, **keys: Any) -> RunConfig:
    raw = {"experiment": experiment, "seed": seed, **keys}
    found = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert found is not None
    return found


def result(run: RunConfig, detection: dict[str, float | None], accuracy: float = 0.5, **changes: Any) -> EvalResult:
    fields: dict[str, Any] = {
        "run_id": run.run_id,
        "checkpoint": "best",
        "epoch": 1,
        "weights_sha256": "00",
        "score": "msp",
        "protocol": "digits",
        "id_dataset": "digits",
        "classification": {"accuracy": accuracy, "aurc": 0.1},
        "detection": {name: {"auroc": value, "fpr95": 0.25} for name, value in detection.items()},
        "sizes": {},
        "created": 0.0,
    }
    return EvalResult(**{**fields, **changes})


def measured(run: RunConfig, detection: dict[str, float | None], accuracy: float = 0.5, **changes: Any) -> Measured:
    return Measured(run, result(run, detection, accuracy, **changes))


def row(experiment: str, mean: float | None, std: float | None = None, **changes: Any) -> Row:
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


def find(rows: list[Row], test_set: str, metric: str) -> Row:
    (found,) = [row for row in rows if (row.test_set, row.metric) == (test_set, metric)]
    return found


def test_mean_and_sample_deviation_over_seeds() -> None:
    runs = [config(seed=seed) for seed in (1, 2, 3)]
    items = [measured(run, {"far": value}) for run, value in zip(runs, (0.90, 0.92, 0.97), strict=True)]
    found = find(aggregate(items, runs), "far", "auroc")
    assert found.mean == pytest.approx(0.93)  # 2.79 / 3
    assert found.std == pytest.approx(0.0013**0.5)  # (0.03² + 0.01² + 0.04²) / 2
    assert (found.n, found.expected) == (3, 3)
    assert (found.experiment, found.method, found.model, found.id_dataset) == ("goe", "goe", "wrn-10-1", "digits")


def test_a_single_seed_has_no_deviation() -> None:
    found = find(aggregate([measured(config(), {"far": 0.9})], [config()]), "far", "auroc")
    assert (found.mean, found.std, found.n, found.expected) == (0.9, None, 1, 1)


def test_a_missing_seed_is_counted_and_not_averaged() -> None:
    runs = [config(seed=seed) for seed in (1, 2, 3)]
    rows = aggregate([measured(runs[0], {"far": 0.5}), measured(runs[2], {"far": 0.7})], runs)
    found = find(rows, "far", "auroc")
    assert (found.mean, found.n, found.expected) == (pytest.approx(0.6), 2, 3)


def test_one_seed_twice_is_one_seed() -> None:
    run = config()
    found = find(aggregate([measured(run, {"far": 0.5}), measured(run, {"far": 0.5})], [run]), "far", "auroc")
    assert (found.n, found.expected, found.std) == (1, 1, None)


def test_an_undefined_value_is_not_averaged() -> None:
    runs = [config(seed=seed) for seed in (1, 2)]
    rows = aggregate([measured(runs[0], {"far": None}), measured(runs[1], {"far": 0.8})], runs)
    assert (find(rows, "far", "auroc").mean, find(rows, "far", "auroc").n) == (0.8, 1)
    rows = aggregate([measured(run, {"far": None}) for run in runs], runs)
    assert (find(rows, "far", "auroc").mean, find(rows, "far", "auroc").n) == (None, 0)


def test_the_average_is_unweighted_over_the_test_sets() -> None:
    run = config()
    rows = aggregate([measured(run, {"near": 0.6, "far": 0.9})], [run])
    assert find(rows, AVERAGE, "auroc").mean == pytest.approx(0.75)
    assert find(rows, AVERAGE, "fpr95").mean == 0.25
    assert average({"near": {"auroc": None}, "far": {"auroc": 0.9}}) == {"auroc": None}
    assert average({"near": {}, "far": {"auroc": 0.9}}) == {"auroc": None}
    assert average({}) == {}


def test_averages_over_different_test_sets_are_not_mixed() -> None:
    runs = [config(seed=seed) for seed in (1, 2)]
    other = config("oe")
    items = [measured(runs[0], {"far": 0.9}), measured(runs[1], {"near": 0.5, "far": 0.9}), measured(other, {"far": 1})]
    rows = aggregate(items, [*runs, other])
    mine = find([row for row in rows if row.experiment == "goe"], AVERAGE, "auroc")
    assert (mine.mean, mine.n, mine.expected) == (pytest.approx(0.7), 1, 2)
    assert find([row for row in rows if row.experiment == "oe"], AVERAGE, "auroc").mean is None


def test_rows_keep_the_expected_order() -> None:
    planned = [config("z"), config("a"), config("m")]
    items = [measured(run, {"far": 0.9}) for run in (config("new"), planned[2], planned[0])]
    assert list(dict.fromkeys(row.experiment for row in aggregate(items, planned))) == ["z", "m", "new"]


def test_what_is_not_comparable_gets_rows_of_its_own() -> None:
    run = config()
    items = [
        measured(run, {"far": 0.9}),
        measured(run, {"far": 0.8}, score="energy"),
        measured(run, {"far": 0.7}, checkpoint="last"),
        measured(config(lr=0.05), {"far": 0.6}),
    ]
    found = [row for row in aggregate(items, [run]) if (row.test_set, row.metric) == ("far", "auroc")]
    assert [(row.score, row.checkpoint, row.mean) for row in found] == [
        ("msp", "best", 0.9),
        ("energy", "best", 0.8),
        ("msp", "last", 0.7),
        ("msp", "best", 0.6),
    ]
    assert all(row.n == row.expected == 1 for row in found)
    assert found[3].config != found[0].config


def test_gathering_from_disk_names_what_is_damaged(tmp_path: Path) -> None:
    runs = [RunDir.create(tmp_path, config(seed=seed)) for seed in (1, 2, 3)]
    for run in runs:
        write_json(run.eval / "best-msp-digits.json", result(run.config(), {"far": 0.9}))
    damaged = runs[0].eval / "best-msp-digits.json"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    runs[1].config_file.write_text("{}")
    found, problems = gather(runs)
    assert [item.config.seed for item in found] == [3]
    assert problems[0] == f"{damaged}: cut or altered; write it anew with `goe eval {runs[0].run_id}`"
    assert problems[1].startswith(f"{runs[1].config_file}: cut or altered: ")
    assert len(problems) == 2


def test_expected_runs_are_those_of_the_queue_then_those_found(tmp_path: Path) -> None:
    queue = tmp_path / "experiments.toml"
    queue.write_text('[[experiment]]\nname = "goe"\nseeds = [1, 2]\n')
    found = [RunDir.create(tmp_path / "runs", run) for run in (config("other"), config(seed=2))]
    names = [(run.experiment, run.seed) for run in expected_runs(found, queue)]
    assert names == [("goe", 1), ("goe", 2), ("other", 1)]
    assert [run.experiment for run in expected_runs(found, tmp_path / "none.toml")] == ["other", "goe"]


def column(block: Block, place: int) -> list[tuple[str, bool]]:
    return [(line[place].text, line[place].best) for line in block.lines]


def test_all_that_look_best_are_marked() -> None:
    rows = [row("a", 0.91234), row("b", 0.91229), row("c", 0.9)]  # 91.23, 91.23, 90.00
    (_, far) = blocks(rows)
    assert far.title.endswith("OOD: far")
    assert column(far, far.header.index("AUROC % ↑")) == [("91.23", True), ("91.23", True), ("90.00", False)]


def test_lower_is_better_for_fpr95() -> None:
    (_, far) = blocks([row("a", 0.2, metric="fpr95"), row("b", 0.1, metric="fpr95")])
    assert column(far, far.header.index("FPR95 % ↓")) == [("20.00", False), ("10.00", True)]


def test_a_single_experiment_is_not_the_best_of_anything() -> None:
    (_, far) = blocks([row("a", 0.9)])
    assert column(far, far.header.index("AUROC % ↑")) == [("90.00", False)]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (row("a", 0.9412, 0.0031), "94.12 ± 0.31"),
        (row("a", 0.9412, 0.0031, n=2), "94.12 ± 0.31 (2/3)"),
        (row("a", 0.9412, n=1, expected=1), "94.12"),
        (row("a", 0.9412, n=1), "94.12 (1/3)"),
        (row("a", None, n=0), "–"),
        (row("a", 1.0, 0.0), "100.00 ± 0.00"),
    ],
)
def test_how_a_cell_reads(cell: Row, text: str) -> None:
    (_, far) = blocks([cell])
    assert column(far, far.header.index("AUROC % ↑")) == [(text, False)]


def test_aurc_is_printed_times_a_thousand() -> None:
    (summary,) = blocks([row("a", 0.01234, test_set="digits", metric="aurc")])
    assert column(summary, summary.header.index("AURC ‰ ↓")) == [("12.34", False)]


def test_seeds_are_those_with_a_result() -> None:
    """Also when one metric is undefined for all of them."""
    rows = [row("a", 0.9, n=2), row("a", None, n=0, metric="fpr95")]
    (_, far) = blocks(rows)
    assert far.lines[0][1].text == "2/3"


def test_two_configurations_under_one_name_are_told_apart() -> None:
    rows = [row("a", 0.9, config="11111111"), row("a", 0.8, config="22222222"), row("b", 0.7)]
    (_, far) = blocks(rows)
    assert [text for text, _ in column(far, 0)] == ["a (11111111)", "a (22222222)", "b"]


def test_json_and_csv_hold_fractions_unrounded() -> None:
    rows = [row("a", 1 / 3, 1 / 7), row("b", None, n=0)]
    parsed = json.loads(render(rows, "json"))
    assert set(KEYS.split()) <= set(parsed[0])
    assert (parsed[0]["mean"], parsed[0]["std"]) == (1 / 3, 1 / 7)
    assert (parsed[1]["mean"], parsed[1]["std"], parsed[1]["n"]) == (None, None, 0)
    lines = list(csv.DictReader(io.StringIO(render(rows, "csv"))))
    assert list(lines[0]) == list(parsed[0])
    assert (float(lines[0]["mean"]), lines[1]["mean"]) == (1 / 3, "")


def test_nothing_measured() -> None:
    assert render([], "json") == "[]\n"
    assert render([], "csv").count("\n") == 1


@pytest.mark.parametrize("mark", [lambda text: f"*{text}", lambda text: f"\x1b[1m{text}\x1b[0m"])
def test_columns_stand_under_their_heads(mark: Any) -> None:
    rows = [row("a", 1.0, 0.1), row("long-name", 0.05)]
    text = re.sub("\x1b\\[[0-9]*m", "", render(rows, "text", bold=mark))
    head, first, second = text.splitlines()[-5:-2]
    end = head.index("AUROC % ↑") + len("AUROC % ↑")
    assert (first[:end].endswith("100.00 ± 10.00"), second[:end].endswith("     5.00")) == (True, True)
    assert first[end : end + 2].strip() == second[end : end + 2].strip() == ""


def test_what_filters_dropped_is_a_block_of_its_own_once() -> None:
    def found(seed: int, score: str, precision: float | None) -> Measured:
        facts = {"rate": 0.1, "base-rate": 0.12, "precision": precision, "recall": 0.5}
        return measured(config(seed=seed), {"near": 0.5}, filter=facts, score=score)

    items = [found(seed, score, 0.6 + 0.1 * seed) for seed in (1, 2) for score in ("msp", "energy")]
    plain = measured(config("oe", method="oe"), {"near": 0.5})
    rows = aggregate([*items, plain], [])
    (block,) = (block for block in blocks(rows) if "filter" in block.title)
    assert block.header[2:] == ("dropped %", "ID among outliers %", "precision % ↑", "recall % ↑")
    assert [[cell.text for cell in line] for line in block.lines] == [
        ["goe", "2/2", "10.00 ± 0.00", "12.00 ± 0.00", "75.00 ± 7.07", "50.00 ± 0.00"]
    ]
    assert not any("OOD: filter" in block.title for block in blocks(rows))
