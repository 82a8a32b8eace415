"""What benchmarks find: compared sides and single facts, as JSON, as text and as Markdown."""

from collections.abc import Sequence
from statistics import median
from typing import TypeAlias

from msgspec import Struct


class Row(Struct, frozen=True):
    """One side of a comparison."""

    name: str
    values: tuple[float, ...]
    """One a round."""
    note: str = ""

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.values)


class Table(Struct, frozen=True, tag="table"):
    """Sides measured by turns, and their ratio to one of them."""

    title: str
    unit: str
    rows: tuple[Row, ...]
    baseline: str = ""
    """The row that the others are compared with; empty for none."""
    more_is_better: bool = False

    def ratio(self, row: Row) -> float | None:
        """How many times better than the baseline: faster, or smaller. None without a baseline."""
        base = next((each.middle for each in self.rows if each.name == self.baseline), None)
        if base is None or not row.middle or not base:
            return None
        return row.middle / base if self.more_is_better else base / row.middle

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Heading and rows as text, without columns that would be empty."""
        lines: list[tuple[str, ...]] = [("", self.unit, "least", "most", f"× {self.baseline}", "note")]
        for row in self.rows:
            ratio = self.ratio(row)
            numbers = map(number, (row.middle, min(row.values), max(row.values)))
            lines.append((row.name, *numbers, "" if ratio is None else f"{ratio:.2f}", row.note))
        filled = [place for place in range(6) if place < 4 or any(line[place] for line in lines[1:])]
        return [tuple(line[place] for place in filled) for line in lines]


class Fact(Struct, frozen=True):
    """One finding in words."""

    what: str
    said: str


class Facts(Struct, frozen=True, tag="facts"):
    """Findings on one matter."""

    title: str
    facts: tuple[Fact, ...]


Part: TypeAlias = Table | Facts


class Machine(Struct, frozen=True, kw_only=True):
    """Where and with what it was measured."""

    cpu: str
    cores: int
    memory_gib: float
    gpus: tuple[str, ...]
    system: str
    python: str
    packages: dict[str, str]
    threads: int | None = None
    """Of torch; None where it is not used."""
    code: str = ""
    """Commit, or version."""
    load: float = 0.0
    """Of the last minute, before anything was measured."""

    def __str__(self) -> str:
        hardware = [f"{self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB", *self.gpus]
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        threads = "" if self.threads is None else f"; {self.threads} threads"
        return f"{'; '.join(hardware)}; {self.system}, Python {self.python}, {packages}{threads}; goe {self.code}"


class Record(Struct, frozen=True, kw_only=True):
    """All that one script found."""

    script: str
    day: str
    quick: bool
    """Whether it was only to see that it works."""
    rounds: int
    machine: Machine
    parts: tuple[Part, ...]
    stolen: float = 0.0
    """Share of the CPU time wanted meanwhile that the host gave to other machines; 0 where it doesn't say."""


class Results(Struct, frozen=True):
    """The file of a whole run: the last findings of each script."""

    records: tuple[Record, ...]


def number(value: float) -> str:
    """Three significant digits or all before the point: `12,345`, `123`, `12.3`, `1.23`, `0.0123`."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}" if size < 1 else f"{value:.2f}"


def text(part: Part) -> str:
    """For the terminal."""
    if isinstance(part, Facts):
        width = max((len(fact.what) for fact in part.facts), default=0)
        return "\n".join([part.title, *(fact_line(fact, width) for fact in part.facts)])
    cells = part.cells
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    return "\n".join([part.title, *(_columns(line, widths, cells[0][-1] == "note") for line in cells)])


def fact_line(fact: Fact, width: int) -> str:
    """A finding, its description `width` wide."""
    return f"  {fact.what:<{width}}  {fact.said}".rstrip()


def _columns(line: Sequence[str], widths: Sequence[int], noted: bool) -> str:
    ends = {0, len(line) - 1} if noted else {0}
    aligned = (
        f"{cell:<{width}}" if place in ends else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    )
    return f"  {'  '.join(aligned)}".rstrip()


def markdown(part: Part) -> str:
    """For docs/performance.md."""
    if isinstance(part, Facts):
        lines: list[tuple[str, ...]] = [("", ""), *((fact.what, fact.said) for fact in part.facts)]
        align = ["---", "---"]
    else:
        lines = part.cells
        align = ["---" if place == 0 or cell == "note" else "--:" for place, cell in enumerate(lines[0])]
    body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([f"**{part.title}**", "", body[0], "|" + "|".join(align) + "|", *body[1:]])
