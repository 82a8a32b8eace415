"""Training and filter figures from records: seeds as mean and band, resumed runs, what is missing."""

from pathlib import Path

import numpy as np
import pytest
from figureruns import make_run, record

from goe.core.chart import Chart, Figure
from goe.core.errors import RunError
from goe.core.groups import Group, select_groups
from goe.figures.training import filter_figure, training_figure

NAN = np.nan


def groups(runs: Path, *names: str) -> list[Group]:
    return select_groups(runs, names)


def chart(figure: Figure, title: str) -> Chart:
    (found,) = [chart for chart in figure.charts if chart.title == title]
    return found


def test_mean_and_band_of_seeds_one_of_them_resumed(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, "a", 1), make_run(tmp_path, "a", 2)
    record(first, [("epoch", 1, 10, {"loss": 2.0, "lr": 0.1}), ("epoch", 2, 20, {"loss": 1.0, "lr": 0.01})])
    record(
        second,
        [
            ("epoch", 1, 10, {"loss": 4.0, "lr": 0.1}),
            ("epoch", 2, 20, {"loss": 99.0, "lr": 0.01}),  # lost to the crash and done again
            ("resume", 2, 10, {}),
            ("epoch", 2, 20, {"loss": 1.0, "lr": 0.01}),
        ],
    )
    figure = training_figure(groups(tmp_path, "a"), pytest.fail)
    assert [each.title for each in figure.charts] == ["training loss", "learning rate"]
    (line,) = chart(figure, "training loss").lines
    assert (line.name, line.x, line.y) == ("a (2 seeds)", (1, 2), (3, 1))
    assert line.band is not None
    assert line.band[0] == pytest.approx((3 - 2**0.5, 1))
    assert line.band[1] == pytest.approx((3 + 2**0.5, 1))
    assert figure.title == "Training · mean ± standard deviation over seeds"
    assert figure.sources == (first.run_id, second.run_id)


def test_an_epoch_that_a_seed_lacks_is_a_gap(tmp_path: Path) -> None:
    record(make_run(tmp_path, "a", 1), [("epoch", e, 10 * e, {"loss": 1.0}) for e in (1, 2, 3)])
    record(make_run(tmp_path, "a", 2), [("epoch", 1, 10, {"loss": 2.0}), ("epoch", 2, 20, {"loss": None})])
    (line,) = training_figure(groups(tmp_path, "a"), pytest.fail).charts[0].lines
    assert line.y == pytest.approx((1.5, NAN, NAN), nan_ok=True)


def test_a_seed_that_has_not_trained_is_said_to_be_missing(tmp_path: Path) -> None:
    record(make_run(tmp_path, "a", 1), [("epoch", 1, 10, {"loss": 1.0})])
    untrained = make_run(tmp_path, "a", 2)
    record(untrained, [("train", 1, 3, {"loss": 1.0})])
    warnings: list[str] = []
    (line,) = training_figure(groups(tmp_path, "a"), warnings.append).charts[0].lines
    assert line.name == "a (1/2 seeds)"
    assert [warning.partition("; ")[0] for warning in warnings] == [
        f"left out: {untrained.metrics_file}: no finished epoch in it"
    ]
    with pytest.raises(RunError, match=r"metrics.jsonl: no finished epoch in it; `goe runs` says how far each run is"):
        training_figure(groups(tmp_path, untrained.run_id), pytest.fail)


def test_terms_of_every_method_and_percent(tmp_path: Path) -> None:
    record(make_run(tmp_path, "a", 1), [("epoch", 1, 10, {"loss": 1.0, "loss/ce": 1.0, "val/accuracy": 0.5})])
    record(make_run(tmp_path, "b", 1), [("epoch", 1, 10, {"loss": 3.0, "loss/ce": 1.0, "loss/oe": 2.0, "eta_s": 9.0})])
    figure = training_figure(groups(tmp_path, "a", "b"), pytest.fail)
    titles = ["training loss", "loss term ce", "loss term oe", "validation accuracy %"]
    assert [each.title for each in figure.charts] == titles
    assert [line.name for line in chart(figure, "loss term oe").lines] == ["b"]
    assert chart(figure, "loss term oe").lines[0].place == 1  # looks as in the other charts
    assert chart(figure, "validation accuracy %").lines[0].y == (50,)
    assert figure.title == "Training"


def test_by_step_each_run_for_itself(tmp_path: Path) -> None:
    for seed in (1, 2):
        run = make_run(tmp_path, "a", seed)
        record(run, [("train", 1, seed, {"loss": 3.0}), ("train", 1, 9, {"loss": 2.0})])
        record(run, [("epoch", 1, 10, {"loss": 2.5, "val/loss": 5.0})])
    figure = training_figure(groups(tmp_path, "a"), pytest.fail, by_step=True)
    lines = chart(figure, "training loss").lines
    assert [(line.name, line.x, line.y) for line in lines] == [("a (2 seeds)", (1, 9), (3, 2)), ("", (2, 9), (3, 2))]
    assert [line.x for line in chart(figure, "validation loss").lines] == [(10,), (10,)]  # known once an epoch
    assert {each.x_label for each in figure.charts} == {"step"}


def test_filter_against_dropping_at_random(tmp_path: Path) -> None:
    values = {"filter/rate": 0.1, "filter/threshold": 0.8, "filter/precision": 0.5, "filter/recall": 0.6}
    record(make_run(tmp_path, "goe", 1, method="goe"), [("epoch", 1, 10, {**values, "filter/base-rate": 0.2})])
    record(make_run(tmp_path, "a", 1), [("epoch", 1, 10, {"loss": 1.0})])
    warnings: list[str] = []
    figure = filter_figure(groups(tmp_path, "a", "goe"), warnings.append)
    assert warnings == ["left out: a has no filter"]
    found = {each.title: [(line.name, line.dotted, line.y) for line in each.lines] for each in figure.charts}
    assert found == {
        "outliers dropped %": [("goe", False, (10,))],
        "threshold of the filter": [("goe", False, (0.8,))],
        "precision % (dotted: base rate)": [("", True, (20,)), ("goe", False, (50,))],
        "recall % (dotted: share dropped)": [("", True, (10,)), ("goe", False, (60,))],
    }
    with pytest.raises(RunError, match=r"^a: nothing recorded of a filter; name runs whose method.filter.strategy is"):
        filter_figure(groups(tmp_path, "a"), pytest.fail)


def test_damaged_records_are_counted(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", 1)
    record(run, [("epoch", 1, 10, {"loss": 1.0})])
    with run.metrics_file.open("ab") as file:
        file.write(b"nonsense\n")
    warnings: list[str] = []
    training_figure(groups(tmp_path, "a"), warnings.append)
    assert warnings == [f"{run.metrics_file}: 1 damaged lines left out"]
