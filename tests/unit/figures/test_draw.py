"""Figures as files: what their suffix says, words as words, the same again from the same data."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

import goe.figures.draw
from goe.core.chart import Chart, Figure, Line
from goe.core.errors import UserError
from goe.figures.draw import check_drawable, draw

NAN = float("nan")
CHART = Chart(
    "small multiple",
    "epoch",
    "loss",
    (
        Line("a $x$ (3 seeds)", (1, 2, 3), (3, NAN, 1), place=0, band=((2, NAN, 0), (4, NAN, 2))),
        Line("bars", (0, 1, 1, 2), (0, 0, 5, 5), place=31, filled=True),
        Line("chance", (0, 3), (0, 3), place=None, dotted=True),
        Line("", (0, 3), (1, 1), place=0),
    ),
)
FIGURE = Figure("Title · of all", (CHART, replace(CHART, y_range=(0, 100), x_range=(0, 100))), ("a-s1 weights abab",))


@pytest.mark.parametrize(("name", "begins"), [("f.png", b"\x89PNG"), ("f.PDF", b"%PDF"), ("f.svg", b"<?xml")])
def test_a_figure_is_what_its_suffix_says(tmp_path: Path, name: str, begins: bytes) -> None:
    draw(FIGURE, tmp_path / name)
    written = (tmp_path / name).read_bytes()
    assert written.startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing is left beside it


def test_words_stay_words_and_the_source_is_in_it(tmp_path: Path) -> None:
    draw(FIGURE, tmp_path / "f.svg")
    text = (tmp_path / "f.svg").read_text()
    words = ("Title · of all", "small multiple", "epoch", "loss", "a $x$ (3 seeds)", "bars", "chance")
    assert [word for word in words if f">{word}</text>" not in text] == []
    assert text.count(">chance</text>") == 1  # one legend for all charts
    assert "a-s1 weights abab" in text


def size(path: Path) -> tuple[float, float]:
    """Width and height of an SVG in points."""
    found = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', path.read_text())
    assert found is not None
    return float(found[1]), float(found[2])


def test_the_legend_is_never_cut(tmp_path: Path) -> None:
    def drawn(*names: str) -> tuple[float, float]:
        lines = tuple(Line(name, (0, 1), (0, 1), place=place) for place, name in enumerate(names))
        draw(Figure("t", (Chart("", "x", "y", lines),)), tmp_path / "f.svg")
        return size(tmp_path / "f.svg")

    width, height = drawn("a", "b", "c")
    assert drawn(*"abcd") == (width, height)  # all on one row
    same, higher = drawn(*(f"a name of thirty letters, or so {which}" for which in "abc"))
    assert (same, higher > height) == (width, True)
    assert drawn("a name " * 30)[0] > width


@pytest.mark.parametrize("count", [1, 4, 5])
def test_any_number_of_charts(tmp_path: Path, count: int) -> None:
    charts = tuple(replace(CHART, title=f"chart {place}") for place in range(count))
    draw(Figure("many", charts), tmp_path / "f.svg")
    text = (tmp_path / "f.svg").read_text()
    assert all(f">chart {place}</text>" in text for place in range(count))
    assert text.count('id="axes_') == count


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_data_give_the_same_file(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        draw(FIGURE, tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_what_cannot_be_drawn_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"can't draw .gif; use .png, .svg, .pdf"):
        check_drawable(tmp_path / "f.gif")
    with pytest.raises(UserError, match="a file without suffix"):
        check_drawable(tmp_path / "f")
    with pytest.raises(UserError, match=r"there is no folder .*absent; make it"):
        check_drawable(tmp_path / "absent" / "f.png")
    monkeypatch.setattr(goe.figures.draw, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'goe\[figures\]'"):
        check_drawable(tmp_path / "f.png")
