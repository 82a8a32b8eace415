"""The paper's figures beside one's own, and the paper's layout."""

import csv
import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaluated import config, evaluated, measured, row

from goe.core.config import RunConfig
from goe.core.errors import ConfigError
from goe.core.forms import render
from goe.core.layout import parse_layout
from goe.core.paper import NAMES, figure
from goe.core.records import EvalResult
from goe.core.results import AVERAGE, Measured
from goe.core.tabulation import Request
from goe.core.where import parse_where
from goe.tabulate import Tabulated, tabulate

WRN = {"dataset": "cifar10", "model": "wrn-40-2"}


def item(run: RunConfig, values: tuple[float, float, float, float, float, float], **changes: Any) -> Measured:
    """A result with accuracy, AURC, FPR95, AUROC, AUPR-in and AUPR-out, on a single OOD set."""
    accuracy, aurc, fpr95, auroc, aupr_in, aupr_out = values
    detection = {"fpr95": fpr95, "auroc": auroc, "aupr_in": aupr_in, "aupr_out": aupr_out}
    fields = {"score": run.scores[0], "protocol": "scood", "checkpoint": run.evaluate} | changes
    found = measured(run, {}, classification={"accuracy": accuracy, "aurc": aurc}, **fields)
    return replace(found, result=msgspec.structs.replace(found.result, detection={"svhn": detection}))


VALUES = (0.95, 0.006, 0.5, 0.75, 0.8, 0.7)


def make(folder: Path, *items: Measured) -> list[Any]:
    return [evaluated(folder, one) for one in items]


def paper(folder: Path, *items: Measured, queue: Path | None = None, **request: Any) -> Tabulated:
    return tabulate(make(folder, *items), queue, Request(paper_layout=True, **request))


def lines(found: Tabulated) -> list[list[str]]:
    (block,) = found.table.blocks
    return [[cell.text for cell in line] for line in block.lines]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"test_set": "cifar10", "metric": "accuracy"}, 0.9563),
        ({"test_set": "cifar10", "metric": "aurc"}, 0.00624),
        ({"test_set": AVERAGE, "metric": "fpr95"}, 0.0931),
        ({"test_set": AVERAGE, "metric": "auroc"}, 0.9727),
        ({"test_set": AVERAGE, "metric": "aupr_in"}, 0.9749),
        ({"test_set": AVERAGE, "metric": "aupr_out"}, 0.9749),
        ({"test_set": "svhn", "metric": "auroc"}, None),  # one set is no average
        ({"test_set": "cifar10", "metric": "auroc"}, None),  # that of misclassification
        ({"test_set": "cifar10", "metric": "ece"}, None),
        ({"test_set": AVERAGE, "metric": "auroc", "model": "wrn-10-1"}, None),
        ({"test_set": AVERAGE, "metric": "auroc", "method": "mixoe"}, None),
        ({"test_set": AVERAGE, "metric": "auroc", "method": "baseline"}, 0.8802),
        ({"test_set": AVERAGE, "metric": "auroc", "method": "energy-oe", "model": "resnet-34"}, 0.9744),
        ({"test_set": AVERAGE, "metric": "auroc", "method": "udg", "model": "densenet-bc-100-12"}, 0.8745),
    ],
)
def test_the_papers_figure_for_a_row(changes: dict[str, str], expected: float | None) -> None:
    found = figure(row("a", 0.5, **{"id_dataset": "cifar10", "model": "wrn-40-2", "method": "goe", **changes}))
    assert found == (None if expected is None else pytest.approx(expected))


def test_figures_stand_beside_the_average_with_the_difference(tmp_path: Path) -> None:
    runs = make(tmp_path, item(config("goe", method="goe", **WRN), VALUES))
    found = tabulate(runs, None, Request(paper_figures=True))
    average, svhn = found.table.blocks[:2]
    assert [cell.text for cell in average.lines[0]] == [
        "goe",
        "1/1",
        "95.00 [95.63 −0.63]",
        "6.00 [6.24 −0.24]",
        "50.00 [9.31 +40.69]",
        "75.00 [97.27 −22.27]",
        "80.00 [97.49 −17.49]",
        "70.00 [97.49 −27.49]",
    ]
    assert [cell.text for cell in svhn.lines[0]][2:] == ["50.00", "75.00", "80.00", "70.00"]
    assert any(note.startswith("In square brackets the figure of Koo et al. (2024)") for note in found.table.notes)
    records = json.loads(render(found.table, "json"))
    assert (records[0]["paper"], records[0]["above_paper"]) == (pytest.approx(0.9563), pytest.approx(-0.0063))


