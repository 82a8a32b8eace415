"""Other conventions, worked out from raw scores on disk; values by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluated import config, evaluated, measured

from goe.conventions import under
from goe.core.layout import Conventions
from goe.core.results import AVERAGE, Measured, aggregate, gather
from goe.core.rundir import RunDir

# ID 3, 2, 2, 1, of which 1 is answered wrong; OOD 2, 0. Of 8 pairs 5 are in order and 2 are ties.
RAW = {
    "correct": np.array([True, True, True, False]),
    "score/digits": np.array([3.0, 2.0, 2.0, 1.0]),
    "score/near": np.array([2.0, 0.0]),
}


def run_of(folder: Path, seed: int = 1, **raw: Any) -> RunDir:
    return evaluated(folder, measured(config(seed=seed), {"near": 0.1}, score="energy"), **(raw or RAW))


def values(run: RunDir, positive: Any = "id", ties: Any = "mid-rank") -> dict[str, float | None]:
    (found,), problems = under(gather([run])[0], Conventions(positive, ties))
    assert problems == []
    return found.result.detection["near"]


def test_ties_and_the_positive_class(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert values(run)["auroc"] == 6 / 8
    assert values(run, ties="against-id")["auroc"] == 5 / 8
    assert values(run)["fpr95"] == 1 / 2  # all ID accepted down to 1, and with it the OOD at 2
    assert values(run, positive="ood")["fpr95"] == 3 / 4  # both OOD rejected up to 2, and with them three ID
    assert values(run, positive="ood")["auroc"] == 6 / 8


def test_correct_answers_count_for_ccr(tmp_path: Path) -> None:
    assert values(run_of(tmp_path))["ccr_1e4"] == 1 / 4  # only the one at 3 is above the highest OOD


def test_more_id_images_of_a_set_join_the_id_side(tmp_path: Path) -> None:
    more = {"score/near/id": np.array([5.0, 5.0])}
    found = values(run_of(tmp_path / "a", **RAW, **more))
    assert found["auroc"] == (6 + 4) / 12
    assert found["ccr_1e4"] is None  # whether they are answered right is not known
    found = values(run_of(tmp_path / "b", **RAW, **more, **{"correct/near/id": np.array([True, False])}))
    assert found["ccr_1e4"] == 2 / 6


def test_classification_is_worked_out_anew(tmp_path: Path) -> None:
    (found,), _ = under(gather([run_of(tmp_path)])[0], Conventions(ties="against-id"))
    classification = found.result.classification
    assert (classification["accuracy"], classification["auroc"]) == (3 / 4, 1.0)
    assert classification["aurc"] == pytest.approx(1 / 16)  # one error, last of four
    assert classification["ece"] is None  # energy is no probability


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def foreign(path: Path) -> None:
    np.savez_compressed(path, **{name: array for name, array in RAW.items() if name != "score/near"})


def endless(path: Path) -> None:
    np.savez_compressed(path, **{**RAW, "score/near": np.array([np.nan])})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "raw scores are missing"),
        (cut, "cut or altered"),
        (foreign, "lacks score/near, which the result beside it has"),
        (endless, "NaN or infinite"),
    ],
)
def test_a_damaged_file_is_named_and_its_seed_missing(harm: Any, said: str, tmp_path: Path) -> None:
    runs = [run_of(tmp_path, seed) for seed in (1, 2)]
    file = runs[0].eval / "best-energy-digits.npz"
    harm(file)
    found, problems = under(gather(runs)[0], Conventions("ood"))
    assert len(problems) == 1
    assert problems[0].startswith(f"{file}: ")
    assert said in problems[0]
    assert problems[0].endswith(f"`goe eval {runs[0].run_id} --checkpoint best --scores energy --force` writes it anew")
    rows = {(row.test_set, row.metric): row for row in aggregate(found, [])}
    for place in (("near", "auroc"), (AVERAGE, "auroc"), ("digits", "accuracy")):
        assert (rows[place].n, rows[place].expected, [seed for seed, _ in rows[place].by_seed]) == (1, 2, [2])


def test_all_that_is_damaged_still_has_its_rows(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    (run.eval / "best-energy-digits.npz").unlink()
    found, _ = under(gather([run])[0], Conventions("ood"))
    rows = {(row.test_set, row.metric): row for row in aggregate(found, [])}
    assert (rows["near", "auroc"].mean, rows["near", "auroc"].n, rows["near", "auroc"].expected) == (None, 0, 1)


def test_a_result_that_no_file_is_known_of(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    (item,) = gather([run])[0]
    _, problems = under([Measured(item.config, item.result)], Conventions("ood"))
    remedy = f"`goe eval {run.run_id} --checkpoint best --scores energy --force` writes it anew"
    assert problems == [f"{run.run_id}: raw scores of energy on digits are missing; {remedy}"]
