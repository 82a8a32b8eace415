"""Evaluating a checkpoint: what is written, what is left alone, what fails alone; and image files scored with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.optim import SGD

from goe import checkpoint
from goe.core.config import RunConfig, Tests, complete
from goe.core.errors import CheckpointError, UserError
from goe.core.evaljob import EvalProgress, ScoredImage, ScoreRequest
from goe.core.records import EVAL_VERSION, CheckpointIndex, EvalResult
from goe.core.results import read_results
from goe.core.rundir import RunDir, read_json
from goe.core.thresholds import read_thresholds
from goe.data.builtin import digit_splits
from goe.evaluate import evaluate
from goe.methods.baseline import Baseline
from goe.models import build_model
from goe.predicting import score_images

SETS = ["digits-8-9", "flower", "blobs", "gaussian-noise"]


def config(**keys: Any) -> RunConfig:
    raw = {"experiment": "x", "seed": 3, "method": "baseline", **keys}
    found = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert found is not None
    return found


def save(run: RunDir, seed: int, epoch: int = 1, name: str = "last") -> None:
    """A checkpoint of random weights."""
    torch.manual_seed(seed)
    chosen = run.config()
    net = build_model(chosen.model, num_classes=8, dropout=0.0)
    optimiser = SGD(net.parameters(), lr=0.1)
    kinds: dict[str, Any] = {"net": net, "method": Baseline(), "optimiser": optimiser}
    checkpoint.save(run, (name,), epoch=epoch, step=epoch, values={"filter/rate": 0.1}, best_accuracy=0.5, **kinds)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run on digits with a checkpoint of random weights."""
    found = RunDir.create(tmp_path, config())
    save(found, seed=0)
    return found


def evaluated(run: RunDir, *scores: str, said: list[EvalProgress] | None = None, **options: Any) -> list[EvalResult]:
    progress = (lambda _: None) if said is None else said.append
    done = evaluate(run, checkpoint_name="last", scores=scores, root=run.path, progress=progress, **options)
    assert not done.problems
    results = [read_json(path, EvalResult) for path in done.paths]
    return [result for result in results if result is not None]


def test_a_result_says_where_every_number_comes_from(run: RunDir) -> None:
    (result,) = evaluated(run, "msp")
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    assert (result.version, result.run_id, result.experiment, result.seed) == (EVAL_VERSION, run.run_id, "x", 3)
    assert (result.method, result.model, result.outliers, result.outliers_without_id) == (
        "baseline",
        "wrn-10-1",
        "",
        None,
    )
    assert (result.checkpoint, result.checkpoint_rule, result.epoch) == ("last", "last epoch", 1)
    assert result.weights_sha256 == index.weights_sha256
    assert (result.score, result.score_code, result.protocol) == ("msp", "goe.scores.msp", "digits")
    assert (result.positive, result.ties) == ("id", "mid-rank")
    assert list(result.detection) == SETS
    assert result.sizes == {"digits": 300, "digits-8-9": 354, "flower": 1000, "blobs": 1000, "gaussian-noise": 1000}
    assert list(result.digests) == ["digits", *SETS]
    assert result.filter == {"rate": 0.1}
    threshold = read_thresholds(run, index)["msp"]
    assert (threshold.value, threshold.share, threshold.images) == (result.threshold, 0.95, 150)


def test_raw_scores_repeat_the_numbers(run: RunDir) -> None:
    (result,) = evaluated(run, "energy")
    with np.load(run.eval / "last-energy-digits.npz") as raw:
        assert raw["correct"].mean() == result.classification["accuracy"]
        assert {name: len(raw[f"score/{name}"]) for name in result.sizes} == result.sizes
        id_scores, ood_scores = raw["score/digits"], raw["score/flower"]
    won = (id_scores[:, None] > ood_scores).mean() + (id_scores[:, None] == ood_scores).mean() / 2
    assert result.detection["flower"]["auroc"] == pytest.approx(won)


