import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goe.core.config import RunConfig
from goe.core.errors import DataError
from goe.data import catalog
from goe.data.catalog import EvaluationSets, TrainingSets, benchmark_of, load_evaluation, load_training
from goe.data.files import ImageFiles
from goe.data.source import Source

MakeConfig = Callable[..., RunConfig]
RANDOM_300K_FILE = "300K_random_images.npy"
NOWHERE = Path("/nonexistent")


def rows(source: Source) -> set[bytes]:
    return {image.tobytes() for image in source.images(np.arange(len(source)))}


@pytest.fixture(scope="module")
def training(make_config: MakeConfig) -> TrainingSets:
    return load_training(make_config(outliers={"source": "china", "contamination": 0.1, "size": 500}), NOWHERE)


@pytest.fixture(scope="module")
def evaluation(make_config: MakeConfig) -> EvaluationSets:
    return load_evaluation(make_config(), NOWHERE)


def test_digits_are_trained_on_without_any_download(training: TrainingSets) -> None:
    benchmark = training.benchmark
    assert (benchmark.name, benchmark.protocol, benchmark.num_classes) == ("digits", "digits", 8)
    assert benchmark.class_names == tuple("01234567")
    assert (len(training.train), len(training.validation)) == (800, 150)


def test_digits_outliers_are_contaminated_with_images_of_no_other_split(
    training: TrainingSets, evaluation: EvaluationSets
) -> None:
    assert training.outliers is not None
    source, is_id = training.outliers.source, training.outliers.is_id
    assert is_id is not None
    assert (len(source), is_id.sum()) == (500, 50)
    digits = source.images(np.flatnonzero(is_id))
    assert (digits == digits[..., :1]).all()  # grey, as no patch of a colour photograph
    patches = source.images(np.flatnonzero(~is_id))
    assert not (patches == patches[..., :1]).all(axis=(1, 2, 3)).any()
    used = {image.tobytes() for image in digits}
    assert len(used) == 50
    assert used.isdisjoint(rows(training.train) | rows(training.validation) | rows(evaluation.test))


def test_the_default_outlier_stream_has_4096_images_with_410_digits(make_config: MakeConfig) -> None:
    outliers = load_training(make_config(), NOWHERE).outliers
    assert outliers is not None
    assert outliers.is_id is not None
    assert (len(outliers.source), outliers.is_id.sum()) == (4096, 410)


def test_the_seed_changes_no_set(make_config: MakeConfig, training: TrainingSets) -> None:
    outliers = {"source": "china", "contamination": 0.1, "size": 500}
    other = load_training(make_config(seed=7, outliers=outliers), NOWHERE)
    assert training.outliers is not None
    assert other.outliers is not None
    for mine, theirs in ((training.train, other.train), (training.outliers.source, other.outliers.source)):
        index = np.arange(len(mine))
        assert np.array_equal(mine.images(index), theirs.images(index))


def test_a_baseline_has_no_outliers(make_config: MakeConfig) -> None:
    assert load_training(make_config(method="baseline"), NOWHERE).outliers is None


def test_digits_ood_sets_in_order(evaluation: EvaluationSets) -> None:
    assert [(ood.kind, ood.name, len(ood.images)) for ood in evaluation.ood] == [
        ("near", "digits-8-9", 354),
        ("far", "flower", 1000),
        ("synthetic", "blobs", 1000),
        ("synthetic", "gaussian-noise", 1000),
    ]
    assert all((ood.images.labels() == -1).all() for ood in evaluation.ood)
    assert len(evaluation.test) == 300
    assert evaluation.missing == {}


def test_train_validation_and_test_are_disjoint(training: TrainingSets, evaluation: EvaluationSets) -> None:
    splits = [rows(source) for source in (training.train, training.validation, evaluation.test)]
    assert len(set.union(*splits)) == 800 + 150 + 300


def test_cifar_without_contamination(make_config: MakeConfig, cifar_root: Path) -> None:
    sets = load_training(make_config(dataset="cifar10", method="baseline"), cifar_root)
    assert (len(sets.train), len(sets.validation), sets.benchmark.num_classes) == (5500, 5000, 10)
    assert sets.benchmark.protocol == "default"
    assert sets.benchmark.mean == pytest.approx((0.4914, 0.4824, 0.4467), abs=1e-4)


