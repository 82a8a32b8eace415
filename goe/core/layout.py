"""What can be asked of a table: its rows, columns, metrics, test sets and conventions, from words and checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from goe.core.errors import ConfigError, did_you_mean
from goe.core.metricstyles import STYLES, Kind
from goe.core.results import AVERAGE, FILTER, Row

RowKey: TypeAlias = Literal["experiment", "method", "model", "dataset", "score", "checkpoint"]
Columns: TypeAlias = Literal["metrics", "sets"]
Positive: TypeAlias = Literal["id", "ood"]
Ties: TypeAlias = Literal["mid-rank", "against-id"]
ROW_KEYS: tuple[RowKey, ...] = get_args(RowKey)
ALL = "all"
SCOPE = ("dataset", "model", "score", "protocol", "checkpoint")
"""What makes results incomparable: each is in the rows or separates blocks."""

FACTS: dict[str, Callable[[Row], str]] = {
    "experiment": lambda row: row.experiment,
    "method": lambda row: row.method,
    "model": lambda row: row.model,
    "dataset": lambda row: row.id_dataset,
    "score": lambda row: row.score,
    "protocol": lambda row: row.protocol,
    "checkpoint": lambda row: row.checkpoint,
}
"""What is known of a row, by the word for it on the command line."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """How metrics were worked out, beside protocol and checkpoint."""

    positive: Positive = "id"
    ties: Ties = "mid-rank"

    def __str__(self) -> str:
        return f"positive {self.positive.upper()} · ties {self.ties}"


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows become blocks of cells."""

    rows: tuple[str, ...] = ("experiment",)
    """What a line's first columns say."""
    columns: Columns = "metrics"
    """`metrics`: a block for the average and one for each OOD set. `sets`: a block for each metric."""
    metrics: tuple[str, ...] | None = None
    """Names of STYLES; empty for all there are; None for the usual ones."""
    sets: tuple[str, ...] | None = None
    """OOD test sets and `average`; None for all."""
    conventions: Conventions = field(default_factory=Conventions)

    @property
    def separate(self) -> tuple[str, ...]:
        """What each block has one of."""
        return tuple(key for key in SCOPE if key not in self.rows)


def parse_layout(
    *, rows: str = "", columns: str = "", metrics: str = "", sets: str = "", positive: str = "", ties: str = ""
) -> Layout:
    """A layout from comma-separated words, empty ones as usual. Raises ConfigError with every problem."""
    problems: list[str] = []

    def words(option: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
        found = split_words(text)
        problems.extend(_unknown(option, word, known) for word in found if word not in known)
        return found

    def word(option: str, text: str, known: Sequence[str]) -> str:
        if text and text not in known:
            problems.append(_unknown(option, text, known))
        return text or known[0]

    wanted = words("--metrics", metrics, (*STYLES, ALL))
    layout = Layout(
        rows=words("--rows", rows, ROW_KEYS) or ("experiment",),
        columns=word("--columns", columns, get_args(Columns)),  # type: ignore[arg-type]
        metrics=() if ALL in wanted else wanted or None,
        sets=split_words(sets) or None,
        conventions=Conventions(
            word("--positive", positive, get_args(Positive)),  # type: ignore[arg-type]
            word("--ties", ties, get_args(Ties)),  # type: ignore[arg-type]
        ),
    )
    if problems:
        raise ConfigError(problems)
    return layout


def check_sets(layout: Layout, rows: Sequence[Row]) -> None:
    """Raise ConfigError if the layout names test sets that no result has."""
    known = (*ood_sets(rows), AVERAGE)
    problems = [_unknown("--sets", name, known) for name in layout.sets or () if name not in known]
    if problems:
        raise ConfigError(problems)


def kind_of(row: Row) -> Kind:
    """What the row was measured on."""
    if row.test_set == FILTER:
        return Kind.FILTERING
    return Kind.CLASSIFICATION if row.test_set == row.id_dataset else Kind.DETECTION


def ood_sets(rows: Sequence[Row]) -> tuple[str, ...]:
    """The OOD test sets of `rows`, in order."""
    found = (row.test_set for row in rows if kind_of(row) is Kind.DETECTION and row.test_set != AVERAGE)
    return tuple(dict.fromkeys(found))


def split_words(text: str) -> tuple[str, ...]:
    """`a, b` as words, each once."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _unknown(option: str, word: str, known: Sequence[str]) -> str:
    return f'{option}: "{word}" is unknown{did_you_mean(word, known)}; known: {", ".join(known)}'
