import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torchvision.datasets

from goe.core.errors import DataError
from goe.data import cifar


def reference_pixels(count: int, seed: int) -> np.ndarray:
    """What conftest's files hold, as (count, 32, 32, 3)."""
    planes = np.random.default_rng(seed).integers(256, size=(count, 3072), dtype=np.uint8)
    return planes.reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)


def rows(data: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in data}


def test_test_images_labels_and_names(cifar_root: Path) -> None:
    source, names = cifar.test("cifar10", cifar_root)
    assert np.array_equal(source.data, reference_pixels(150, 5))
    assert source.labels()[:6].tolist() == [5, 6, 7, 8, 9, 0]
    assert names == tuple(f"class-{n}" for n in range(10))
    source, names = cifar.test("cifar100", cifar_root)
    assert source.labels().max() == 99
    assert len(names) == 100


def test_training_parts_are_disjoint_and_together_the_training_set(cifar_root: Path) -> None:
    parts = cifar.training("cifar100", cifar_root, with_pool=True)
    assert parts.pool is not None
    assert [len(part) for part in (parts.train, parts.validation, parts.pool)] == [500, 5000, 5000]
    everything = np.concatenate([parts.train.data, parts.validation.data, parts.pool.data])
    assert rows(everything) == rows(reference_pixels(10500, 0))


def test_without_a_pool_its_images_are_trained_on(cifar_root: Path) -> None:
    without = cifar.training("cifar10", cifar_root, with_pool=False)
    with_pool = cifar.training("cifar10", cifar_root, with_pool=True)
    assert without.pool is None
    assert with_pool.pool is not None
    assert len(without.train) == 5500
    assert np.array_equal(without.validation.data, with_pool.validation.data)
    assert rows(without.train.data) == rows(with_pool.train.data) | rows(with_pool.pool.data)


def test_labels_follow_their_images_through_the_split(cifar_root: Path) -> None:
    parts = cifar.training("cifar100", cifar_root, with_pool=False)
    label_of = {image.tobytes(): i % 100 for i, image in enumerate(reference_pixels(10500, 0))}
    for part in (parts.train, parts.validation):
        assert part.labels().tolist() == [label_of[image.tobytes()] for image in part.data]


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
        cifar.training("cifar10", tmp_path, with_pool=False)
    assert str(folder) in str(caught.value)


def test_an_altered_meta_file_is_named(cifar_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    shutil.copytree(cifar_root / folder.name, folder)
    (folder / "meta").write_bytes(b"")
    with pytest.raises(DataError, match=": meta;"):
        cifar.test("cifar100", tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder on the loopback until the test ends; returns the address."""
    with ExitStack() as stack:

        def start(folder: Path) -> str:
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)))
            Thread(target=server.serve_forever).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_fetch_downloads_and_unpacks(
    cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Path], str]
) -> None:
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz", compresslevel=0) as tar:
        tar.add(cifar_root / "cifar-100-python", "cifar-100-python")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "url", f"{serve(tmp_path)}/archive.tar.gz")
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "tgz_md5", None)
    root = tmp_path / "data"
    assert cifar.fetch("cifar100", root) == root / "cifar-100-python"
    assert len(cifar.test("cifar100", root)[0]) == 150


def test_fetch_reports_what_went_wrong(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", (tmp_path / "nowhere.tar.gz").as_uri())
    with pytest.raises(DataError, match="cifar10: could not be fetched into"):
        cifar.fetch("cifar10", tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match='did you mean "cifar10"'):
        cifar.fetch("cifar1", Path())
