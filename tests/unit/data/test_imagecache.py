"""Images of every kind become the pixels that torchvision would make, once."""

import errno
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from goe.core.errors import DataError
from goe.data import imagecache
from goe.data.imagecache import cache_folder, convert
from goe.data.imagelist import ImageList, list_folder

RNG = np.random.default_rng(0)


def save(folder: Path, name: str, width: int = 32, height: int = 32, mode: str = "RGB") -> Path:
    pixels = RNG.integers(256, size=(height, width, 4), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., :3]).convert(mode).save(folder / name)
    return folder / name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, (width, height) in enumerate([(32, 32), (64, 64), (50, 37), (37, 50), (20, 31), (500, 333)]):
        save(tmp_path / "images", f"{number}.png", width, height)
    return tmp_path / "images"


def listed(folder: Path) -> ImageList:
    return list_folder(folder)[0]


def test_sizes_are_torchvisions(folder: Path, tmp_path: Path) -> None:
    wanted = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32)])
    data = convert(listed(folder), 32, tmp_path / "cache").data
    for number, found in enumerate(data):
        with Image.open(folder / f"{number}.png") as image:
            assert np.array_equal(found, np.asarray(wanted(image))), number


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "RGBA", "LA", "PA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    name = "x.tif" if mode in {"CMYK", "LA", "PA"} else "x.png"
    path = save(tmp_path / "images", name, mode=mode)
    data = convert(listed(tmp_path / "images"), 32, tmp_path / "cache").data
    with Image.open(path) as image:
        assert np.array_equal(data[0], np.asarray(image.convert("RGB")))


def test_deep_grey_is_scaled_and_not_cut_off(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    deep = np.linspace(0, 65535, 1024).round().astype(np.uint16).reshape(32, 32)
    Image.fromarray(deep).save(tmp_path / "images" / "x.png")
    data = convert(listed(tmp_path / "images"), 32, tmp_path / "cache").data[0]
    assert np.array_equal(data[..., 0], np.rint(deep / 257))
    assert (data == data[..., :1]).all()


def test_it_is_done_once_and_again_when_a_file_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    real = imagecache.decode
    monkeypatch.setattr(imagecache, "decode", lambda path, side: (decoded.append(path), real(path, side))[1])
    seen: list[tuple[int, int]] = []
    first = convert(listed(folder), 32, tmp_path / "cache", progress=lambda *now: seen.append(now)).data
    assert seen == [(6, 6)]
    assert np.array_equal(convert(listed(folder), 32, tmp_path / "cache").data, first)
    assert len(decoded) == 6
    save(folder, "0.png", 40, 40)
    assert not np.array_equal(convert(listed(folder), 32, tmp_path / "cache").data, first)
    assert len(decoded) == 12


def test_a_cut_array_is_made_again(folder: Path, tmp_path: Path) -> None:
    first = np.array(convert(listed(folder), 32, tmp_path / "cache").data)
    (path,) = (tmp_path / "cache").glob("*.npy")
    path.write_bytes(path.read_bytes()[:1000])
    assert np.array_equal(convert(listed(folder), 32, tmp_path / "cache").data, first)
    path.with_suffix(".json").write_text("{")
    assert np.array_equal(convert(listed(folder), 32, tmp_path / "cache").data, first)


def test_runs_that_start_together_convert_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    real = imagecache._build
    monkeypatch.setattr(imagecache, "_build", lambda *args: (built.append(1), real(*args)))
    barrier = Barrier(4)
    found = []

    def run() -> None:
        barrier.wait()
        found.append(np.array(convert(listed(folder), 32, tmp_path / "cache").data))

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len(found) == 4
    assert all(np.array_equal(each, found[0]) for each in found)


def test_broken_images_are_refused_or_left_out(folder: Path, tmp_path: Path) -> None:
    cut = folder / "5.png"
    cut.write_bytes(cut.read_bytes()[:5000])
    (folder / "2.png").write_text("no image")
    with pytest.raises(DataError) as caught:
        convert(listed(folder), 32, tmp_path / "cache")
    for part in ("2 images can't be read", "2.png: UnidentifiedImageError", "5.png: OSError", "skip-broken = true"):
        assert part in str(caught.value)
    found = convert(listed(folder), 32, tmp_path / "cache", skip_broken=True)
    assert found.kept.tolist() == [0, 1, 3, 4]
    assert [one.split(":")[0] for one in found.broken] == ["2.png", "5.png"]
    with Image.open(folder / "0.png") as image:
        assert np.array_equal(found.data[0], np.asarray(image))
    assert len(found.data) == 4


def test_missing_files_are_named(folder: Path, tmp_path: Path) -> None:
    images = listed(folder)
    (folder / "1.png").unlink()
    with pytest.raises(DataError, match=r"1 of its 6 images are missing under .*: 1.png$"):
        convert(images, 32, tmp_path / "cache")


def test_a_full_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("goe.data.arrayfile.os.fsync", full)
        with pytest.raises(DataError, match=r"cache: no room for 18,432 bytes of converted images; free some, or set"):
            convert(listed(folder), 32, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.part"))
    assert len(convert(listed(folder), 32, tmp_path / "cache").data) == 6


def test_a_cache_that_may_not_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match="set GOE_CACHE to a folder that may be written"):
        convert(listed(folder), 32, tmp_path / "cache")


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOE_CACHE", raising=False)
    assert cache_folder(tmp_path) == tmp_path / ".cache"
    monkeypatch.setattr("goe.data.imagecache.os.access", lambda *_: False)
    assert cache_folder(tmp_path) == Path.home() / ".cache" / "goe"
    monkeypatch.setenv("GOE_CACHE", "/elsewhere")
    assert cache_folder(tmp_path) == Path("/elsewhere")
