"""Results gathered over seeds and laid out as tables, with values worked out by hand."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from evaluated import config, measured, result, row

from goe.core.forms import Format
from goe.core.forms import render as write
from goe.core.layout import Layout, parse_layout
from goe.core.results import AVERAGE, Measured, Row, aggregate, average, expected_runs, gather, without_results
from goe.core.rundir import RunDir, write_json
from goe.core.table import Block, Table, blocks, notes

KEYS = "experiment method id_dataset model score protocol test_set metric mean std n expected"

FAR_AUROC = ("far", "auroc")


def render(rows: list[Row], form: Format, *, colour: bool = False, layout: Layout | None = None) -> str:
    layout = layout or Layout()
    return write(Table(tuple(blocks(rows, layout)), notes(layout.conventions)), form, colour=colour)


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
    remedy = f"`goe eval {runs[0].run_id} --checkpoint best --scores msp --force` writes it anew"
    assert problems[0] == f"{damaged}: cut or altered; {remedy}"
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
    rows = [row("a", 1 / 3, 1 / 7, by_seed=((1, 0.25), (3, 0.5)), n=2), row("b", None, n=0)]
    found = [
        record for record in json.loads(render(rows, "json")) if (record["test_set"], record["metric"]) == FAR_AUROC
    ]
    assert set(KEYS.split()) <= set(found[0])
    assert (found[0]["mean"], found[0]["std"], found[0]["seeds"]) == (1 / 3, 1 / 7, [1, 3])
    assert (found[1]["mean"], found[1]["std"], found[1]["n"], found[1]["text"]) == (None, None, 0, "–")
    lines = [
        line
        for line in csv.DictReader(io.StringIO(render(rows, "csv")))
        if (line["test_set"], line["metric"]) == FAR_AUROC
    ]
    assert list(lines[0]) == list(found[0])
    assert (float(lines[0]["mean"]), lines[0]["seeds"], lines[1]["mean"]) == (1 / 3, "1 3", "")


def test_nothing_measured() -> None:
    assert render([], "json") == "[]\n"
    assert render([], "csv").count("\n") == 1


@pytest.mark.parametrize("colour", [False, True])
def test_columns_stand_under_their_heads(colour: bool) -> None:
    rows = [row("a", 1.0, 0.1), row("long-name", 0.05)]
    text = re.sub("\x1b\\[[0-9]*m", "", render(rows, "text", colour=colour))
    head, first, second = text.splitlines()[-6:-3]
    end = head.index("AUROC % ↑") + len("AUROC % ↑")
    assert (first[:end].endswith("100.00 ± 10.00"), second[:end].endswith("  5.00" if colour else "_5.00")) == (
        True,
        True,
    )
    assert first[end : end + 2].strip() == second[end : end + 2].strip() == ""


def marks(values: list[float | None], metric: str = "auroc") -> list[int | None]:
    rows = [row(name, value, metric=metric) for name, value in zip("abcdef", values, strict=False)]
    (*_, far) = blocks(rows, parse_layout(metrics=metric))
    return [line[-1].rank for line in far.lines]


def test_ranks_are_those_of_a_competition() -> None:
    assert marks([0.7, 0.9, 0.8]) == [3, 1, 2]
    assert marks([0.7, 0.9, 0.8], "fpr95") == [1, 3, 2]
    assert marks([0.9, 0.9, 0.8]) == [1, 1, 3]  # two best, no second
    assert marks([0.9, 0.8, 0.8, 0.7]) == [1, 2, 2, 4]
    assert marks([0.90004, 0.90001, 0.8]) == [1, 1, 3]  # as printed: 90.00 twice
    assert marks([0.9, None, 0.8]) == [1, None, 2]
    assert marks([0.9, None]) == [None, None]  # best of nothing


def test_a_minus_does_not_stand_before_zero() -> None:
    (summary,) = blocks([row("a", -1e-9, test_set="digits", metric="e_aurc")], parse_layout(metrics="e-aurc"))
    assert summary.lines[0][-1].text == "0.00"


def test_classification_metrics_do_not_mix_with_detection_metrics_of_the_same_name() -> None:
    rows = [row("a", 0.75, test_set="digits"), row("a", 0.5, test_set=AVERAGE), row("a", 0.5)]
    summary, far = blocks(rows, parse_layout(metrics="auroc-error,auroc"))
    assert summary.header == ("experiment", "seeds", "AUROC-error % ↑", "AUROC % ↑")
    assert [cell.text for cell in summary.lines[0]] == ["a", "3/3", "75.00", "50.00"]
    assert far.header == ("experiment", "seeds", "AUROC % ↑")


def test_a_block_a_metric() -> None:
    rows = [
        row("a", value, test_set=test_set, metric=metric)
        for metric, shift in (("auroc", 0), ("fpr95", 0.5))
        for test_set, value in (("near", 0.25 + shift), ("far", 0.375 + shift), (AVERAGE, 0.3125 + shift))
    ]
    layout = parse_layout(columns="sets", metrics="auroc,fpr95")
    found = blocks(rows, layout)
    assert [block.header for block in found] == [("experiment", "seeds", "near", "far", "average")] * 2
    assert [[cell.text for cell in block.lines[0]] for block in found] == [
        ["a", "3/3", "25.00", "37.50", "31.25"],
        ["a", "3/3", "75.00", "87.50", "81.25"],
    ]
    context = "digits · wrn-10-1 · score msp · protocol digits · checkpoint best · positive ID · ties mid-rank"
    assert [block.title for block in found] == [
        f"{context} · AUROC % ↑ · average: mean over near, far",
        f"{context} · FPR95 % ↓ · average: mean over near, far",
    ]
    (one,) = blocks(rows, parse_layout(columns="sets", metrics="auroc", sets="far"))
    assert (one.header[2:], one.title) == (("far",), f"{context} · AUROC % ↑")


def test_chosen_sets_leave_the_average_what_it_is() -> None:
    rows = [row("a", value, test_set=name) for name, value in (("near", 0.5), ("far", 0.75), (AVERAGE, 0.625))]
    found = blocks(rows, parse_layout(metrics="auroc", sets="average,far"))
    assert [block.title.split(" · ")[-1] for block in found] == ["mean over near, far", "OOD: far"]
    assert [block.lines[0][-1].text for block in found] == ["62.50", "75.00"]


def test_what_is_not_in_the_rows_separates_blocks() -> None:
    rows = [
        row("a", 0.5, score=score, model=model) for model in ("wrn-10-1", "resnet-18") for score in ("msp", "energy")
    ]
    far = [block for block in blocks(rows, parse_layout(metrics="auroc")) if "OOD: far" in block.title]
    assert len(far) == 4
    assert all(len(block.lines) == 1 for block in far)
    far = [block for block in blocks(rows, parse_layout(metrics="auroc", rows="score")) if "OOD: far" in block.title]
    assert [block.title.split(" · ")[:3] for block in far] == [
        ["digits", "wrn-10-1", "protocol digits"],
        ["digits", "resnet-18", "protocol digits"],
    ]
    assert [[line[0].text for line in block.lines] for block in far] == [["msp", "energy"]] * 2
    (far,) = [
        block for block in blocks(rows, parse_layout(metrics="auroc", rows="model,score")) if "OOD: far" in block.title
    ]
    assert [[cell.text for cell in line[:2]] for line in far.lines] == [
        ["wrn-10-1", "msp"],
        ["wrn-10-1", "energy"],
        ["resnet-18", "msp"],
        ["resnet-18", "energy"],
    ]


def test_marks_are_within_lines_that_share_all_but_the_last_label() -> None:
    values = {("wrn-10-1", "oe"): 0.5, ("resnet-18", "oe"): 0.75, ("wrn-10-1", "goe"): 0.625, ("resnet-18", "goe"): 0.7}
    rows = [row(f"{method}-{model}", value, model=model, method=method) for (model, method), value in values.items()]
    (*_, far) = blocks(rows, parse_layout(metrics="auroc", rows="model,method"))
    assert [[*(cell.text for cell in line[:2]), line[-1].text, line[-1].rank] for line in far.lines] == [
        ["wrn-10-1", "oe", "50.00", 2],
        ["wrn-10-1", "goe", "62.50", 1],
        ["resnet-18", "oe", "75.00", 1],
        ["resnet-18", "goe", "70.00", 2],
    ]


def test_lines_of_the_same_label_are_told_apart_and_not_averaged() -> None:
    rows = [row("k0", 0.5, config="1"), row("k6", 0.75, config="2"), row("k6", 0.25, config="3")]
    (*_, far) = blocks(rows, parse_layout(metrics="auroc", rows="method"))
    assert [(line[0].text, line[-1].text) for line in far.lines] == [
        ("goe (k0 1)", "50.00"),
        ("goe (k6 2)", "75.00"),
        ("goe (k6 3)", "25.00"),
    ]
    (*_, far) = blocks(rows[:2], parse_layout(metrics="auroc", rows="method"))
    assert [line[0].text for line in far.lines] == ["goe (k0)", "goe (k6)"]


def test_averages_over_other_sets_are_named_by_data_set() -> None:
    rows = [
        row(f"on-{dataset}", 0.5, id_dataset=dataset, protocol="scood", test_set=name)
        for dataset, other in (("cifar10", "cifar100"), ("cifar100", "cifar10"))
        for name in (other, "svhn", AVERAGE)
    ]
    found = blocks(rows, parse_layout(rows="dataset", metrics="auroc"))
    titles = [block.title.partition("mid-rank · ")[2] for block in found]
    assert titles == [
        "mean over cifar10: cifar100, svhn; cifar100: cifar10, svhn",
        "OOD: cifar100",
        "OOD: svhn",
        "OOD: cifar10",
    ]
    assert [[line[0].text for line in block.lines] for block in found] == [
        ["cifar10", "cifar100"],
        ["cifar10"],
        ["cifar10", "cifar100"],
        ["cifar100"],
    ]


def test_every_metric_there_is() -> None:
    rows = [row("a", 0.5, metric="ccr_1e4"), row("a", 0.25, metric="of-tomorrow"), row("a", 0.75)]
    (far,) = [block for block in blocks(rows, parse_layout(metrics="all")) if "OOD: far" in block.title]
    assert far.header == ("experiment", "seeds", "AUROC % ↑", "CCR@FPR 1e-4 % ↑", "of-tomorrow %")
    assert [cell.text for cell in far.lines[0]] == ["a", "3/3", "75.00", "50.00", "25.00"]


def test_titles_and_notes_say_the_conventions() -> None:
    layout = parse_layout(positive="ood", ties="against-id")
    (_, far) = blocks([row("a", 0.5)], layout)
    assert "protocol digits · checkpoint best · positive OOD · ties against-id" in far.title
    first, second = notes(layout.conventions)
    assert first.startswith("OOD is the positive class: FPR95 is the share of ID rejected")
    assert second.startswith("Ties are broken against ID")


def test_experiments_without_results_are_named() -> None:
    runs = [config("z", seed) for seed in (1, 2)]
    assert without_results([measured(config("goe"), {"far": 0.9})], [config("goe"), *runs]) == ("z (0/2)",)
    assert without_results([], []) == ()


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
    (other,) = (block for block in blocks(rows, parse_layout(rows="method,score")) if "filter" in block.title)
    assert (other.header[:2], other.lines[0][0].text) == (("method", "seeds"), "goe")
    assert not any("filter" in block.title for block in blocks(rows, parse_layout(metrics="auroc")))


def test_what_filters_dropped_is_that_of_most_seeds() -> None:
    facts = {"rate": 0.1}
    items = [
        measured(config(seed=1), {"near": 0.5}, filter=facts, score="msp"),
        *(measured(config(seed=seed), {"near": 0.5}, filter=facts, score="energy") for seed in (1, 2)),
    ]
    (block,) = (block for block in blocks(aggregate(items, [])) if "filter" in block.title)
    assert block.lines[0][1].text == "2/2"
