"""Every form of a table read back: all six hold the same cells, marks included."""

import csv
import io
import json
import re
from html import unescape
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
from evaluated import row

from goe.core.cells import Beside
from goe.core.forms import Format, render
from goe.core.layout import parse_layout
from goe.core.results import AVERAGE, Difference
from goe.core.table import Table, blocks, notes


class Read(NamedTuple):
    """A value cell as a form has it."""

    text: str
    best: bool
    second: bool


def example() -> Table:
    """Two blocks of two labels, with ties, missing seeds and values, a dagger, a published figure, and odd names."""
    values = {
        ("wrn-10-1", "a&b_<i>"): (0.5, 0.7),
        ("wrn-10-1", "oe|x"): (0.5, None),
        ("wrn-10-1", "goe"): (0.25, 0.9),
        ("resnet-18", "oe|x"): (0.75, 0.1),
        ("resnet-18", "goe"): (0.125, 0.6),
    }
    rows = [
        row(f"{method}-{model}", value, 0.01, model=model, method=method, test_set=test_set, n=2 + place)
        for (model, method), pair in values.items()
        for place, (test_set, value) in enumerate(zip((AVERAGE, "far"), pair, strict=True))
    ]
    sure = Difference(mean=0.25, std=0.01, low=0.24, high=0.26, p=0.001, n=3)
    beside = Beside(
        difference=lambda row: sure if row.method == "goe" else None,
        figure=lambda row: 0.6 if row.test_set == AVERAGE and row.model == "resnet-18" else None,
    )
    layout = parse_layout(rows="model,method", metrics="auroc,fpr95")
    return Table(tuple(blocks(rows, layout, beside)), notes(layout.conventions), layout.conventions)


def cells_of(table: Table) -> list[Read]:
    return [
        Read(cell.text, cell.best, cell.second)
        for block in table.blocks
        for line in block.lines
        for cell in line
        if cell.row is not None
    ]


def unmarked(text: str, bold: str, underlined: str) -> Read:
    """`bold` and `underlined` are patterns with the text as their group."""
    for pattern in (bold, underlined):
        if found := re.fullmatch(pattern, text):
            return Read(found[1], pattern is bold, pattern is underlined)
    return Read(text, False, False)


def from_text(text: str, colour: bool) -> list[Read]:
    bold, underlined = ("\x1b\\[1m(.*)\x1b\\[0m", "\x1b\\[4m(.*)\x1b\\[0m") if colour else (r"\*(.*)", "_(.*)")
    lines = [
        re.split(r"  +", line.strip()) for line in text.splitlines() if re.match(r"(wrn|resnet)\S+ +\S+ +\d/3", line)
    ]
    return [unmarked(cell, bold, underlined) for line in lines for cell in line[3:]]


def from_markdown(text: str) -> list[Read]:
    lines = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in text.splitlines() if re.match(r"\| (wrn|resnet)", line)]
    return [unmarked(cell, r"\*\*(.*)\*\*", r"<u>(.*)</u>") for line in lines for cell in line[3:]]


def from_latex(text: str) -> list[Read]:
    signs = {r"$\pm$": "±", "--": "–", r"$^\dagger$": "†", "$-$": "−"}
    lines = [line.removesuffix(r" \\") for line in text.splitlines() if re.search(r"\d/3 & .* \\\\$", line)]
    cells = [unmarked(cell, r"\\textbf\{(.*)\}", r"\\underline\{(.*)\}") for line in lines for cell in from_label(line)]
    for sign, char in signs.items():
        cells = [cell._replace(text=cell.text.replace(sign, char)) for cell in cells]
    return cells


def from_label(line: str) -> list[str]:
    """The value cells of a LaTeX line: those behind `seeds`."""
    cells = re.split(r"(?<!\\) ?& ?", line)
    return cells[[bool(re.fullmatch(r"\d/3", cell)) for cell in cells].index(True) + 1 :]


def from_html(text: str) -> list[Read]:
    lines = [re.findall("<td>(.*?)</td>", line)[1:] for line in text.splitlines() if line.startswith("<tr><th")]
    cells = [unmarked(cell, "<b>(.*)</b>", "<u>(.*)</u>") for line in lines for cell in line]
    return [cell._replace(text=unescape(cell.text)) for cell in cells]


