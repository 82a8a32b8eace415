"""Which runs are meant, where the data sets are, and how the worker is started."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.commands.options import DEFAULT_QUEUE
from tui.commands.output import warn

if TYPE_CHECKING:
    from goe.core.rundir import RunDir


WORKER = [sys.executable, "-P", "-m", "goe.worker"]
"""The process that imports torch."""


def select(runs: Path, names: Sequence[str] | None, dataset: str | None, model: str | None) -> "list[RunDir]":
    """The named runs, or all of the folder, that are on this data set and of this model. Raises RunError."""
    from goe.core.config import MODEL_ALIASES
    from goe.core.errors import RunError
    from goe.core.rundir import find_runs

    meant = [run for name in names for run in _named(runs, name)] if names else find_runs(runs)
    if dataset is None and model is None and names:
        return meant
    wanted_model = MODEL_ALIASES.get(model, model) if model else None
    found = []
    for run in meant:
        try:
            config = run.config()
        except RunError as error:
            print(f"warning: {error}", file=sys.stderr)
            continue
        if dataset in {None, config.dataset} and wanted_model in {None, config.model}:
            found.append(run)
    return found


def _named(runs: Path, name: str) -> "list[RunDir]":
    """The run called `name`, or every seed of the experiment."""
    from goe.core.errors import RunError
    from goe.core.groups import select_groups
    from goe.core.rundir import resolve_run

    try:
        return [resolve_run(runs, name)]
    except RunError as error:
        try:
            return [run for group in select_groups(runs, [name]) for run in group.runs]
        except RunError:
            raise error from None


def use_data(chosen: Path | None, queue: Path | None = None) -> Path:
    """The folder with the data sets, `chosen` or as the queue file says; told to every process started from here."""
    from goe.core.errors import ConfigError
    from goe.core.queuefile import load_options

    root, queue = chosen, queue or Path(os.environ.get("GOE_QUEUE", DEFAULT_QUEUE))
    if root is None and queue.exists():
        try:
            said = load_options(queue).data
            root = Path(said) if said else None
        except ConfigError as error:
            warn(f"{error}; its [queue] is not read, so data sets are looked for in data")
    root = root or Path("data")
    os.environ["GOE_DATA"] = str(root.absolute())
    return root
