"""The data root: what is there, fetching and unpacking, and checksums."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST
from typer.testing import CliRunner
from webserver import Behaviour, serving

import cli
from goe.core.dataspecs import DATASETS, OOD_SETS, Outliers
from goe.core.errors import DataError
from goe.data import store
from goe.data.registry import ALL, BY_NAME, DataSet, Download
from goe.data.store import describe, fetch, find, look
from goe.data.synthetic import SETS
from goe.data.verify import Verdict, verify

# Taken when this module is read, before other tests have torchvision expect their own small files.
PUBLISHED = {
    name: (
        kind.url,
        kind.tgz_md5,
        dict([*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]),
    )
    for name, kind in (("cifar10", CIFAR10), ("cifar100", CIFAR100))
}
FILES = {"set/a/1.png": b"one", "set/b/2.png": b"two two"}


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def entry_for(url: str, content: bytes, *, unpack: bool = True) -> DataSet:
    download = Download(url, "set.bin", hashlib.md5(content).hexdigest(), len(content))
    return DataSet("toy", "A toy", ("ood",), "folder", "set" if unpack else "set.bin", download=download, unpack=unpack)


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_an_archive_is_fetched_unpacked_and_verified(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    content = pack(FILES)
    root = tmp_path / "data"
    with serving(Behaviour(content)) as url:
        entry = entry_for(url, content)
        assert look(entry, root).state == "absent"
        assert fetch(entry, root) == root / "set"
    assert {str(path.relative_to(root)) for path in (root / "set").rglob("*.png")} == FILES.keys()
    assert not (root / "set.bin").exists()
    assert (look(entry, root).state, look(entry, root).size) == ("present", 10)
    assert verify(entry, root) == Verdict()
    (root / "set/a/1.png").write_bytes(b"One")
    (root / "set/b/2.png").unlink()
    altered, absent, remedy = verify(entry, root).faults
    assert altered.startswith(f"{root / 'set/a/1.png'}: md5 ")
    assert absent == f"{root / 'set/b/2.png'}: missing"
    assert remedy == f"{root / 'set'}: delete the folder and fetch it again with `goe data fetch toy`"
    assert look(entry, root).size == 10  # as unpacked: no file is looked at
    assert fetch(entry, root) == root / "set"  # nothing is asked of a server that is gone


def test_a_fetch_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    content = bytes(1000) + b"end"
    behaviour = Behaviour(content, drops=[400], statuses=[200, 404])
    with serving(behaviour) as url:
        entry = entry_for(url, content, unpack=False)
        with pytest.raises(DataError, match="HTTP 404"):
            fetch(entry, tmp_path)
        found = look(entry, tmp_path)
        assert (found.state, found.partial) == ("broken off", 400)
        assert fetch(entry, tmp_path) == tmp_path / "set.bin"
    assert behaviour.asked[-1] == "bytes=400-"
    assert verify(entry, tmp_path) == Verdict()
    (tmp_path / "set.bin").write_bytes(content[:-1])
    found, remedy = verify(entry, tmp_path).faults
    assert found.endswith("set.bin: 1,002 bytes, expected 1,003")
    assert remedy.endswith("set.bin: delete the file and fetch it again with `goe data fetch toy`")


def test_an_archive_goes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    """As torchvision's own `dtd/dtd/images`, beside which `dtd/images` belongs."""
    (tmp_path / "set/set").mkdir(parents=True)
    content = tar_of({**FILES, "set/labels.txt": b"not used"})
    with serving(Behaviour(content)) as url:
        entry = replace(entry_for(url, content), place="set/a")
        assert fetch(entry, tmp_path) == tmp_path / "set/a"
    assert (tmp_path / "set/a/1.png").read_bytes() == b"one"
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["a", "set"]
    assert verify(entry, tmp_path) == Verdict()
    assert {path.name for path in tmp_path.iterdir()} == {".goe", ".toy.fetch.lock", "set"}


def test_what_lies_in_the_way_is_told_before_the_download(tmp_path: Path) -> None:
    entry = replace(entry_for("http://127.0.0.1:9/", b""), place="set/a")
    (tmp_path / "set").touch()
    with pytest.raises(DataError, match=r"set is a file, where a folder is needed; move it away and fetch again"):
        fetch(entry, tmp_path)
    (tmp_path / "set").unlink()
    (tmp_path / "set").symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataError, match=r"set is a link to .*unmounted, which is not there; mount or mend that"):
        fetch(entry, tmp_path)


def test_a_set_that_is_there_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert fetch(entry_for("http://127.0.0.1:9/", b""), tmp_path) == tmp_path / "set"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]  # no lock: the root may be read-only


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"no archive", "set.bin can't be unpacked: .*; delete it and fetch it again"),
        (tar_of({"other/1.png": b""}), "set.bin holds other, not set; its publisher changed it"),
        (tar_of({"../../escaped": b""}), "set.bin can't be unpacked: .*outside the destination"),
    ],
    ids=["no-archive", "other-folder", "escaping"],  # an archive holds the time it was made
)
def test_a_strange_archive_leaves_nothing(tmp_path: Path, content: bytes, finding: str) -> None:
    root = tmp_path / "deep" / "data"
    with serving(Behaviour(content)) as url, pytest.raises(DataError, match=finding):
        fetch(entry_for(url, content), root)
    assert {path.name for path in root.iterdir()} == {"set.bin", ".toy.fetch.lock"}
    assert not (tmp_path / "escaped").exists()