def test_cifar_with_contaminated_outliers(make_config: MakeConfig, cifar_root: Path, tmp_path: Path) -> None:
    for name in ("cifar-10-batches-py", "cifar-100-python"):
        (tmp_path / name).symlink_to(cifar_root / name)
    np.save(tmp_path / RANDOM_300K_FILE, np.full((200, 32, 32, 3), 9, dtype=np.uint8))
    sets = load_training(make_config(dataset="cifar100", outliers={"contamination": 0.25}), tmp_path)
    assert sets.outliers is not None
    assert sets.outliers.is_id is not None
    assert len(sets.train) == 500
    images = sets.outliers.source.images(np.arange(200))
    assert np.array_equal((images != 9).any(axis=(1, 2, 3)), sets.outliers.is_id)
    assert sets.outliers.is_id.sum() == 50
    used = {image.tobytes() for image in images[sets.outliers.is_id]}
    assert used.isdisjoint(rows(sets.train) | rows(sets.validation))


def test_every_method_trains_on_the_same_cifar_images(make_config: MakeConfig, cifar_root: Path) -> None:
    config = make_config(dataset="cifar10", method="baseline", outliers={"contamination": 0.1})
    assert len(load_training(config, cifar_root).train) == 500


def test_missing_outliers_are_an_error(make_config: MakeConfig, cifar_root: Path) -> None:
    with pytest.raises(DataError, match="random-300k"):
        load_training(make_config(dataset="cifar10"), cifar_root)


def test_the_truth_about_clean_300k_is_unknown(make_config: MakeConfig, tmp_path: Path) -> None:
    np.save(tmp_path / RANDOM_300K_FILE, np.zeros((8, 32, 32, 3), dtype=np.uint8))
    config = make_config(outliers={"source": "random-300k", "contamination": 0.0})
    outliers = load_training(config, tmp_path).outliers
    assert outliers is not None
    assert outliers.is_id is None


def test_cifar_ood_sets(make_config: MakeConfig, cifar_root: Path) -> None:
    sets = load_evaluation(make_config(dataset="cifar10"), cifar_root)
    assert [(ood.kind, ood.name, len(ood.images)) for ood in sets.ood] == [
        ("near", "cifar100", 150),
        ("synthetic", "blobs", 10_000),
        ("synthetic", "gaussian-noise", 10_000),
    ]
    assert all((ood.images.labels() == -1).all() for ood in sets.ood)
    assert (sets.test.name, len(sets.test), sets.missing) == ("cifar10", 150, {})


def test_a_missing_ood_set_is_noted(
    make_config: MakeConfig, cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "SYNTHETIC_IMAGES", 10)  # 10,000 take seconds
    (tmp_path / "cifar-100-python").symlink_to(cifar_root / "cifar-100-python")
    sets = load_evaluation(make_config(dataset="cifar100"), tmp_path)
    assert [ood.name for ood in sets.ood] == ["blobs", "gaussian-noise"]
    assert list(sets.missing) == ["cifar10"]
    assert "goe data fetch cifar10" in sets.missing["cifar10"]


def test_the_benchmark_alone_needs_no_cifar(make_config: MakeConfig, cifar_root: Path) -> None:
    """Only the class names differ from the files', which are made up here."""
    for name, first, last in (("cifar10", "airplane", "truck"), ("cifar100", "apple", "worm")):
        config = make_config(dataset=name, ood=["svhn"])
        found = benchmark_of(config, ImageFiles(NOWHERE))
        assert (found.class_names[0], found.class_names[-1]) == (first, last)
        assert len(set(found.class_names)) == found.num_classes == int(name.removeprefix("cifar"))
        loaded = load_training(make_config(dataset=name, method="baseline"), cifar_root).benchmark
        assert (found.mean, found.std) == (loaded.mean, loaded.std)
        assert found.protocol.startswith("own-")


def test_the_benchmark_alone_is_that_of_evaluation(make_config: MakeConfig, tmp_path: Path) -> None:
    for part in ("train", "test"):
        for shade, name in ((100, "cat"), (200, "dog")):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (40, 32), (shade, 0, 255)).save(tmp_path / part / name / "1.png")
    config = make_config(dataset="pets", id={"train": "train", "test": "test"}, ood=["uniform-noise"])
    found = benchmark_of(config, ImageFiles(tmp_path))
    assert found == load_evaluation(config, tmp_path).benchmark
    assert found.class_names == ("cat", "dog")
    assert found.mean == pytest.approx((150 / 255, 0.0, 1.0))
    assert found.std == pytest.approx((50 / 255, 1 / 255, 1 / 255))
    shutil.rmtree(tmp_path / "test")
    assert benchmark_of(config, ImageFiles(tmp_path)) == found
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(DataError, match="train: not found"):
        benchmark_of(config, ImageFiles(tmp_path))
