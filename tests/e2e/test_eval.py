"""`goe eval` under further scores and on further sets, and `goe score` of image files, as typed."""

import json

import msgspec
import numpy as np
from lab import Lab
from PIL import Image

from goe.core.evaljob import ScoredImage
from goe.core.records import EvalResult
from goe.core.rundir import find_runs, read_json

PARTS = ["digits-test", "digits-8-9", "flower", "blobs", "gaussian-noise", "digits-validation", "digits-train"]


def test_further_scores_from_one_pass(finished: Lab) -> None:
    first = finished.goe("eval", "base-s1", "--scores", "msp,energy,knn,odin")
    assert first.returncode == 0, first.stderr
    (run, _) = find_runs(finished.runs)
    said = [line.removeprefix(f"{run.run_id}: ") for line in first.stderr.splitlines()]
    assert said[: len(PARTS)] == PARTS
    assert said[len(PARTS) :] == [f"odin: {name}" for name in ("digits", *PARTS[1:5])]
    again = finished.goe("eval", "base-s1", "--scores", "energy,mahalanobis")
    assert (again.returncode, again.stderr) == (0, "")
    names = {path.stem for path in run.eval.glob("*.json")}
    assert names == {f"best-{score}-digits" for score in ("msp", "energy", "knn", "odin", "mahalanobis")}
    result = read_json(run.eval / "best-knn-digits.json", EvalResult)
    assert result is not None
    assert result.score_code.startswith("pytorch-ood ")
    assert result.classification["ece"] is None
    assert result.detection["flower"]["ccr_1e1"] is not None


def test_every_known_set_that_is_there(finished: Lab) -> None:
    done = finished.goe("eval", "base-s1", "--ood", "all", "--no-cache")
    assert done.returncode == 0, done.stderr
    (run, _) = find_runs(finished.runs)
    result = read_json(run.eval / "best-msp-all.json", EvalResult)
    assert result is not None
    assert list(result.detection) == [*PARTS[1:5], "uniform-noise", "rademacher-noise"]
    assert "without svhn: " in done.stderr
    assert not (run.eval / "outputs").exists()


def test_what_cannot_be_evaluated_is_said(finished: Lab) -> None:
    unknown = finished.goe("eval", "--scores", "mps,knm")
    assert unknown.returncode == 2
    assert '--scores: "mps" is unknown (did you mean "msp"?); known: msp, max-logit' in unknown.stderr
    assert '--scores: "knm" is unknown' in unknown.stderr
    missing = finished.goe("eval", "base-s1", "--checkpoint", "epoch-9")
    assert missing.returncode == 2
    assert "epoch-009.json: there is no such checkpoint; `goe checkpoints base-s1-" in missing.stderr
    assert missing.stdout == ""
    (run, other) = find_runs(finished.runs)
    index = json.loads((run.checkpoints / "best.json").read_text(encoding="utf-8"))
    weights = run.checkpoints / index["weights"]
    weights.write_bytes(weights.read_bytes()[:-9])
    damaged = finished.goe("eval", "--scores", "gen")
    assert damaged.returncode == 2
    assert f"error: {run.run_id}: {weights}: cut or altered" in damaged.stderr
    assert (other.eval / "best-gen-digits.json").exists()
    assert "Traceback" not in unknown.stderr + missing.stderr + damaged.stderr


def test_image_files_are_scored(finished: Lab) -> None:
    folder = finished.folder / "images"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    done = finished.goe("score", "base-s1", "images", "--score", "energy", "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    image = msgspec.json.decode(line, type=ScoredImage)
    assert image.value is not None
    assert image.threshold is not None
    assert (image.path, image.score, image.accepted) == ("images/noise.png", "energy", image.value >= image.threshold)

    (folder / "broken.jpg").write_bytes(b"\xff\xd8 cut")
    partly = finished.goe("score", "base-s1", "images")
    assert partly.returncode == 2
    broken, whole = partly.stdout.splitlines()
    assert broken.startswith("error  images/broken.jpg: UnidentifiedImageError")
    assert whole.split()[1] == "images/noise.png"
    wrong = finished.goe("score", "base-s1", "images", "--score", "msp,knn")
    assert (wrong.returncode, wrong.stderr.startswith('error: --score: "msp,knn" is unknown')) == (2, True)
    absent = finished.goe("score", "base-s1", "nowhere.png")
    assert (absent.returncode, absent.stderr) == (2, "error: nowhere.png: no such file or folder\n")
