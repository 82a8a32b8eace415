import shutil
from pathlib import Path

import numpy as np
import pytest

from goe.core.errors import DataError
from goe.data import cifar


def reference_pixels(count: int, seed: int) -> np.ndarray:
    """What conftest's files hold, as (count, 32, 32, 3)."""
    planes = np.random.default_rng(seed).integers(256, size=(count, 3072), dtype=np.uint8)
    return planes.reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)


def test_test_images_labels_and_names(cifar_root: Path) -> None:
    source, names = cifar.test("cifar10", cifar_root)
    assert np.array_equal(source.data, reference_pixels(150, 5))
    assert source.labels()[:6].tolist() == [5, 6, 7, 8, 9, 0]
    assert names == tuple(f"class-{n}" for n in range(10))
    source, names = cifar.test("cifar100", cifar_root)
    assert source.labels().max() == 99
    assert len(names) == 100


def test_training_images_and_labels(cifar_root: Path) -> None:
    source, names = cifar.training("cifar100", cifar_root)
    assert np.array_equal(source.data, reference_pixels(10500, 0))
    assert source.labels().tolist() == [i % 100 for i in range(10500)]
    assert len(names) == 100


def test_a_missing_folder_names_itself_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        cifar.test("cifar100", tmp_path)
    assert str(tmp_path / "cifar-100-python") in str(caught.value)
    assert "goe data fetch cifar100" in str(caught.value)
    assert not cifar.present("cifar100", tmp_path)


def test_missing_and_altered_files_are_named(cifar_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    shutil.copytree(cifar_root / folder.name, folder)
    (folder / "data_batch_3").unlink()
    altered = bytearray((folder / "test_batch").read_bytes())
    altered[5000] ^= 1
    (folder / "test_batch").write_bytes(altered)
    with pytest.raises(DataError, match="data_batch_3, test_batch;") as caught:
        cifar.training("cifar10", tmp_path)
    assert str(folder) in str(caught.value)


def test_an_altered_meta_file_is_named(cifar_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    shutil.copytree(cifar_root / folder.name, folder)
    (folder / "meta").write_bytes(b"")
    with pytest.raises(DataError, match=": meta;"):
        cifar.test("cifar100", tmp_path)
