"""What the results screen was told to show, and the `goe table` command line that prints the same."""

import os
import shlex
from glob import escape
from pathlib import Path

import msgspec

from goe.core.layout import ALL, parse_layout
from goe.core.tabulation import Request
from goe.core.where import parse_where

_PAPER_METRICS = {"aupr-in", "aupr-out"}
"""What the paper's layout leaves to choose."""


class TableLook(msgspec.Struct, frozen=True):
    """Choices as words of the command line; empty ones as usual."""

    metrics: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    columns: str = "metrics"
    scores: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    """More conditions, `KEY=PATTERN`."""
    paper_layout: bool = False
    paper_figures: bool = False
    against: str = ""
    alone: bool = False
    """One block at a time: of the screen alone."""
    sort: str = ""
    """A column's heading; empty for the order of the queue file. Of the screen alone, too."""
    descending: bool = False

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """The metrics asked for, as far as the layout lets one choose."""
        if not self.paper_layout:
            return (ALL,) if ALL in self.metrics else self.metrics
        chosen = tuple(name for name in self.metrics if name in _PAPER_METRICS)
        return chosen if len(chosen) == 1 else ()

    @property
    def conditions(self) -> list[str]:
        """As given to `--where`."""
        found = [f"score={escape(name)}" for name in self.scores]
        found += [f"checkpoint={escape(name)}" for name in self.checkpoints]
        found += [f"protocol={escape(name)}" for name in self.protocols]
        return [*found, *self.only]

    @property
    def mixed(self) -> bool:
        """Whether all protocols are shown, a block for each."""
        return not self.protocols


def request_of(look: TableLook) -> Request:
    """The table asked for. Raises ConfigError for words that mean nothing."""
    plain = look.paper_layout
    return Request(
        layout=parse_layout(
            columns="" if plain else look.columns,
            metrics=",".join(look.shown_metrics),
            sets="" if plain else ",".join(look.sets),
        ),
        where=parse_where(look.conditions),
        mixed=look.mixed,
        paper_layout=look.paper_layout,
        paper_figures=look.paper_figures,
        against=look.against,
    )


def options_of(look: TableLook) -> list[str]:
    """The options of `goe table` that ask for the same."""
    words: list[str] = []
    if look.columns != "metrics" and not look.paper_layout:
        words += ["--columns", look.columns]
    if look.shown_metrics:
        words += ["--metrics", ",".join(look.shown_metrics)]
    if look.sets and not look.paper_layout:
        words += ["--sets", ",".join(look.sets)]
    for condition in look.conditions:
        words += ["--where", condition]
    words += ["--mixed"] if look.mixed else []
    words += ["--preset", "paper"] if look.paper_layout else []
    words += ["--compare", "paper"] if look.paper_figures else []
    return [*words, "--against", look.against] if look.against else words


def command_line(look: TableLook, runs: Path, queue: Path, form: str = "text") -> str:
    """To be pasted into a shell; folder and queue file are left out where `goe` takes them anyway."""
    words = ["goe", "table", *options_of(look)]
    words += ["--format", form] if form != "text" else []
    words += ["--runs", str(runs)] if runs != Path(os.environ.get("GOE_RUNS") or "runs") else []
    words += ["--queue", str(queue)] if queue != Path(os.environ.get("GOE_QUEUE") or "experiments.toml") else []
    return shlex.join(words)
