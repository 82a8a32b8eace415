"""From a run's evaluation files to the charts: which result is meant, what is drawn, what is said of damage."""

from pathlib import Path

import numpy as np
import pytest
from figureruns import evaluate, make_run

from goe.core.chart import Figure
from goe.core.errors import ConfigError, RunError, UserError
from goe.core.groups import select_groups
from goe.figures.charts import histogram_figure, reliability_figure, risk_coverage_figure, roc_figure
from goe.figures.scores import Evaluated, Wanted, choose_result, read_groups


def read(runs: Path, *names: str, wanted: Wanted | None = None, warnings: list[str] | None = None) -> list[Evaluated]:
    said: list[str] = []
    found = read_groups(select_groups(runs, names), wanted or Wanted(), said.append)
    assert warnings is not None or not said
    if warnings is not None:
        warnings += said
    return found


def names(figure: Figure) -> list[str]:
    return [line.name for line in figure.legend()]


def test_names_are_experiments_runs_or_beginnings_of_ids(tmp_path: Path) -> None:
    for experiment, seed in (("oe", 1), ("oe", 10), ("oe", 2), ("oe-k", 1)):
        make_run(tmp_path, experiment, seed)
    groups = select_groups(tmp_path, ["oe", "oe-k-s1", "oe-s2", "oe"])
    assert [group.label for group in groups] == ["oe", "oe-k-s1", "oe-s2"]
    assert [run.config().seed for run in groups[0].runs] == [1, 2, 10]


def test_experiments_that_changed_under_one_name_are_told_apart(tmp_path: Path) -> None:
    hexes = {make_run(tmp_path, "a", 1, epochs=epochs).config().group for epochs in (3, 4)}
    assert {group.label for group in select_groups(tmp_path, ["a"])} == {f"a ({found})" for found in hexes}


def test_a_name_of_nothing_is_refused(tmp_path: Path) -> None:
    make_run(tmp_path, "baseline", 1)
    with pytest.raises(
        RunError, match=r'^basline: no such run or experiment in .* \(did you mean "baseline"\?\); `goe'
    ):
        select_groups(tmp_path, ["basline"])


