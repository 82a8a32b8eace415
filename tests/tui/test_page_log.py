"""The log reader against plain Python over the whole file: the same lines, whatever the file and wherever one looks."""

from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goe.core.errors import UserError
from goe.core.logfile import shown
from tui.messages import LogPage
from tui.reading import loglines, logpattern, logsearch
from tui.reading.log import LogReader, Look
from tui.reading.loglines import backwards, forwards, line_start
from tui.reading.logpattern import Pattern

WORDS = st.sampled_from(
    [b"loss 0.5", b"Loss", b"nan", b"", b"\xff\x00", b"10%\r20%", b"\x1b[31mred\x1b[0m", b"x" * 300]
)
FILES = st.builds(
    lambda lines, end: b"\n".join(lines) + end, st.lists(WORDS, max_size=60), st.sampled_from([b"", b"\n"])
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small files have many."""
    monkeypatch.setattr(loglines, "_BLOCK", 64)
    monkeypatch.setattr(loglines, "BUDGET", 128)
    monkeypatch.setattr(logsearch, "BLOCK", 64)


def split(data: bytes) -> list[bytes]:
    whole = data.split(b"\n")
    return [line + b"\n" for line in whole[:-1]] + ([whole[-1]] if whole[-1] else [])


def complete(reader: LogReader) -> LogPage:
    """What it says once it has read all it was asked for."""
    page = reader.read()
    assert page is not None
    while reader.period == 0:
        page = reader.read() or page
    return page


def texts(page: LogPage) -> list[str]:
    return [line.text for line in page.lines]


@settings(max_examples=60, deadline=None)
@given(FILES, st.integers(0, 3000), st.integers(1, 20))
def test_lines_either_way_are_the_files(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, count: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "x"
    path.write_bytes(data)
    starts = [0]
    for line in split(data):
        starts.append(starts[-1] + len(line))
    at = min(at, len(data))
    with path.open("rb") as file:
        start = line_start(file, at)
        assert start == max(
            place for place in starts if place <= at and (place < len(data) or not data or data.endswith(b"\n"))
        )
        after = forwards(file, start, len(data), count)
        before = backwards(file, start, count)
    for found in (before, after):
        assert (
            b"".join(data[line.start : line.end] for line in found) == data[found[0].start : found[-1].end]
            if found
            else True
        )
        assert [line.text for line in found] == [
            shown(data[line.start : line.end].removesuffix(b"\n")) for line in found
        ]
        assert all(line.start in starts for line in found)
    assert not after or after[0].start == start
    assert not before or before[-1].end == start
    assert bool(after) == (start < len(data))
    assert bool(before) == (start > 0)


@settings(max_examples=40, deadline=None)
@given(FILES, st.sampled_from(["loss", "Loss", "nan", "red", "20%", "é"]), st.booleans())
def test_a_search_counts_what_python_counts(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, words: str, regex: bool
) -> None:
    path = tmp_path_factory.mktemp("log") / "x"
    path.write_bytes(data)
    reader, wanted = LogReader(path), Pattern(words, regex)
    reader.search(wanted)
    page = complete(reader)
    assert page.hits is not None
    assert page.hits.lines == sum(bool(wanted.spans(shown(line.removesuffix(b"\n")))) for line in split(data))
    assert page.hits.share == 1


def test_the_next_match_both_ways(tmp_path: Path) -> None:
    lines = [f"line {n}{' match' if n % 30 == 0 else ''}\n" for n in range(100)]
    path = tmp_path / "x"
    path.write_text("".join(lines))
    starts = [len("".join(lines[:n])) for n in range(100)]
    reader = LogReader(path)
    reader.search(Pattern("match"))
    for direction, begin, expected in (
        (-1, path.stat().st_size, 90),
        (-1, starts[90], 60),
        (1, -1, 0),
        (1, starts[0], 30),
    ):
        reader.step(direction, begin)
        hits = complete(reader).hits
        assert hits is not None
        assert hits.place == starts[expected]
    reader.step(1, starts[90])
    hits = complete(reader).hits
    assert hits is not None
    assert (hits.place, hits.steps, hits.lines) == (None, 5, 4)


def test_the_end_is_followed_and_forgotten_lines_go(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("".join(f"line {n}\n" for n in range(50)) + "half")
    reader = LogReader(path)
    reader.look(Look(None, 10, 0))
    assert texts(complete(reader)) == [*(f"line {n}" for n in range(41, 50)), "half"]
    assert reader.read() is None
    with path.open("a") as file:
        file.write(" and half\nnew\n")
    assert texts(complete(reader)) == [*(f"line {n}" for n in range(42, 50)), "half and half", "new"]


def test_a_middle_part_stays_while_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("".join(f"line {n}\n" for n in range(50)))
    reader = LogReader(path)
    reader.look(Look(len("".join(f"line {n}\n" for n in range(20))) + 3, 2, 3))
    first = complete(reader)
    assert texts(first) == ["line 18", "line 19", "line 20", "line 21", "line 22"]
    with path.open("a") as file:
        file.write("new\n")
    grown = complete(reader)
    assert (grown.lines, grown.size) == (first.lines, first.size + 4)


@pytest.mark.parametrize("replace", [True, False])
def test_a_replaced_or_cut_file_begins_anew(tmp_path: Path, replace: bool) -> None:
    path = tmp_path / "x"
    path.write_text("old match\n" * 50)
    reader = LogReader(path)
    reader.look(Look(100, 5, 5))
    reader.search(Pattern("match"))
    before = complete(reader)
    if replace:
        (tmp_path / "y").write_text("new match\n" * 60)
        (tmp_path / "y").replace(path)
    else:
        path.write_text("new match\n")
    after = complete(reader)
    assert after.life == before.life + 1
    assert set(texts(after)) == {"new match"}
    assert after.hits is not None
    assert after.hits.lines == (60 if replace else 1)


def test_a_search_sees_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("match\n" * 20 + "mat")
    reader = LogReader(path)
    reader.search(Pattern("match"))
    complete(reader)
    for added, count in (("ch", 21), ("\nmatch\n", 22), ("no\n" * 50, 22)):
        with path.open("a") as file:
            file.write(added)
        hits = complete(reader).hits
        assert hits is not None
        assert hits.lines == count


def test_no_file_yet(tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "x")
    assert reader.read() == LogPage()
    assert reader.read() is None
    (tmp_path / "x").write_text("first\n")
    assert texts(complete(reader)) == ["first"]


def test_a_line_of_10_mb_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    path = tmp_path / "x"
    path.write_bytes(b"before\n" + b"y" * 10_000_000 + b"\nafter\n" + b"50%\r" * 1_000_000 + b"done\n")
    page = complete(LogReader(path))
    assert [text[:5] for text in texts(page)] == ["befor", "yyyyy", "after", "done"]
    assert texts(page)[1].endswith("yy… [9,998,000 more characters]")


@pytest.mark.parametrize("regex", [False, True])
def test_a_match_far_in_a_long_line_is_found_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regex: bool
) -> None:
    monkeypatch.undo()
    path = tmp_path / "x"
    path.write_bytes(b"before\n" + b"y" * 9_000_000 + b" Loss 0.5\x1b[1m" + b"z" * 5_000 + b"\nloss\n")
    reader = LogReader(path)
    assert "0.5" not in texts(complete(reader))[1]
    reader.search(Pattern("loss 0.5", regex))
    page = complete(reader)
    assert page.hits is not None
    assert page.hits.lines == 1
    assert texts(page)[1].startswith(f"[8,999,961 characters] …{'y' * 39} Loss 0.5zzz")
    assert texts(page)[1].endswith("zz… [3,048 more characters]")
    assert len(texts(page)[1]) < 2_100
    reader.step(-1, page.size)
    page = complete(reader)
    assert page.hits is not None
    assert page.hits.place == 7
    reader.search(None)
    assert texts(complete(reader))[1].startswith("yyy")


@settings(max_examples=200, deadline=None)
@given(st.text("ab\n", max_size=90), st.sampled_from(["ab", "b$", "^a", "ba*b", "(?<=a)b", "aaa"]))
def test_a_long_line_is_searched_in_parts_as_if_at_once(text: str, words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logpattern, "PART", 20)
        patch.setattr(logpattern, "OVERLAP", 10)
        wanted, line = Pattern(words, regex=True), text.replace("\n", "")
        found = wanted.compiled.search(line)
        if found is None or len(found[0]) <= 10:
            assert wanted.first(line) == (found and found.span())


def test_a_file_without_line_breaks_is_shown_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loglines, "LONGEST", 1000)
    path = tmp_path / "x"
    path.write_bytes(b"\x00\xfe" * 2000)
    page = complete(LogReader(path))
    assert (page.lines[0].start, page.lines[-1].end) == (0, 4000)
    assert len(page.lines) > 1


@pytest.mark.parametrize(
    ("words", "regex", "line", "found"),
    [
        ("loss", False, "Loss 0.5", [(0, 4)]),
        ("Loss", False, "loss Loss", [(5, 9)]),
        ("a.c", False, "abc a.c", [(4, 7)]),
        ("a.c", True, "abc a.c", [(0, 3), (4, 7)]),
        (r"\S+%", True, "at 10% of", [(3, 6)]),
        (r"\Sx", True, "AX", [(0, 2)]),
        ("x*", True, "abc", []),
    ],
)
def test_patterns(words: str, regex: bool, line: str, found: list[tuple[int, int]]) -> None:
    assert Pattern(words, regex).spans(line) == found


def test_a_wrong_expression_is_refused() -> None:
    with pytest.raises(UserError, match="unterminated"):
        _ = Pattern("[a", regex=True).compiled


class CountedFile(FileIO):
    """A file that is not buffered, and how often it was read."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


def test_a_long_line_is_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 6_400 + b" loss\nloss\n")
    search = logsearch.LogSearch(Pattern("loss"))
    with CountedFile(path, "r") as file:
        search.turn(file, path.stat().st_size)
        assert not search.busy
        assert search.hits.share == 1.0
        assert file.reads <= 3 * 6_400 / logsearch.BLOCK
