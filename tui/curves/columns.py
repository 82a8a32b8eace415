"""The records of a run as columns of numbers, as readers hand them to charts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Records of one kind in the order of their steps, n of them; later reads never change the arrays."""

    step: "Column"
    """(n,)"""
    epoch: "Column"
    """(n,)"""
    time: "Column"
    """(n,), Unix time."""
    values: Mapping[str, "Column"]
    """Each metric (n,), NaN where a record lacks it, infinite where it says that there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class RunCurves:
    """All curves of one run, as far as they were read. Two are equal only if they are the same object."""

    run_id: str
    train: Columns
    epochs: Columns
    bad: int = 0
    """Records that could not be read."""
    cut: bool = False
    """Whether the file ends within a line."""
    read: float = 1.0
    """Share of the file that is in here; below 1 the curves are a coarse first look, spread over the whole file."""
    problem: str | None = None
    """Why they can't be read, or not any more."""
