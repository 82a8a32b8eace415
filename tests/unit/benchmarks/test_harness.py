"""How benchmarks measure and report."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from harness import Report, arguments, measure, stolen_share
from tables import Fact, Facts, Record, Row, Table, markdown, number, text


class Hand:
    """A clock that sides move."""

    now = 0.0

    def side(self, name: str, seconds: list[float], amount: float | None, called: list[str]) -> object:
        each = iter(seconds)

        def run() -> float | None:
            called.append(name)
            self.now += next(each)
            return amount

        return run


def test_rounds_are_by_turns_and_the_first_is_not_counted() -> None:
    hand, called = Hand(), list[str]()
    sides = {"a": hand.side("a", [9, 2, 3], None, called), "b": hand.side("b", [9, 4, 8], 4, called)}
    assert measure(sides, 2, lambda: hand.now) == {"a": [2, 3], "b": [1, 2]}
    assert called == list("ababab")


@pytest.mark.parametrize(("unit", "middles", "ratio"), [("ms", (2000, 500), 4.0), ("images/s", (0.5, 2), 4.0)])
def test_a_ratio_above_one_is_better(tmp_path: Path, unit: str, middles: tuple[float, float], ratio: float) -> None:
    hand, called = Hand(), list[str]()
    sides = {"plain": hand.side("", [9, 2, 2, 7], 1, called), "goe": hand.side("", [9, 1, 2, 4], 4, called)}
    options = arguments("", rounds=3).parse_args(["--json", str(tmp_path / "found.json")])
    with Report("step.py", options) as report:
        table = report.compare("one", sides, unit=unit, baseline="plain", clock=lambda: hand.now)
    assert tuple(row.middle for row in table.rows) == middles
    assert [table.ratio(row) for row in table.rows] == [1.0, ratio]
    record = msgspec.json.decode((tmp_path / "found.json").read_bytes(), type=Record)
    assert (record.script, record.rounds, record.parts) == ("step", 3, (table,))
    assert record.machine.cores > 0


def test_nothing_is_written_of_what_failed(tmp_path: Path) -> None:
    options = arguments("", rounds=3).parse_args(["--quick", "--json", str(tmp_path / "found.json")])
    with pytest.raises(ZeroDivisionError), Report("step.py", options) as report:
        report.say("x", str(1 // (report.rounds - 2)))
    assert not list(tmp_path.iterdir())


def test_facts_gather_under_their_title(capsys: pytest.CaptureFixture[str]) -> None:
    with Report("x.py", arguments("", rounds=1).parse_args([])) as report:
        report.title("memory")
        report.say("peak", "3 MiB")
        report.title("time")
        report.say("all", "2 s")
    assert report.parts == [Facts("memory", (Fact("peak", "3 MiB"),)), Facts("time", (Fact("all", "2 s"),))]
    assert "memory\n  peak" in capsys.readouterr().out


TABLE = Table("Loading", "images/s", (Row("plain", (10, 30, 20)), Row("goe", (2500,), "best")), "plain", True)


def test_tables_as_text_and_markdown() -> None:
    assert text(TABLE).splitlines() == [
        "Loading",
        "         images/s  least   most  × plain  note",
        "  plain      20.0   10.0   30.0     1.00",
        "  goe       2,500  2,500  2,500   125.00  best",
    ]
    assert markdown(TABLE).splitlines() == [
        "**Loading**",
        "",
        "|  | images/s | least | most | × plain | note |",
        "|---|--:|--:|--:|--:|---|",
        "| plain | 20.0 | 10.0 | 30.0 | 1.00 |  |",
        "| goe | 2,500 | 2,500 | 2,500 | 125.00 | best |",
    ]
    bare = Table("", "ms", (Row("a", (1.0,)),))
    assert [len(line) for line in bare.cells] == [4, 4]
    assert markdown(Facts("Memory", (Fact("peak", "3 MiB"),))).splitlines()[2:] == [
        "|  |  |",
        "|---|---|",
        "| peak | 3 MiB |",
    ]


def test_numbers_have_three_digits() -> None:
    values = (12345.6, 123.4, 12.34, 1.234, 0.1234, 0.0, -55.5)
    assert list(map(number, values)) == ["12,346", "123", "12.3", "1.23", "0.123", "0", "-55.5"]


def test_what_the_host_took_is_a_share_of_what_was_wanted() -> None:
    before = SimpleNamespace(_fields=("user", "system", "idle", "steal"), user=10.0, system=2.0, idle=50.0, steal=1.0)
    after = SimpleNamespace(_fields=before._fields, user=15.0, system=3.0, idle=90.0, steal=3.0)
    assert stolen_share(before, after) == pytest.approx(2 / 8)
    assert stolen_share(before, before) == 0.0