def test_results_the_paper_has_no_figure_for_say_so(tmp_path: Path) -> None:
    runs = make(tmp_path, measured(config("goe"), {"far": 0.5}))
    found = tabulate(runs, None, Request(paper_figures=True))
    assert any(note.startswith("None of these results has a figure in Koo et al.") for note in found.table.notes)
    assert "[" not in "".join(cell.text for block in found.table.blocks for line in block.lines for cell in line)


def test_the_papers_layout(tmp_path: Path) -> None:
    better = (0.96, 0.005, 0.25, 0.8, 0.9, 0.6)
    found = paper(
        tmp_path,
        item(config("c", dataset="cifar100", model="wrn-40-2", method="oe"), VALUES),
        item(config("d", dataset="cifar10", model="densenet-bc-100-12", method="oe"), VALUES),
        item(config("g", method="goe", **WRN), better),
        item(config("g", seed=2, method="goe", **WRN), better),
        item(config("b", method="baseline", **WRN), VALUES),
        item(config("e", method="energy-oe", scores=["msp", "energy"], **WRN), VALUES, score="energy"),
        item(config("e", method="energy-oe", scores=["msp", "energy"], **WRN), better, score="msp"),
    )
    (block,) = found.table.blocks
    assert block.header == ("dataset", "model", "method", "ACC", "AURC", "FPR", "AUROC", "AUPR")
    assert lines(found) == [
        ["CIFAR-10", "WRN", "MCP", "95.00", "6.00", "50.00", "75.00", "80.00"],
        ["CIFAR-10", "WRN", "E-OE", "95.00", "6.00", "50.00", "75.00", "80.00"],
        ["CIFAR-10", "WRN", "G-OE", *(f"{value} ± 0.00" for value in ("96.00", "5.00", "25.00", "80.00", "90.00"))],
        ["CIFAR-10", "Dense", "OE", "95.00", "6.00", "50.00", "75.00", "80.00"],
        ["CIFAR-100", "WRN", "OE", "95.00", "6.00", "50.00", "75.00", "80.00"],
    ]
    assert [[cell.rank for cell in line[3:]] for line in block.lines] == [
        [2] * 5,
        [2] * 5,
        [1] * 5,
        [None] * 5,
        [None] * 5,
    ]
    assert block.title == (
        "protocol scood · positive ID · ties mid-rank · checkpoint best · score msp; E-OE: energy · mean over svhn"
    )
    assert found.table.notes[1] == (
        "AURC is × 1000, the rest percent; n = 1 to 2. AUPR is AUPR-in: the paper doesn't say which of the two."
    )


def test_aupr_out_on_request(tmp_path: Path) -> None:
    found = paper(tmp_path, item(config("g", method="goe", **WRN), VALUES), layout=parse_layout(metrics="aupr-out"))
    assert lines(found)[0][-1] == "70.00"
    assert "AUPR is AUPR-out" in found.table.notes[1]


@pytest.mark.parametrize(
    "words",
    [{"metrics": "ece"}, {"metrics": "aupr-in,aupr-out"}, {"metrics": "all"}, {"rows": "method"}, {"sets": "svhn"}],
)
def test_the_papers_layout_is_not_mixed_with_another(words: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="--preset paper: "):
        Request(paper_layout=True, layout=parse_layout(**words))


def test_the_papers_figures_have_id_positive() -> None:
    with pytest.raises(ConfigError, match="--compare paper: the paper's figures have ID positive"):
        Request(paper_figures=True, layout=parse_layout(positive="ood"))