def from_csv(text: str) -> list[Read]:
    return [Read(line["text"], line["rank"] == "1", line["rank"] == "2") for line in csv.DictReader(io.StringIO(text))]


def from_json(text: str) -> list[Read]:
    return [Read(record["text"], record["rank"] == 1, record["rank"] == 2) for record in json.loads(text)]


def test_the_cells_are_those_worked_out_by_hand() -> None:
    average = list(cells_of(example()))[:10:2]  # AUROC; no FPR95 was measured
    assert average == [
        ("50.00 ± 1.00 (2/3)", True, False),
        ("50.00 ± 1.00 (2/3)", True, False),
        ("25.00 ± 1.00 (2/3)†", False, False),  # the third: two are best
        ("75.00 ± 1.00 (2/3) [60.00 +15.00]", True, False),
        ("12.50 ± 1.00 (2/3)† [60.00 −47.50]", False, True),
    ]
    far = list(cells_of(example()))[10::2]
    assert [cell.text for cell in far] == ["70.00 ± 1.00", "–", "90.00 ± 1.00†", "10.00 ± 1.00", "60.00 ± 1.00†"]
    assert [(cell.best, cell.second) for cell in far] == [
        (False, True),
        (False, False),
        (True, False),
        (False, True),
        (True, False),
    ]


@pytest.mark.parametrize("form", ["text", "colour", "md", "latex", "html", "csv", "json"])
def test_every_form_has_the_same_cells(form: Format | str) -> None:
    table = example()
    colour = form == "colour"
    text = render(table, "text" if form in {"text", "colour"} else form, colour=colour)  # type: ignore[arg-type]
    readers = {
        "md": from_markdown,
        "latex": from_latex,
        "html": from_html,
        "csv": from_csv,
        "json": from_json,
    }
    found = from_text(text, colour) if form in {"text", "colour"} else readers[form](text)
    assert len(found) == 20  # 5 lines, 2 metrics, 2 blocks
    assert found == cells_of(table)


def test_names_are_escaped() -> None:
    table = example()
    assert r"a\&b\_$<$i$>$ & 2/3" in render(table, "latex")
    assert '<th scope="row">a&amp;b_&lt;i&gt;</th>' in render(table, "html")
    assert r"| a&b_\<i\> | 2/3" in render(table, "md")
    assert r"| oe\|x | 2/3" in render(table, "md")


def test_latex_leaves_a_repeated_label_blank() -> None:
    lines = render(example(), "latex").splitlines()
    start = lines.index("\\midrule") + 1
    labels = [line.rpartition("/3 & ")[0][:-4] if "&" in line else line for line in lines[start : start + 6]]
    assert labels == [
        r"wrn-10-1 & a\&b\_$<$i$>$",
        "& oe|x",
        "& goe",
        "\\addlinespace",
        "resnet-18 & oe|x",
        "& goe",
    ]


def test_records_have_what_the_dagger_and_the_brackets_stand_on() -> None:
    found = json.loads(render(example(), "json"))
    last = next(record for record in found if record["experiment"] == "goe-resnet-18")
    assert (last["paper"], last["above_paper"]) == (0.6, 0.125 - 0.6)
    assert (last["difference"], last["low"], last["high"], last["p"], last["common_seeds"]) == (
        0.25,
        0.24,
        0.26,
        0.001,
        3,
    )
    assert (last["positive"], last["ties"]) == ("id", "mid-rank")
    assert last["block"] == example().blocks[0].title
    plain = next(record for record in found if record["method"] == "oe|x")
    assert (plain["paper"], plain["difference"], plain["p"]) == (None, None, None)


def test_html_is_well_formed() -> None:
    root = ET.fromstring(f"<div>{render(example(), 'html')}</div>")
    assert [len(table.findall("./tbody/tr")) for table in root.findall("table")] == [5, 5]
    assert [note.text for note in root.findall("p")][-1] == "Bold: best; underlined: second best."


def test_the_note_explains_the_marks_it_has() -> None:
    assert render(example(), "text").endswith("*: best; _: second best.\n")
    assert render(example(), "text", colour=True).endswith("Bold: best; underlined: second best.\n")
