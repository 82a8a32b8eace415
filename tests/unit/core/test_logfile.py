"""The ends of logs, worked out by hand: huge lines, progress bars, files cut under the reader."""

from pathlib import Path

import pytest

from goe.core.logfile import MAX_LINE_LENGTH, Follower, shown, tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "train.log"


@pytest.mark.parametrize(
    ("data", "count", "lines", "rest", "offset"),
    [
        (b"", 2, (), "", 0),
        (b"a\nb\nc\n", 2, ("b", "c"), "", 6),
        (b"a\nb\nc\n", 9, ("a", "b", "c"), "", 6),
        (b"a\nb\nc", 2, ("a", "b"), "c", 4),
        (b"a\nb\n", 0, (), "", 4),
        (b"\n\n", 1, ("",), "", 2),
        (b"one\r\ntwo\r\n", 2, ("one", "two"), "", 10),
        (b" 1%\r 2%\r 3%\n\x1b[32mgreen\x1b[0m\n", 2, (" 3%", "green"), "", 27),
        (b"not \xff UTF-8\n", 1, ("not � UTF-8",), "", 12),
    ],
)
def test_tail(log: Path, data: bytes, count: int, lines: tuple[str, ...], rest: str, offset: int) -> None:
    log.write_bytes(data)
    found = tail(log, count)
    assert (found.lines, found.rest, found.offset, found.cut) == (lines, rest, offset, False)


def test_tail_of_a_part(log: Path) -> None:
    log.write_bytes(b"first 1\nfirst 2\nsecond 1\nsecond 2\n")
    assert tail(log, 10, end=16).lines == ("first 1", "first 2")
    assert tail(log, 10, start=16).lines == ("second 1", "second 2")
    assert tail(log, 1, start=16, end=25).lines == ("second 1",)


def test_a_huge_file_is_read_from_its_end(log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(8 * 2**30)  # 8 GiB of zeros, without a block on the disk
        file.seek(0, 2)
        file.write(b"\nlast\n")
    found = tail(log, 1)
    assert (found.lines, found.cut, found.offset) == (("last",), False, 8 * 2**30 + 6)
    assert tail(log, 2).cut


def test_a_long_line_is_cut_with_a_note() -> None:
    assert shown(b"x" * MAX_LINE_LENGTH) == "x" * MAX_LINE_LENGTH
    assert shown(b"x" * 10_000_000) == "x" * MAX_LINE_LENGTH + "… [9,998,000 more characters]"
    assert shown(b"x" * 10_000_000 + b"\rshort") == "short"


def test_following(log: Path) -> None:
    follower = Follower(log, 0)
    assert follower.poll() == []
    steps = [
        (b"a\nb", ["a"], "b"),
        (b"c\n", ["bc"], ""),
        (b" 1%\r 2%\r", [], " 2%"),
        (b" 3%", [], " 3%"),
        (b"\r\n", [" 3%"], ""),
        (b"end\r", [], "end"),
        (b"\n", ["end"], ""),
        (b"", [], ""),
    ]
    with log.open("ab", buffering=0) as file:
        for written, lines, rest in steps:
            file.write(written)
            assert (follower.poll(), follower.rest(), follower.restarted) == (lines, rest, False)


def test_following_a_line_that_grows_for_ever(log: Path) -> None:
    follower = Follower(log, 0)
    with log.open("ab", buffering=0) as file:
        file.write(b"x" * 5_000_000)
        assert follower.poll() == []
        file.write(b"y" * 5_000_000 + b"\nnext\n")
        assert follower.poll() == ["x" * MAX_LINE_LENGTH + "… [9,998,000 more characters]", "next"]


def test_following_through_a_cut_and_another_file(log: Path) -> None:
    log.write_bytes(b"old 1\nold 2\nhalf")
    follower = Follower(log, 6)
    assert follower.poll() == ["old 2"]
    log.write_bytes(b"new\n")
    assert (follower.poll(), follower.restarted) == (["new"], True)
    assert (follower.poll(), follower.restarted) == ([], False)
    other = log.with_name("other")
    other.write_bytes(b"of the same length or longer\n")
    other.replace(log)
    assert (follower.poll(), follower.restarted) == (["of the same length or longer"], True)