def test_what_was_put_there_by_hand_has_no_checksums(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    entry = entry_for("http://127.0.0.1:9/", b"")
    (tmp_path / "set/x").write_bytes(b"123")
    assert look(entry, tmp_path).size == 3
    assert verify(entry, tmp_path) == Verdict(said="unchecked (no published checksums)")


def test_what_goe_never_downloads_says_how_to_get_it(tmp_path: Path) -> None:
    tiny = find("tiny-images")
    with pytest.raises(DataError, match="tiny-images: can't be downloaded: it was withdrawn by its authors"):
        fetch(tiny, tmp_path)
    assert "80mn_cifar_idxs.txt" in verify(tiny, tmp_path).faults[0]
    assert any("29 June 2020" in line for line in describe(look(tiny, tmp_path)))
    (tmp_path / "tiny_images.bin").touch()
    assert fetch(tiny, tmp_path) == tmp_path / "tiny_images.bin"
    assert verify(tiny, tmp_path).faults[0].endswith("tiny_images.bin: 0 bytes, expected 243,615,796,224")
    assert verify(replace(tiny, size=0), tmp_path) == Verdict(said="of the right size (no published checksums)")


def test_built_in_sets_are_there(tmp_path: Path) -> None:
    digits = find("digits")
    assert (look(digits, tmp_path).state, fetch(digits, tmp_path)) == ("built in", None)
    assert verify(digits, tmp_path) == Verdict(said="built in")


def test_a_root_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataError, match=r"toy: .*data: .*; use --data for a folder that may be written"):
        fetch(entry_for("http://127.0.0.1:9/", b""), tmp_path / "data")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match='unknown data set "cifar1" \\(did you mean "cifar10"\\?\\)'):
        find("cifar1")


def test_every_set_that_can_be_configured_is_known() -> None:
    sources = Outliers.__annotations__["source"].__args__
    assert set(DATASETS) | set(OOD_SETS) | (set(sources) - {"folder", "list"}) <= BY_NAME.keys()
    assert set(SETS) <= BY_NAME.keys()
    assert len(BY_NAME) == len(ALL)
    for entry in ALL:
        assert bool(entry.place) == (entry.reader != "built-in")
        assert not entry.place or entry.download or entry.how, f"{entry.name}: nobody can get it"
        assert entry.download is None or len(entry.download.md5) == 32
        assert describe(look(entry, Path("/nonexistent")))


def test_the_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOE_DATA", raising=False)
    assert store.data_root() == Path("data")
    monkeypatch.setenv("GOE_DATA", "/big/disk")
    assert store.data_root() == Path("/big/disk")


def test_a_download_without_room_is_refused_before(tmp_path: Path) -> None:
    entry = entry_for("http://127.0.0.1:9/", b"")
    assert entry.download is not None
    with pytest.raises(DataError, match="no room for"):
        fetch(replace(entry, download=replace(entry.download, size=10**16)), tmp_path)


@pytest.mark.parametrize("name", PUBLISHED)
def test_cifars_checksums_are_torchvisions(name: str) -> None:
    entry = find(name)
    assert entry.download is not None
    assert (entry.download.url, entry.download.md5, dict(entry.sums)) == PUBLISHED[name]


@pytest.mark.parametrize(("name", "kind"), [("mnist", MNIST), ("fashion-mnist", FashionMNIST)])
def test_mnists_checksums_are_torchvisions(name: str, kind: type[MNIST]) -> None:
    download = find(name).download
    assert download is not None
    assert download.url.removesuffix("t10k-images-idx3-ubyte.gz") in kind.mirrors
    assert ("t10k-images-idx3-ubyte.gz", download.md5) in kind.resources
    assert (
        download.file == find(name).place == f"{kind.__name__}/raw/t10k-images-idx3-ubyte.gz"
    )  # where torchvision's is


def test_a_cifar_put_there_by_hand_is_verified(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    (folder / "train").write_bytes(b"x")
    found = verify(find("cifar100"), tmp_path).faults
    assert len(found) == 4
    assert found[3] == f"{folder}: delete the folder and fetch it again with `goe data fetch cifar100`"
    assert found[0].startswith(f"{folder / 'train'}: md5 9dd4e461268c8034f5c8564e155c67a6, expected 16019d7e")
    assert found[1] == f"{folder / 'test'}: missing"


def test_the_command_shows_progress_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tar_of({"set/x.bin": np.random.default_rng(0).bytes(3_000_000)})
    monkeypatch.setenv("GOE_DATA", str(tmp_path))  # and restored after what the command sets
    with serving(Behaviour(content, drops=[1_500_000], statuses=[200, 404])) as url:
        entry = replace(entry_for(url, content), warning="a toy; handle with care")
        monkeypatch.setitem(BY_NAME, "toy", entry)
        first = CliRunner().invoke(cli.app, ["data", "fetch", "toy"])
        assert isinstance(first.exception, DataError)
        assert "toy: a toy; handle with care" in first.stderr
        second = CliRunner().invoke(cli.app, ["data", "fetch", "toy", "digits"])
    assert second.exit_code == 0
    assert second.stdout == f"toy: {tmp_path / 'set'}\ndigits: built in; nothing to fetch\n"
    percent = [int(line.split()[1]) for line in second.stderr.splitlines() if line.endswith(" %")]
    assert percent == sorted(set(percent))
    assert percent[0] >= 40  # it goes on
    assert percent[-1] == 100
    verified = CliRunner().invoke(cli.app, ["data", "verify", "toy"])
    assert (verified.exit_code, verified.stdout) == (0, "toy: right\n")