def test_calibration_is_only_of_probabilities(run: RunDir) -> None:
    msp, margin = evaluated(run, "msp", "margin")
    assert msp.classification["ece"] is not None
    assert margin.classification["ece"] is None


def test_what_is_there_stays_and_what_changed_is_done_again(run: RunDir) -> None:
    (first,) = evaluated(run, "msp")
    said: list[EvalProgress] = []
    (same,) = evaluated(run, "msp", said=said)
    assert same == first
    assert not said
    (anew,) = evaluated(run, "msp", force=True)
    assert anew.created > first.created
    save(run, seed=1)
    (other,) = evaluated(run, "msp")
    assert other.weights_sha256 != first.weights_sha256
    (run.eval / "last-msp-digits.json").write_bytes(b'{"run_id": "x"')
    assert evaluated(run, "msp")[0].classification == other.classification


def test_a_second_score_needs_no_pass_through_the_network(run: RunDir) -> None:
    said: list[EvalProgress] = []
    evaluated(run, "msp", said=said, keep_outputs=True)
    passes = [now.part for now in said if now.done == now.total]
    assert passes == ["digits-test", *SETS, "digits-validation"]
    said.clear()
    evaluated(run, "energy", "knn", said=said, keep_outputs=True)
    assert [now.part for now in said if now.done == now.total] == ["digits-train"]
    files = [path.name.rpartition("-")[0] for path in (run.eval / "outputs").rglob("*.safetensors")]
    assert sorted(files) == sorted([*passes, "digits-train"])


def test_an_evaluation_that_was_killed_goes_on_after_its_last_whole_set(run: RunDir) -> None:
    said: list[str] = []

    def kill(now: EvalProgress) -> None:
        said.append(now.part)
        if now.part == "flower":
            raise KeyboardInterrupt

    options: Any = {"checkpoint_name": "last", "scores": ["msp"], "root": run.path, "keep_outputs": True}
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, progress=kill, **options)
    assert said == ["digits-test", "digits-8-9", "flower"]
    again: list[EvalProgress] = []
    evaluate(run, progress=again.append, **options)
    assert [now.part for now in again if now.done == now.total] == [*SETS[1:], "digits-validation"]


def test_results_of_weights_that_are_gone_are_no_results(run: RunDir) -> None:
    """Else a table would show two trainings under one name."""
    evaluated(run, "msp", "energy")
    save(run, seed=1, epoch=2)
    evaluated(run, "msp")
    results, problems = read_results(run)
    assert [(result.score, result.epoch) for result in results] == [("msp", 2)]
    (problem,) = problems
    assert problem.startswith(f"{run.eval / 'last-energy-digits.json'}: of weights that checkpoint last no longer has")
    assert f"`goe eval {run.run_id} --checkpoint last --scores energy --force`" in problem


def test_lost_raw_scores_are_written_anew(run: RunDir) -> None:
    evaluated(run, "msp")
    raw = run.eval / "last-msp-digits.npz"
    raw.unlink()
    evaluated(run, "msp")
    assert raw.exists()


def test_a_lost_threshold_is_found_again(run: RunDir) -> None:
    (first,) = evaluated(run, "msp")
    (file,) = run.checkpoints.glob("*.thresholds.json")
    file.unlink()
    assert evaluated(run, "msp") == [first]
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    assert read_thresholds(run, index)["msp"].value == first.threshold


def test_one_score_that_fails_does_not_keep_the_others(run: RunDir) -> None:
    """A network of random weights calls nothing a 0, so SHE has no pattern of it."""
    done = evaluate(run, checkpoint_name="last", scores=["she", "msp"], root=run.path)
    assert [path.name for path in done.paths] == ["last-msp-digits.json"]
    (problem,) = done.problems
    assert problem.startswith("she: can't be fitted on the training images: No correct predictions for class")