def test_each_method_by_its_own_score_and_checkpoint(tmp_path: Path) -> None:
    run = config("g", method="goe", scores=["entropy", "msp"], evaluate="last", **WRN)
    other = (0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    results = [
        item(run, VALUES),
        item(run, other, score="msp"),
        item(run, other, checkpoint="best"),
    ]
    assert lines(paper(tmp_path, *results)) == [["CIFAR-10", "WRN", "G-OE", "95.00", "6.00", "50.00", "75.00", "80.00"]]
    found = paper(tmp_path, *results, where=parse_where(["score=msp"]))
    assert lines(found)[0][3] == "50.00"
    assert "score msp" in found.table.blocks[0].title


def test_what_is_planned_and_has_no_result_is_shown_as_missing(tmp_path: Path) -> None:
    queue = tmp_path / "experiments.toml"
    queue.write_text(
        """[defaults]
dataset = "cifar10"
seeds = [1, 2]
[[experiment]]
name = "b"
method = "baseline"
[[experiment]]
name = "g"
method = "goe"
"""
    )
    found = paper(tmp_path / "runs", item(config("g", method="goe", dataset="cifar10"), VALUES), queue=queue)
    assert lines(found) == [
        ["CIFAR-10", "WRN", "MCP", "–", "–", "–", "–", "–"],
        ["CIFAR-10", "WRN", "G-OE", *(f"{value} (1/2)" for value in ("95.00", "6.00", "50.00", "75.00", "80.00"))],
    ]
    assert found.missing == ("b (0/2)",)
    with_figures = tabulate([], queue, Request(paper_layout=True, paper_figures=True))
    assert with_figures.table.blocks == ()
    found = paper(
        tmp_path / "runs", item(config("g", method="goe", dataset="cifar10"), VALUES), queue=queue, paper_figures=True
    )
    assert lines(found)[0][3:5] == ["– [94.38]", "– [6.34]"]


def test_data_sets_and_models_the_paper_lacks_come_last_under_their_own_names(tmp_path: Path) -> None:
    found = paper(
        tmp_path,
        item(config("x", method="mixoe"), VALUES),
        item(config("k0", method="goe", **WRN), VALUES),
        item(config("k6", method={"name": "goe", "filter": {"k": 6}}, **WRN), VALUES),
    )
    assert [line[:3] for line in lines(found)] == [
        ["CIFAR-10", "WRN", "G-OE (k0)"],
        ["CIFAR-10", "WRN", "G-OE (k6)"],
        ["digits", "wrn-10-1", "mixoe"],
    ]


def test_the_papers_latex_table(tmp_path: Path) -> None:
    found = paper(
        tmp_path,
        *(item(config(method, method=method, **WRN), VALUES) for method in ("baseline", "oe")),
        item(config("dense", method="oe", dataset="cifar10", model="densenet-bc-100-12"), VALUES),
        item(config("hundred", method="oe", dataset="cifar100", model="densenet-bc-100-12"), VALUES),
    )
    text = render(found.table, "latex")
    best = " & ".join(rf"\textbf{{{value}}}" for value in ("95.00", "6.00", "50.00", "75.00", "80.00"))
    plain = "95.00 & 6.00 & 50.00 & 75.00 & 80.00"
    assert text.splitlines()[2:13] == [
        r"\begin{tabular}{lllrrrrr}",
        r"\toprule",
        r"dataset & model & method & ACC & AURC & FPR & AUROC & AUPR \\",
        r"\midrule",
        rf"CIFAR-10 & WRN & MCP & {best} \\",
        rf"&  & OE & {best} \\",
        r"\addlinespace",
        rf"& Dense & OE & {plain} \\",
        r"\addlinespace",
        rf"CIFAR-100 & Dense & OE & {plain} \\",
        r"\bottomrule",
    ]
    assert "multirow" not in text


def test_mixed_protocols_are_refused_unless_asked_for(tmp_path: Path) -> None:
    run = config("g", method="goe", **WRN)
    runs = make(tmp_path, item(run, VALUES), item(run, VALUES, protocol="goe2024"))
    with pytest.raises(ConfigError, match="cifar10: results of 2 protocols, goe2024, scood, which"):
        tabulate(runs, None, Request())
    mixed = tabulate(runs, None, Request(mixed=True))
    titles = [block.title for block in mixed.table.blocks]
    assert [re.findall("protocol (\\w+) .* (?:over|OOD:) (\\w+)", title)[0] for title in titles] == [
        ("goe2024", "svhn"),
        ("goe2024", "svhn"),
        ("scood", "svhn"),
        ("scood", "svhn"),
    ]
    one = tabulate(runs, None, Request(where=parse_where(["protocol=scood"])))
    assert [block.title for block in one.table.blocks] == titles[2:]
    assert len(tabulate(runs, None, Request(mixed=True, paper_layout=True)).table.blocks) == 2


def test_marks_against_an_experiment_that_is_not_shown(tmp_path: Path) -> None:
    runs = make(
        tmp_path,
        *(item(config("base", seed, method="baseline", **WRN), VALUES) for seed in (1, 2, 3)),
        *(
            item(config("g", seed, method="goe", **WRN), (0.95, 0.006, 0.5, 0.75 + gain, 0.8, 0.7))
            for seed, gain in ((1, 0.10), (2, 0.11), (3, 0.12))
        ),
    )
    request = Request(where=parse_where(["method=goe"]), against="base", layout=parse_layout(sets="average"))
    found = tabulate(runs, None, request)
    (block,) = found.table.blocks
    assert [cell.text for cell in block.lines[0]][2:] == [
        "95.00 ± 0.00",
        "6.00 ± 0.00",
        "50.00 ± 0.00",
        "86.00 ± 1.00†",
        "80.00 ± 0.00",
        "70.00 ± 0.00",
    ]
    assert found.table.notes[-1].startswith(
        "†: differs from base under the same score with p < 0.05 (paired t-test over"
    )
    auroc = next(record for record in json.loads(render(found.table, "json")) if record["metric"] == "auroc")
    assert (auroc["difference"], auroc["low"], auroc["high"]) == tuple(map(pytest.approx, (0.11, 0.10, 0.12)))
    assert auroc["common_seeds"] == 3
    with pytest.raises(ConfigError, match=r'"bas": no results of such an experiment \(did you mean "base"\?\)'):
        tabulate(runs, None, Request(where=parse_where(["method=goe"]), against="bas"))


def test_records_have_every_metric_unless_some_are_asked_for(tmp_path: Path) -> None:
    runs = make(tmp_path, measured(config("g"), {}, classification={"accuracy": 0.5, "ece": 0.1}))
    (block,) = tabulate(runs, None, Request(), every_metric=True).table.blocks
    assert block.header == ("experiment", "seeds", "ACC % ↑", "ECE % ↓")
    (block,) = tabulate(runs, None, Request(layout=parse_layout(metrics="ece")), every_metric=True).table.blocks
    assert block.header == ("experiment", "seeds", "ECE % ↓")


def test_damage_under_other_conventions_is_told_once(tmp_path: Path) -> None:
    runs = make(tmp_path, measured(config("g"), {"far": 0.5}), measured(config("b"), {"far": 0.5}))
    found = tabulate(runs, None, Request(layout=parse_layout(ties="against-id"), against="b"))
    assert [problem.partition(": ")[0] for problem in found.problems] == [
        str(run.eval / "best-msp-digits.npz") for run in runs
    ]
    (*_, far) = found.table.blocks
    assert [[cell.text for cell in line[:3]] for line in far.lines] == [["g", "0/1", "–"], ["b", "0/1", "–"]]


def test_an_evaluation_record_is_all_that_is_needed(tmp_path: Path) -> None:
    """Version 1 knew nothing of the run."""
    (run,) = make(tmp_path, item(config("g", method="goe", **WRN), VALUES))
    (path,) = run.eval.glob("*.json")
    record = json.loads(path.read_text())
    for name in ("version", "experiment", "seed", "method", "model", "digests", "threshold"):
        del record[name]
    path.write_text(json.dumps(record))
    assert len(tabulate([run], None, Request()).table.blocks) == 2
    assert EvalResult.__struct_fields__[0] == "version"


def test_the_papers_own_figures_give_the_papers_table(tmp_path: Path) -> None:
    """Line by line and column by column, from results in another order."""
    with files("goe.core").joinpath("paper_table.csv").open(encoding="utf-8") as file:
        header, *expected = csv.reader(file)
    words = {word: name for names in NAMES.values() for name, word in names.items()}
    results = []
    for dataset, model, method, *figures in reversed(expected):
        acc, aurc, fpr, auroc, aupr = map(float, figures)
        keys = {"dataset": words[dataset], "model": words[model], "method": words[method]}
        run = config(f"{words[method]}-{dataset}-{model}", scores=["energy" if method == "E-OE" else "msp"], **keys)
        results.append(item(run, (acc / 100, aurc / 1000, fpr / 100, auroc / 100, aupr / 100, 0.5)))
    found = paper(tmp_path, *results, paper_figures=True)
    (block,) = found.table.blocks
    assert (list(block.header), len(block.lines)) == (header, 30)
    assert lines(found) == [[*line[:3], *(f"{value} [{value} +0.00]" for value in line[3:])] for line in expected]
    best = [(line[0].text, line[1].text, line[2].text) for line in block.lines if line[3].best]  # by accuracy
    assert {method for *_, method in best} == {"G-OE"}
    assert len(best) == 6
