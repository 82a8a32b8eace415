"""Result tables: rows arranged into blocks of cells, best marked, in five formats that agree cell for cell."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, get_args

import msgspec

from goe.core.results import AVERAGE, FILTER, Row

Format: TypeAlias = Literal["text", "md", "csv", "json", "latex"]
FORMATS: tuple[str, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class MetricStyle:
    """How a metric is printed."""

    title: str
    scale: float
    higher_is_better: bool | None
    """None where neither is better."""

    @property
    def heading(self) -> str:
        """Title with an arrow towards the better."""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]
        return f"{self.title}{arrow}"


# Percent and AURC × 1000, as the field's tables print them.
CLASSIFICATION = {
    "accuracy": MetricStyle("ACC %", 100, True),
    "aurc": MetricStyle("AURC ‰", 1000, False),
}
DETECTION = {
    "fpr95": MetricStyle("FPR95 %", 100, False),
    "auroc": MetricStyle("AUROC %", 100, True),
    "aupr_in": MetricStyle("AUPR-in %", 100, True),
    "aupr_out": MetricStyle("AUPR-out %", 100, True),
}
FILTERING = {
    "rate": MetricStyle("dropped %", 100, None),
    "base-rate": MetricStyle("ID among outliers %", 100, None),
    "precision": MetricStyle("precision %", 100, True),
    "recall": MetricStyle("recall %", 100, True),
}
CONVENTION = "ID is the positive class: FPR95 is the share of OOD accepted where 95 % of ID is. ± is over seeds."


@dataclass(frozen=True, slots=True)
class Cell:
    """One printed value."""

    text: str
    best: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A table with a title; the first column names the experiment."""

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]


def blocks(rows: Sequence[Row]) -> list[Block]:
    """Per benchmark and score: averages over OOD sets, one block for each OOD set, and what filters dropped."""
    found: list[Block] = []
    shown: set[tuple[str, str, str]] = set()
    scopes = dict.fromkeys((row.id_dataset, row.model, row.score, row.protocol, row.checkpoint) for row in rows)
    for scope in scopes:
        mine = [row for row in rows if (row.id_dataset, row.model, row.score, row.protocol, row.checkpoint) == scope]
        id_dataset, model, score, protocol, checkpoint = scope
        sets = [
            name for name in dict.fromkeys(row.test_set for row in mine) if name not in {id_dataset, AVERAGE, FILTER}
        ]
        context = f"{id_dataset} · {model} · score {score} · protocol {protocol} · checkpoint {checkpoint}"
        columns = [(id_dataset, metric, style) for metric, style in CLASSIFICATION.items()]
        columns += [(AVERAGE, metric, style) for metric, style in DETECTION.items()]
        found.append(_block(f"{context} · mean over {', '.join(sets)}", mine, columns))
        for name in sets:
            columns = [(name, metric, style) for metric, style in DETECTION.items()]
            found.append(_block(f"{context} · OOD: {name}", mine, columns))
        filtering = [row for row in mine if row.test_set == FILTER]
        if filtering and (id_dataset, model, checkpoint) not in shown:  # the same under every score
            shown.add((id_dataset, model, checkpoint))
            columns = [(FILTER, metric, style) for metric, style in FILTERING.items()]
            title = (
                f"{id_dataset} · {model} · filter: training outliers dropped in the epoch of checkpoint {checkpoint}"
            )
            found.append(_block(title, filtering, columns))
    return found


def _block(title: str, rows: Sequence[Row], columns: Sequence[tuple[str, str, MetricStyle]]) -> Block:
    index = {(row.experiment, row.config, row.test_set, row.metric): row for row in rows}
    experiments = list(dict.fromkeys((row.experiment, row.config) for row in rows))
    names = [experiment for experiment, _ in experiments]
    table = [[index.get((*key, test_set, metric)) for test_set, metric, _ in columns] for key in experiments]
    best = [_best([line[place] for line in table], style) for place, (_, _, style) in enumerate(columns)]
    lines = []
    for (name, config), line in zip(experiments, table, strict=True):
        label = f"{name} ({config})" if names.count(name) > 1 else name
        counts = [row for row in line if row is not None]
        seeds = f"{max(row.n for row in counts)}/{counts[0].expected}" if counts else "0"
        cells = [
            Cell(_text(row, style), row is not None and row.mean is not None and _shown(row.mean, style) == best[place])
            for place, (row, (_, _, style)) in enumerate(zip(line, columns, strict=True))
        ]
        lines.append((Cell(label), Cell(seeds), *cells))
    headings = [style.heading for _, _, style in columns]
    return Block(title, ("experiment", "seeds", *headings), tuple(lines))