def test_roc_of_one_run_has_a_curve_for_each_set(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", 1)
    evaluate(run, ood={"near": (0.7, 0.5, 0.3, 0.1), "far": (0.1, 0.2)}, more_id={"far": (0.15, 0.95)})
    figure = roc_figure(read(tmp_path, "a"))
    # near: 16 pairs, of which 0.6 < 0.7, 0.4 < 0.7 and 0.4 < 0.5 are wrong; far: 12 pairs, 0.15 < 0.2 is wrong
    assert names(figure) == ["chance", "near: AUROC 81.25 %", "far: AUROC 91.67 %"]
    assert figure.title == "ROC of a · ID digits · score msp · checkpoint last · protocol digits"
    near = figure.charts[0].lines[1]
    assert near.x == (0, 0, 0, 25, 25, 50, 50, 75, 100)
    assert near.y == (0, 25, 50, 50, 75, 75, 100, 100, 100)
    assert figure.sources == (f"{run.run_id} last-msp-digits epoch 3 weights {'ab' * 32}",)
    assert names(roc_figure(read(tmp_path, "a"), "far")) == ["chance", "a: AUROC 91.67 %"]


def test_roc_of_several_runs_is_on_one_set(tmp_path: Path) -> None:
    for seed, lowest in ((1, 0.4), (2, 0.05)):
        ood = {"near": (0.7, 0.5, 0.3, 0.1), "far": (0.0,)}
        evaluate(make_run(tmp_path, "a", seed), id_scores=(0.9, 0.8, 0.6, lowest), ood=ood)
    evaluate(make_run(tmp_path, "b", 1), ood={"near": (0.0,), "far": (1.0,)})
    figure = roc_figure(read(tmp_path, "a", "b"))
    # seed 2: 5 of 16 pairs are wrong, 68.75 %; mean 75, standard deviation 6.25 * sqrt(2)
    assert names(figure) == ["chance", "a: AUROC 75.00 ± 8.84 % (2 seeds)", "b: AUROC 100.00 %"]
    assert [line.place for line in figure.charts[0].lines] == [None, 0, 0, 1]
    assert names(roc_figure(read(tmp_path, "a", "b"), "far"))[-1] == "b: AUROC 0.00 %"
    with pytest.raises(
        ConfigError, match=r'^--set: a-s1-.* was not tested on "nera" \(did you mean "near"\?\); choose'
    ):
        roc_figure(read(tmp_path, "a", "b"), "nera")


def test_a_seed_without_result_is_said_to_be_missing(tmp_path: Path) -> None:
    evaluate(make_run(tmp_path, "a", 1))
    missing = make_run(tmp_path, "a", 2)
    warnings: list[str] = []
    figure = roc_figure(read(tmp_path, "a", warnings=warnings), "near")
    assert names(figure)[1] == "a: AUROC 81.25 % (1/2 seeds)"
    (warning,) = warnings
    assert warning.startswith(f"left out: {missing.eval}: no result of checkpoint last; there is nothing;")
    with pytest.raises(RunError, match="no result of checkpoint last"):
        read(tmp_path, missing.run_id)


def test_histograms_of_each_run(tmp_path: Path) -> None:
    for seed in (1, 2):
        evaluate(make_run(tmp_path, "a", seed), id_scores=(1.0, 1.0, 0.5, 1.0), ood={"near": (0.0,), "far": (0.0,)})
    figure = histogram_figure(read(tmp_path, "a"), "near")
    assert [chart.title for chart in figure.charts] == ["a-s1", "a-s2"]
    assert names(figure) == ["ID: digits", "near", "95 % of ID tests"]
    inner, _, threshold = figure.charts[0].lines
    # 50 bins of 0.02: three quarters of ID in the last one
    assert inner.y[-1] == pytest.approx(0.75 / 0.02)
    assert threshold.x == (0.5, 0.5)
    assert names(histogram_figure(read(tmp_path, "a")))[1:3] == ["near", "far"]


def test_risk_coverage_beside_the_best_order(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", 1)
    evaluate(run, correct=(1, 0, 1, 1), id_scores=(0.9, 0.8, 0.7, 0.6))
    figure = risk_coverage_figure(read(tmp_path, "a"))
    # risks 0, 1/2, 1/3, 1/4: AURC 13/48
    assert names(figure) == ["a: AURC 270.83 ‰"]
    best, line = figure.charts[0].lines
    assert best.dotted
    assert best.y == pytest.approx((0, 0, 0, 25))
    assert line.x == (25, 50, 75, 100)
    assert line.y == pytest.approx((0, 50, 100 / 3, 25))


def test_reliability_has_gap_share_and_ece(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", 1)
    evaluate(run, correct=(1, 0, 1, 1), id_scores=(0.9, 0.9, 0.9, 0.5))
    chart = reliability_figure(read(tmp_path, "a")).charts[0]
    # bins (12/15, 13/15] is empty, (13/15, 14/15] holds 3: accuracy 2/3, confidence 0.9; (7/15, 8/15] holds one
    # ECE: (|2/3 - 0.9| * 3 + |1 - 0.5|) / 4
    assert chart.title == "a: ECE 30.00 %"
    _, accuracy, confidence, share = chart.lines
    assert (accuracy.y[26], confidence.y[26], share.y[26]) == pytest.approx((200 / 3, 90, 75))
    assert (accuracy.y[14], confidence.y[14], share.y[14]) == pytest.approx((100, 50, 25))
    assert np.isnan(accuracy.y[24])
    assert confidence.band is not None
    assert [edge[26] for edge in confidence.band] == pytest.approx([200 / 3, 90])


def test_only_a_probability_has_reliability(tmp_path: Path) -> None:
    evaluate(make_run(tmp_path, "a", 1), score="energy")
    with pytest.raises(UserError, match=r"^a-s1-.*: score energy is no probability .*; choose --score msp$"):
        reliability_figure(read(tmp_path, "a"))


def test_which_result_is_meant(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", 1, scores=["energy", "msp"])
    evaluate(run, score="margin")
    assert choose_result(run, Wanted()).score == "margin"  # none of the configured ones is there
    evaluate(run, score="msp")
    assert choose_result(run, Wanted()).score == "msp"
    assert choose_result(run, Wanted(score="margin")).score == "margin"
    evaluate(run, score="msp", protocol="openood")
    with pytest.raises(UserError, match=r"^--protocol: a-s1-.* has msp results of several .*one of digits, openood$"):
        choose_result(run, Wanted())
    assert choose_result(run, Wanted(protocol="openood")).protocol == "openood"
    with pytest.raises(
        RunError, match=r"no result of checkpoint best; there is only last-margin-digits, last-msp-digi"
    ):
        choose_result(run, Wanted(checkpoint="best"))
    with pytest.raises(RunError, match=r"`goe eval a-s1-\w+ --scores energy`$"):
        choose_result(run, Wanted(score="energy"))
    with pytest.raises(ConfigError, match=r'^--score: "enrgy" is unknown \(did you mean "energy"\?\); known: msp,'):
        read(tmp_path, "a", wanted=Wanted(score="enrgy"))


def test_what_differs_is_in_the_labels_and_what_cannot_compare_is_refused(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, "a", 1), make_run(tmp_path, "b", 1, scores=["energy"])
    evaluate(first)
    evaluate(second, score="energy")
    figure = roc_figure(read(tmp_path, "a", "b"))
    assert figure.title == "ROC on near · ID digits · checkpoint last · protocol digits"
    assert names(figure)[1:] == ["a [msp]: AUROC 81.25 %", "b [energy]: AUROC 81.25 %"]
    third = make_run(tmp_path, "c", 1)
    evaluate(third, protocol="openood")
    with pytest.raises(UserError, match=r"^c-s1-.*: protocol openood, but digits of a-s1-.*--protocol$"):
        read(tmp_path, "a", "c")


def rewrite(path: Path, **changes: np.ndarray) -> None:
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array.size})


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"score/near": np.array([0.5, np.nan])}, r"1 of 2 values of score/near are NaN or infinite"),
        ({"score/near": np.zeros((2, 2))}, r"score/near has shape \(2, 2\)"),
        ({"score/near": np.zeros(0)}, r"there is no score/near in it"),
        ({"correct": np.zeros(0)}, r"there is no correct in it"),
        ({"correct": np.zeros(3, bool)}, r"correct is bool \(3,\), not bool \(4,\)"),
        ({"score/digits": np.array(["x"])}, r"could not convert"),
    ],
)
def test_damaged_scores_are_named_with_the_remedy(tmp_path: Path, changes: dict[str, np.ndarray], finding: str) -> None:
    path = evaluate(make_run(tmp_path, "a", 1))
    rewrite(path, **changes)
    with pytest.raises(
        RunError, match=rf"last-msp-digits.npz: altered: {finding}.*; `goe eval a-s1-.* --force` writes"
    ):
        read(tmp_path, "a")


def test_cut_and_missing_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    path = evaluate(make_run(tmp_path, "a", 1))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RunError, match=r"last-msp-digits.npz: cut or altered: .*; `goe eval a-s1-.* --force` writes"):
        read(tmp_path, "a")
    path.unlink()
    with pytest.raises(RunError, match=r"last-msp-digits.npz: not there; `goe eval a-s1-.* --force` writes it anew$"):
        read(tmp_path, "a")
    path.with_suffix(".json").write_text("{")
    with pytest.raises(RunError, match=r"last-msp-digits.json: cut or altered; `goe eval a-s1-"):
        read(tmp_path, "a")
