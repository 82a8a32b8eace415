"""Downloads from a real server that drops connections, ignores ranges and serves wrong bytes."""

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webserver import Behaviour, serving

from goe.core.errors import DataError
from goe.data import download as module
from goe.data.download import download, verify_file

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Behaviour]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as url:
        yield url, behaviour


def fetch(url: str, folder: Path, **options: Any) -> Path:
    options = {"md5": MD5, "pause": lambda _: None, **options}
    return download(url, folder / "file.bin", **options)


def test_a_file_comes_whole_with_progress(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(server[0], tmp_path, size=len(CONTENT), progress=lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [file.name for file in tmp_path.iterdir()] == ["file.bin"]
    fetch(server[0], tmp_path)
    assert len(server[1].asked) == 1  # what is there is not fetched


def test_a_dropped_connection_goes_on(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, does = server
    does.drops = [100_000, 200_000]
    assert fetch(url, tmp_path).read_bytes() == CONTENT
    assert does.asked == [None, "bytes=100000-", "bytes=300000-"]


def test_a_later_call_goes_on(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, does = server
    does.drops, does.statuses = [100_000], [200, 503, 503, 503]
    with pytest.raises(
        DataError, match=r"HTTP 503 .*, 2 times in a row; 100,000 bytes are kept, the next fetch goes on"
    ):
        fetch(url, tmp_path, attempts=2)
    does.statuses = []
    assert fetch(url, tmp_path).read_bytes() == CONTENT
    assert does.asked[-1] == "bytes=100000-"


def test_a_server_that_is_busy_is_asked_again(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].statuses = [503, 429]
    pauses: list[float] = []
    fetch(server[0], tmp_path, pause=pauses.append)
    assert pauses == [0.5, 1.0]


def test_what_brings_nothing_new_ends(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].statuses = [500] * 10
    with pytest.raises(DataError, match=r"HTTP 500 .*, 5 times in a row; 0 bytes are kept"):
        fetch(server[0], tmp_path)
    assert len(server[1].asked) == 5


def test_progress_between_failures_earns_more_tries(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].drops = [100_000] * 8
    assert fetch(server[0], tmp_path, attempts=2).read_bytes() == CONTENT


@pytest.mark.parametrize("change", [{"ranges": False}, {"etag": '"two"'}, {"shift": 1}])
def test_what_can_not_be_gone_on_with_starts_over(
    server: tuple[str, Behaviour], tmp_path: Path, change: dict[str, Any]
) -> None:
    url, does = server
    does.drops = [100_000]
    with pytest.raises(DataError):
        fetch(url, tmp_path, attempts=1)
    for name, value in change.items():
        setattr(does, name, value)
    assert fetch(url, tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_servers_file_starts_over(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    (tmp_path / "file.bin.part.etag").write_text('"one"')
    assert fetch(server[0], tmp_path).read_bytes() == CONTENT


def test_a_part_without_its_version_starts_over(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"of something else")
    assert fetch(server[0], tmp_path).read_bytes() == CONTENT
    assert server[1].asked == [None]


def test_wrong_bytes_are_refused_and_not_kept(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].content = b"x" * len(CONTENT)
    wrong = hashlib.md5(server[1].content).hexdigest()
    with pytest.raises(DataError, match=f"file.bin: md5 {wrong}, expected {MD5}; the server's file is damaged"):
        fetch(server[0], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_size_is_refused(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1,024,000 bytes, expected 7;"):
        fetch(server[0], tmp_path, size=7, md5=None)


def test_what_is_gone_is_not_asked_for_again(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].statuses = [404]
    with pytest.raises(DataError, match=r"file.bin: HTTP 404 .*; has it moved"):
        fetch(server[0], tmp_path)
    assert len(server[1].asked) == 1


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Connection refused.*, 5 times in a row"):
        fetch("http://127.0.0.1:9/file.bin", tmp_path)


def test_only_the_web(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only http and https"):
        fetch((tmp_path / "x").as_uri(), tmp_path)


def test_a_disk_that_is_too_small_is_said_before(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no room for .*: 1,000,000,000,000,000 bytes are needed"):
        fetch(server[0], tmp_path, size=10**15)
    assert server[1].asked == []


def test_a_disk_that_fills_up_keeps_what_came(
    server: tuple[str, Behaviour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = server

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_sync", full)
        with pytest.raises(DataError, match="the disk is full; free some space: the next fetch goes on from"):
            fetch(url, tmp_path)
    assert (tmp_path / "file.bin.part").exists()
    assert fetch(url, tmp_path).read_bytes() == CONTENT


def test_a_place_that_may_not_be_written(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").mkdir()
    with pytest.raises(DataError, match=r"file.bin.part.*: .*; use --data"):
        fetch(server[0], tmp_path)


def test_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert verify_file(path, size=3, md5="900150983cd24fb0d6963f7d28e17f72") is None
    assert verify_file(path, size=4) == "3 bytes, expected 4"
    assert verify_file(path, md5="0" * 32) == f"md5 900150983cd24fb0d6963f7d28e17f72, expected {'0' * 32}"
