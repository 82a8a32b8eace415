"""The six forms of one table, byte for byte. What is in it is said beside the rows."""

from pathlib import Path

import pytest

from goe.core.forms import FORMATS, Format, render
from goe.core.layout import Layout, parse_layout
from goe.core.results import AVERAGE, Row
from goe.core.table import Table, blocks, notes

FOLDER = Path(__file__).parent / "tables"
SUFFIXES: dict[Format, str] = {
    "text": "txt",
    "md": "md",
    "csv": "csv",
    "json": "json",
    "latex": "tex",
    "html": "html",
}


def rows_of(
    experiment: str, values: dict[tuple[str, str], tuple[float | None, float | None]], seeds: str, config: str
) -> list[Row]:
    """One row a value; `seeds` as the table shows them, `2/3`."""
    n, expected = map(int, seeds.split("/"))
    return [
        Row(
            experiment=experiment,
            config=config,
            method=experiment.partition("-")[0],
            id_dataset="digits",
            model="wrn-10-1",
            score="msp",
            protocol="digits",
            checkpoint="best",
            test_set=test_set,
            metric=metric,
            mean=mean,
            std=std,
            n=0 if mean is None else n,
            expected=expected,
            by_seed=() if mean is None else tuple((seed, mean) for seed in range(1, n + 1)),
        )
        for (test_set, metric), (mean, std) in values.items()
    ]


def example() -> list[Row]:
    baseline = {  # all three seeds
        ("digits", "accuracy"): (0.98, 0.0033),
        ("digits", "aurc"): (0.00125, 0.0005),
        (AVERAGE, "fpr95"): (0.25, 0.025),
        (AVERAGE, "auroc"): (0.94, 0.01),
        ("digits-8-9", "fpr95"): (0.5, 0.05),
        ("digits-8-9", "auroc"): (0.88, 0.02),
        ("flower", "fpr95"): (0.0, 0.0),
        ("flower", "auroc"): (1.0, 0.0),
    }
    oe = {  # two of three; ties with the baseline on flower, in what is printed
        ("digits", "accuracy"): (0.97, 0.01),
        ("digits", "aurc"): (0.002, 0.0001),
        (AVERAGE, "fpr95"): (0.2, 0.02),
        (AVERAGE, "auroc"): (0.95, 0.01),
        ("digits-8-9", "fpr95"): (0.4, 0.04),
        ("digits-8-9", "auroc"): (0.90, 0.02),
        ("flower", "fpr95"): (0.00004, 0.00001),
        ("flower", "auroc"): (0.99996, 0.00001),
    }
    undefined = {  # one seed of one; no AUPR anywhere, no detection value at all on flower
        ("digits", "accuracy"): (1.0, None),
        ("digits", "aurc"): (0.0, None),
        (AVERAGE, "fpr95"): (None, None),
        (AVERAGE, "auroc"): (None, None),
        ("digits-8-9", "fpr95"): (0.45, None),
        ("digits-8-9", "auroc"): (0.93, None),
        ("flower", "fpr95"): (None, None),
        ("flower", "auroc"): (None, None),
    }
    changed = {key: (value and 1 - value, None) for key, (value, _) in undefined.items()}  # the name before it again
    return [
        *rows_of("baseline", baseline, "3/3", "0a1b2c3d"),
        *rows_of("oe", oe, "2/3", "1a1b2c3d"),
        *rows_of("goe-k20_b", undefined, "1/1", "11111111"),
        *rows_of("goe-k20_b", changed, "1/1", "22222222"),
    ]


def table(layout: Layout) -> Table:
    return Table(tuple(blocks(example(), layout)), notes(layout.conventions), layout.conventions)


def test_every_form_is_here() -> None:
    assert tuple(SUFFIXES) == FORMATS


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_table_is_the_same_byte_for_byte(form: Format) -> None:
    expected = (FOLDER / f"table.{SUFFIXES[form]}").read_bytes()
    assert render(table(Layout()), form).encode() == expected


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_block_a_metric_and_two_labels_byte_for_byte(form: Format) -> None:
    expected = (FOLDER / f"sets.{SUFFIXES[form]}").read_bytes()
    layout = parse_layout(rows="model,experiment", columns="sets", metrics="accuracy,auroc,fpr95")
    assert render(table(layout), form).encode() == expected


def test_colours_byte_for_byte() -> None:
    expected = (FOLDER / "table.colour.txt").read_bytes()
    assert render(table(Layout()), "text", colour=True).encode() == expected
