"""Result tables: rows arranged into blocks of cells, best and second best marked. goe/core/forms writes them out."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from goe.core.cells import NO_VALUE, Beside, Cell, ranks, text_of
from goe.core.layout import FACTS, Conventions, Layout, kind_of, ood_sets
from goe.core.metricstyles import STYLES, USUAL, Kind, MetricStyle, style_of
from goe.core.results import AVERAGE, FILTER, Row

ID = ""
"""Stands for the ID test set, whichever it is."""
ALONE = Beside()
USUAL_LAYOUT = Layout()
USUAL_CONVENTIONS = Conventions()


@dataclass(frozen=True, slots=True)
class Column:
    """One metric on one test set."""

    place: str
    """An OOD test set, ID, AVERAGE or FILTER."""
    style: MetricStyle
    heading: str


@dataclass(frozen=True, slots=True)
class Line:
    """What was measured of an experiment (configuration, score, …): each row by place and metric."""

    one: Row
    """Any of its rows."""
    rows: Mapping[tuple[str, str], Row]

    def row(self, column: Column) -> Row:
        """The row of a cell; one without a value if that was not measured."""
        found = self.rows.get((column.place, column.style.key))
        place = column.place or self.one.id_dataset
        return found or replace(self.one, test_set=place, metric=column.style.key, **NO_VALUE)


@dataclass(frozen=True, slots=True)
class Block:
    """A table with a title. Its first `labels` columns say what a line is about."""

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]
    labels: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Blocks, and what has to be said of all of them."""

    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    conventions: Conventions = USUAL_CONVENTIONS


def notes(conventions: Conventions) -> tuple[str, ...]:
    """What the metrics mean."""
    sides = {
        "id": "ID is the positive class: FPR95 is the share of OOD accepted where 95 % of ID is.",
        "ood": "OOD is the positive class: FPR95 is the share of ID rejected where 95 % of OOD is.",
    }
    told = [f"{sides[conventions.positive]} ± is over seeds."]
    if conventions.ties == "against-id":
        told.append("Ties are broken against ID and AUPR is a trapezoid, as in the curve of the paper's authors.")
    return tuple(told)


(CONVENTION,) = notes(USUAL_CONVENTIONS)


def blocks(rows: Sequence[Row], layout: Layout = USUAL_LAYOUT, beside: Beside = ALONE) -> list[Block]:
    """`rows` in blocks, one scope after the other, and after the first of its data set what the filters dropped."""
    tested = [row for row in rows if row.test_set != FILTER]
    filtering = grouped(_once([row for row in rows if row.test_set == FILTER]), _filter_scope(layout))
    styles = _styles(layout, rows)
    found: list[Block] = []
    for scope, mine in grouped(tested, layout.separate).items():
        found += _tested(mine, scope_title(layout, scope), layout, styles, beside)
        place = tuple(value for key, value in zip(layout.separate, scope, strict=True) if key in _filter_scope(layout))
        dropped = filtering.pop(place, [])
        columns = [Column(FILTER, style, style.heading) for style in styles if style.kind is Kind.FILTERING]
        if dropped and columns:
            title = _filter_title(layout, dropped[0])
            found.append(block(title, lines_of(dropped), columns, _filter_keys(layout), beside))
    return found