def test_all_sets_are_the_usual_ones_and_whatever_else_is_there(run: RunDir) -> None:
    said: list[EvalProgress] = []
    (result,) = evaluated(run, "msp", tests=Tests(ood=("all",)), said=said)
    assert list(result.detection) == [*SETS, "uniform-noise", "rademacher-noise"]
    assert result.protocol == "all"
    notes = [now.note for now in said if now.note]
    assert any(note.startswith("without svhn: ") and "goe data fetch svhn" in note for note in notes)


def test_other_checkpoints_and_missing_ones(run: RunDir) -> None:
    save(run, seed=5, epoch=4, name="epoch-004")
    done = evaluate(run, checkpoint_name="epoch-004", scores=["msp"], root=run.path)
    result = read_json(done.paths[0], EvalResult)
    assert result is not None
    assert (result.checkpoint, result.checkpoint_rule, result.epoch) == ("epoch-004", "chosen by epoch", 4)
    with pytest.raises(
        CheckpointError, match=r"epoch-009.json: there is no such checkpoint \(did you mean \"epoch-004\"\?\); `goe"
    ):
        evaluate(run, checkpoint_name="epoch-009", scores=["msp"], root=run.path)


def test_thresholds_go_with_their_weights(run: RunDir) -> None:
    evaluated(run, "msp")
    assert [path.name for path in run.checkpoints.glob("*.thresholds.json")] == ["epoch-001.thresholds.json"]
    save(run, seed=1, epoch=2)
    assert not list(run.checkpoints.glob("*.thresholds.json"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three digits as files of their own size and kind, one grey, and one file that is no image."""
    found = tmp_path / "images"
    (found / "more").mkdir(parents=True)
    test = digit_splits().test
    for place in range(3):
        Image.fromarray(test.images(np.array([place]))[0]).save(found / f"{place}.png")
    Image.fromarray(test.images(np.array([3]))[0]).convert("L").resize((80, 64)).save(found / "more" / "grey.jpg")
    (found / "broken.png").write_bytes(b"no image")
    return found


def scored(run: RunDir, *paths: Path, **request: str) -> Iterator[ScoredImage]:
    wanted = ScoreRequest(paths=tuple(map(str, paths)), **request)
    return score_images(run, wanted, run.path, lambda _: None)


def test_image_files_get_the_test_sets_own_scores(run: RunDir, folder: Path) -> None:
    (result,) = evaluated(run, "energy")
    with np.load(run.eval / "last-energy-digits.npz") as raw:
        expected = raw["score/digits"][:3]
    found = list(scored(run, folder / "0.png", folder / "1.png", folder / "2.png", score="energy"))
    assert [image.value for image in found] == pytest.approx(expected.tolist(), rel=1e-5)
    assert [image.accepted for image in found] == [value >= result.threshold for value in expected]
    assert all(image.threshold == result.threshold and image.class_name == str(image.label) for image in found)


def test_folders_broken_files_and_grey_ones(run: RunDir, folder: Path) -> None:
    found = list(scored(run, folder))
    assert [Path(image.path).name for image in found] == ["0.png", "1.png", "2.png", "broken.png", "grey.jpg"]
    assert [image.problem is None for image in found] == [True, True, True, False, True]
    assert found[3].value is None
    assert found[3].problem is not None
    assert "UnidentifiedImageError" in found[3].problem
    assert all(image.score == "msp" and image.checkpoint == "last" for image in found)


def test_scores_that_need_the_images_themselves(run: RunDir, folder: Path) -> None:
    (image,) = scored(run, folder / "0.png", score="odin")
    assert image.value is not None
    assert 1 / 8 <= image.value < 0.13  # at temperature 1000 nearly uniform


def test_a_folder_without_images_is_an_error(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: holds no image; known are \.bmp"):
        list(scored(run, tmp_path / "empty"))


def test_points_are_no_images(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, config(dataset="spiral"))
    with pytest.raises(UserError, match="takes points of the plane"):
        list(scored(run, tmp_path))