def _shown(value: float, style: MetricStyle) -> float:
    return round(value * style.scale, 2)


def _best(rows: Sequence[Row | None], style: MetricStyle) -> float | None:
    """The best printed value, so that all that look equal are marked; None where there is nothing to compare."""
    values = [_shown(row.mean, style) for row in rows if row is not None and row.mean is not None]
    if len(values) < 2 or style.higher_is_better is None:
        return None
    return max(values) if style.higher_is_better else min(values)


def _text(row: Row | None, style: MetricStyle) -> str:
    if row is None or row.mean is None:
        return "–"
    spread = f" ± {row.std * style.scale:.2f}" if row.std is not None else ""
    missing = f" ({row.n}/{row.expected})" if row.n < row.expected else ""
    return f"{row.mean * style.scale:.2f}{spread}{missing}"


def render(rows: Sequence[Row], form: Format, *, bold: Callable[[str], str] = lambda text: f"*{text}") -> str:
    """`rows` as `form`. `bold` marks the best in text form; a star where the terminal knows no bold."""
    match form:
        case "text":
            return _render_text(blocks(rows), bold)
        case "md":
            return _render_markdown(blocks(rows))
        case "latex":
            return _render_latex(blocks(rows))
        case "csv":
            return _render_csv(rows)
        case "json":
            return msgspec.json.format(msgspec.json.encode([asdict(row) for row in rows]), indent=2).decode() + "\n"


def _render_text(found: Sequence[Block], bold: Callable[[str], str]) -> str:
    parts: list[str] = []
    for block in found:
        lines = [tuple(Cell(text) for text in block.header), *block.lines]
        widths = [max(_width(line[place], bold) for line in lines) for place in range(len(block.header))]
        parts += [block.title, *(_text_line(line, widths, bold) for line in lines), ""]
    return "\n".join([*parts, CONVENTION, ""])


def _text_line(line: Sequence[Cell], widths: Sequence[int], bold: Callable[[str], str]) -> str:
    padded = [
        _pad(cell, width, bold, left=place == 0) for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _pad(cell: Cell, width: int, bold: Callable[[str], str], *, left: bool) -> str:
    blank = " " * (width - _width(cell, bold))
    text = bold(cell.text) if cell.best else cell.text
    return text + blank if left else blank + text


def _width(cell: Cell, bold: Callable[[str], str]) -> int:
    """Columns on the screen: a star takes one, an escape sequence none."""
    return len(cell.text) + (cell.best and bold("").startswith("*"))


def _render_markdown(found: Sequence[Block]) -> str:
    parts = []
    for block in found:
        parts += [f"**{block.title}**", "", f"| {' | '.join(block.header)} |"]
        parts.append(f"|{'|'.join('---' if place == 0 else '---:' for place in range(len(block.header)))}|")
        cells = [[f"**{cell.text}**" if cell.best else cell.text for cell in line] for line in block.lines]
        parts += [f"| {' | '.join(line)} |" for line in cells]
        parts.append("")
    return "\n".join([*parts, CONVENTION, ""])


def _render_latex(found: Sequence[Block]) -> str:
    parts = ["% needs \\usepackage{booktabs}"]
    for block in found:
        parts += [f"% {_latex(block.title)}", f"\\begin{{tabular}}{{l{'r' * (len(block.header) - 1)}}}", "\\toprule"]
        parts += [" & ".join(_latex(text) for text in block.header) + r" \\", "\\midrule"]
        for line in block.lines:
            cells = [f"\\textbf{{{_latex(cell.text)}}}" if cell.best else _latex(cell.text) for cell in line]
            parts.append(" & ".join(cells) + r" \\")
        parts += ["\\bottomrule", "\\end{tabular}", ""]
    return "\n".join([*parts, f"% {_latex(CONVENTION)}", ""])


_LATEX = {
    "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "‰": r"$\times 10^3$", "–": "--", "·": "--",
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)


def _render_csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(Row.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in asdict(row).items()} for row in rows)
    return out.getvalue()