def grouped(rows: Iterable[Row], keys: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """`rows` by their values of `keys`, in order of appearance."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(FACTS[key](row) for key in keys), []).append(row)
    return found


def scope_title(layout: Layout, scope: Sequence[str]) -> str:
    """What all of a block has in common, conventions included."""
    named = {"score", "protocol", "checkpoint"}
    parts = [f"{key} {value}" if key in named else value for key, value in zip(layout.separate, scope, strict=True)]
    return " · ".join([*parts, str(layout.conventions)])


def mean_over(rows: Sequence[Row]) -> str:
    """The sets averaged, by ID data set where they differ."""
    sets = {dataset: ood_sets(mine) for (dataset,), mine in grouped(rows, ["dataset"]).items()}
    if len(set(sets.values())) == 1:
        return ", ".join(next(iter(sets.values())))
    return "; ".join(f"{dataset}: {', '.join(names)}" for dataset, names in sets.items())


def _styles(layout: Layout, rows: Sequence[Row]) -> list[MetricStyle]:
    if layout.metrics:
        return [STYLES[name] for name in layout.metrics]
    if layout.metrics is None:
        return [STYLES[name] for name in USUAL]
    there = dict.fromkeys(style_of(kind_of(row), row.metric) for row in rows)
    return [style for style in STYLES.values() if style in there] + [
        style for style in there if style not in STYLES.values()
    ]


def _tested(
    rows: Sequence[Row], context: str, layout: Layout, styles: Sequence[MetricStyle], beside: Beside
) -> list[Block]:
    sets = [name for name in ood_sets(rows) if layout.sets is None or name in layout.sets]
    averaged = bool(ood_sets(rows)) and (layout.sets is None or AVERAGE in layout.sets)
    classification = [Column(ID, style, style.heading) for style in styles if style.kind is Kind.CLASSIFICATION]
    detection = [style for style in styles if style.kind is Kind.DETECTION]
    keys, lines = layout.rows, lines_of(rows)
    if layout.columns == "sets":
        places = [*sets, *([AVERAGE] if averaged else [])]
        found = [block(f"{context} · ID test set", lines, classification, keys, beside)] if classification else []
        average = f" · average: mean over {mean_over(rows)}" if averaged else ""
        for style in detection if places else ():
            columns = [Column(name, style, name) for name in places]
            found.append(block(f"{context} · {style.heading}{average}", lines, columns, keys, beside))
        return found
    columns = classification + [Column(AVERAGE, style, style.heading) for style in detection if averaged]
    about = f"mean over {mean_over(rows)}" if averaged else "ID test set"
    found = [block(f"{context} · {about}", lines, columns, keys, beside)] if columns else []
    for name in sets if detection else ():
        columns = [Column(name, style, style.heading) for style in detection]
        found.append(block(f"{context} · OOD: {name}", _tested_on(lines, name), columns, keys, beside))
    return found


def _tested_on(lines: Sequence[Line], name: str) -> list[Line]:
    """Those of benchmarks that have this OOD set; runs of such a benchmark that lack it stay in, as missing."""
    having = {_benchmark(line) for line in lines if any(place == name for place, _ in line.rows)}
    return [line for line in lines if _benchmark(line) in having]


def _benchmark(line: Line) -> tuple[str, str]:
    return line.one.id_dataset, line.one.protocol


# What a filter dropped hangs on the epoch alone: it is the same under every score and protocol.
def _filter_scope(layout: Layout) -> tuple[str, ...]:
    return tuple(key for key in layout.separate if key not in {"score", "protocol"})


def _filter_keys(layout: Layout) -> tuple[str, ...]:
    return tuple(key for key in layout.rows if key != "score") or ("experiment",)


def _filter_title(layout: Layout, row: Row) -> str:
    parts = [FACTS[key](row) for key in _filter_scope(layout) if key != "checkpoint"]
    checkpoint = f"checkpoint {row.checkpoint}" if "checkpoint" in layout.separate else "the checkpoint"
    return " · ".join([*parts, f"filter: training outliers dropped in the epoch of {checkpoint}"])


def _once(rows: Sequence[Row]) -> list[Row]:
    """Of rows that differ only by score and protocol those with most seeds."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for scope, mine in grouped(rows, ["experiment", "checkpoint", "score", "protocol"]).items():
        for config in dict.fromkeys(row.config for row in mine):
            own = [row for row in mine if row.config == config]
            kept = found.get((*scope[:2], config), [])
            if max(row.n for row in own) > max((row.n for row in kept), default=-1):
                found[*scope[:2], config] = own
    return [row for mine in found.values() for row in mine]


def lines_of(rows: Iterable[Row]) -> list[Line]:
    """`rows` by experiment, configuration, score and so on, in order of appearance."""
    found: dict[tuple[str, ...], dict[tuple[str, str], Row]] = {}
    for row in rows:
        place = ID if row.test_set == row.id_dataset else row.test_set
        found.setdefault(_identity(row), {})[place, row.metric] = row
    return [Line(next(iter(each.values())), each) for each in found.values()]


_identity = attrgetter("config", "experiment", "method", "model", "id_dataset", "score", "protocol", "checkpoint")


Names = Mapping[str, Mapping[str, str]]
"""Other words for values of a row key."""


def block(
    title: str,
    lines: Sequence[Line],
    columns: Sequence[Column],
    keys: Sequence[str],
    beside: Beside = ALONE,
    *,
    names: Names | None = None,
    with_seeds: bool = True,
) -> Block:
    """`lines` labelled by `keys`.

    They stand in the order given, those that share a value of the first key together, and so on. Best and second
    are marked among lines that share all labels but the last.
    """
    lines = _in_order(lines, keys)
    labels = _labels([line.one for line in lines], keys, names or {})
    groups = [label[:-1] for label in labels]
    table = [[line.row(column) for column in columns] for line in lines]
    marks = [ranks([line[place].mean for line in table], groups, column.style) for place, column in enumerate(columns)]
    made = []
    for number, (label, line) in enumerate(zip(labels, table, strict=True)):
        cells = [
            text_of(row, column.style, marks[place][number], beside)
            for place, (row, column) in enumerate(zip(line, columns, strict=True))
        ]
        seeds = [Cell(f"{max(row.n for row in line)}/{line[0].expected}")] if with_seeds else []
        made.append((*map(Cell, label), *seeds, *cells))
    header = (*keys, *(["seeds"] if with_seeds else []), *(column.heading for column in columns))
    return Block(title, header, tuple(made), len(keys))


def _in_order(lines: Sequence[Line], keys: Sequence[str]) -> list[Line]:
    places: list[dict[str, int]] = [{} for _ in keys]
    for line in lines:
        for known, key in zip(places, keys, strict=True):
            known.setdefault(FACTS[key](line.one), len(known))
    return sorted(
        lines, key=lambda line: [known[FACTS[key](line.one)] for known, key in zip(places, keys, strict=True)]
    )


_TELLING: tuple[Callable[[Row], str], ...] = (
    lambda row: row.experiment,
    lambda row: row.config,
    lambda row: row.score,
    lambda row: row.checkpoint,
)
"""What tells lines with the same labels apart, the first that does."""


def _labels(rows: Sequence[Row], keys: Sequence[str], names: Names) -> list[tuple[str, ...]]:
    """Labels, with what tells them apart in brackets where several lines would have the same."""
    plain = [tuple(names.get(key, {}).get(FACTS[key](row), FACTS[key](row)) for key in keys) for row in rows]
    counts = Counter(plain)
    found = []
    for label, row in zip(plain, rows, strict=True):
        if counts[label] > 1:
            alike = [other for other, own in zip(rows, plain, strict=True) if own == label]
            label = (*label[:-1], f"{label[-1]} ({' '.join(_apart(row, alike))})")
        found.append(label)
    return found


def _apart(row: Row, alike: Sequence[Row]) -> list[str]:
    chosen: list[Callable[[Row], str]] = []
    for fact in _TELLING:
        if len({tuple(one(other) for one in chosen) for other in alike}) == len(alike):
            break
        if len({fact(other) for other in alike}) > 1:
            chosen.append(fact)
    return [fact(row) for fact in chosen]
