"""The queue file read and written back."""

import os
import threading
from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.queuetext import QueueText, read_queue, write_queue


def test_text_bytes_and_mark_survive(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_bytes(b"\xef\xbb\xbf# \xce\xbb\r\na = 1")
    old = read_queue(path)
    assert old.text == "# λ\r\na = 1"
    new = write_queue(old, "# λ\r\na = 2")
    assert path.read_bytes() == b"\xef\xbb\xbf# \xce\xbb\r\na = 2"
    assert new == read_queue(path)
    assert new.digest != old.digest


def test_a_file_without_a_mark_gets_none(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_bytes(b"a = 1\n")
    write_queue(read_queue(path), "a = 2\n")
    assert path.read_bytes() == b"a = 2\n"


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_permissions_stay(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "e.toml"
    path.write_text("a = 1\n")
    path.chmod(mode)
    write_queue(read_queue(path), "a = 2\n")
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_the_owner_stays(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text("a = 1\n")
    os.chown(path, 1234, 2345)
    write_queue(read_queue(path), "a = 2\n")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "shared" / "real.toml", tmp_path / "e.toml"
    real.parent.mkdir()
    real.write_text("a = 1\n")
    link.symlink_to("shared/real.toml")
    write_queue(read_queue(link), "a = 2\n")
    assert link.is_symlink()
    assert real.read_text() == "a = 2\n"
    assert [entry.name for entry in real.parent.iterdir()] == ["real.toml"]


def test_a_file_saved_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text("a = 1\n")
    old = read_queue(path)
    path.write_text("a = 3\n")
    with pytest.raises(
        ConfigError, match=r"e\.toml: changed under us: somebody saved it; nothing written; do it again"
    ):
        write_queue(old, "a = 2\n")
    assert path.read_text() == "a = 3\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_removed_meanwhile_does_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text("a = 1\n")
    old = read_queue(path)
    path.unlink()
    with pytest.raises(ConfigError, match="changed under us: it is gone; nothing written"):
        write_queue(old, "a = 2\n")
    assert not path.exists()


def test_of_many_editors_at_once_exactly_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    for _ in range(20):
        path.write_text("a = 0\n")
        old = read_queue(path)
        done = race(old, 8)
        assert len(done) == 1
        assert path.read_text() == f"a = {done[0]}\n"


def race(old: QueueText, count: int) -> list[int]:
    """Writers 1 to `count`, each starting from `old`, all let go at once; which of them were not refused."""
    gate, done = threading.Barrier(count), []

    def edit(number: int) -> None:
        gate.wait()
        try:
            write_queue(old, f"a = {number}\n")
        except ConfigError:
            return
        done.append(number)

    editors = [threading.Thread(target=edit, args=(number,)) for number in range(1, count + 1)]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()
    return done


def test_what_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; pass --queue FILE"):
        read_queue(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        read_queue(tmp_path)
    (tmp_path / "latin").write_bytes(b"a = '\xe9'")
    with pytest.raises(ConfigError, match="byte 5 is not UTF-8"):
        read_queue(tmp_path / "latin")
