"""Two spirals in the plane: the toy on which one can see what a method does to confidence between and beyond the data.

After the figure in the G-OE authors' repository, whose code isn't public: the well-known two-spirals set with arms
2.17 turns long, and outliers uniform over a square that the arms lie in. Points are divided by 10 for the network.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goe.data.source import TensorSet

Points = NDArray[np.float64]
"""(n, 2) in the plane's own units."""

TURN = np.deg2rad(780)
"""Angle at which an arm ends, 13.6 rad; it begins at the origin."""
PITCH = 1.5
"""Distance from the origin per radian: arms end 20.4 away, and lie 4.7 apart."""
NOISE = 0.5
"""Standard deviation of a point's distance from its arm, along each axis."""
HALF_SIDE = 40.0
"""Outliers are uniform over the square from -40 to 40."""
SCALE = 10.0
"""What coordinates are divided by for the network."""

ON_ARM = 2 * NOISE
"""An outlier at most this far from an arm is really ID: as near as 95 % of the data are."""
OFF_ARM = 3 * NOISE
"""A point at least this far from both arms and not beyond GAP_RADIUS lies in a gap between them."""
GAP_RADIUS = 18.0
FAR_RADIUS = 25.0
"""Beyond it nothing is near the data."""

TRAIN, VALIDATION, TEST = 1000, 250, 500
"""Points a class."""
OOD_POINTS = 2000
_SEEDS = {"train": 1, "validation": 2, "test": 3, "outliers": 4, "far": 5, "gaps": 6}


@dataclass(frozen=True, slots=True)
class SpiralSplits:
    """The ID sets: independent draws, each with as many points of either class."""

    train: TensorSet
    validation: TensorSet
    test: TensorSet


def splits() -> SpiralSplits:
    """The fixed training, validation and test sets."""
    return SpiralSplits(_arms("train", TRAIN), _arms("validation", VALIDATION), _arms("test", TEST))


def outliers(count: int) -> tuple[TensorSet, NDArray[np.bool_]]:
    """`count` points uniform over the square, and which of them lie on an arm and so are really ID."""
    points = _square(count, np.random.default_rng(_SEEDS["outliers"]))
    return as_set("square", points), distance_to_arms(points) <= ON_ARM


def far() -> TensorSet:
    """2,000 points of the square beyond all data."""
    return _filtered("far", lambda points: np.hypot(*points.T) > FAR_RADIUS)


def gaps() -> TensorSet:
    """2,000 points between the arms."""
    return _filtered("gaps", lambda points: (np.hypot(*points.T) <= GAP_RADIUS) & (distance_to_arms(points) >= OFF_ARM))


def as_set(name: str, points: Points, labels: NDArray[np.int64] | None = None) -> TensorSet:
    """Points as the network's input."""
    return TensorSet(name, (points / SCALE).astype(np.float32), labels)


def arm(angle: NDArray[np.float64]) -> Points:
    """(n, 2) points of the first arm's centre line at `angle` (n,) in radians; the second's are the negative."""
    points: Points = PITCH * angle[:, None] * np.stack([-np.cos(angle), np.sin(angle)], axis=1)
    return points


def distance_to_arms(points: Points) -> NDArray[np.float64]:
    """(n,) distance of each point from the nearer arm's centre line, to about 0.01."""
    from scipy.spatial import cKDTree  # takes half a second, which other data sets are spared

    line = arm(np.linspace(0, TURN, 4096))
    return np.asarray(cKDTree(np.concatenate([line, -line])).query(points)[0])


def _arms(name: str, count: int) -> TensorSet:
    """`count` points a class, spread evenly along the arm, whose length grows with the square of the angle."""
    rng = np.random.default_rng(_SEEDS[name])
    first, second = (arm(TURN * np.sqrt(rng.random(count))) for _ in range(2))
    points = np.concatenate([first, -second]) + rng.normal(0, NOISE, (2 * count, 2))
    return as_set("spiral", points, np.repeat(np.arange(2), count))


def _square(count: int, rng: np.random.Generator) -> Points:
    return rng.uniform(-HALF_SIDE, HALF_SIDE, (count, 2))


def _filtered(name: str, wanted: Callable[[Points], NDArray[np.bool_]]) -> TensorSet:
    rng = np.random.default_rng(_SEEDS[name])
    kept = np.empty((0, 2))
    while len(kept) < OOD_POINTS:
        drawn = _square(OOD_POINTS, rng)
        kept = np.concatenate([kept, drawn[wanted(drawn)]])
    return as_set(name, kept[:OOD_POINTS])
