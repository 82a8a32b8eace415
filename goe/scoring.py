"""A score by its name: one of goe's own, or one of pytorch-ood's detectors, fitted on the ID training images.

The detectors are loaded when one is asked for: their library takes longer to load than torch itself.
"""

import copy
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from goe.core.errors import ScoreError
from goe.models.base import Net
from goe.scores import SCORES, Outputs, Score

_BREAK = "\n"


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What detectors are made of."""

    net: Net
    """In evaluation mode, on its device."""
    training: Callable[[], tuple[Outputs, Tensor]]
    """Outputs of the un-augmented ID training images and their labels (N,); asked for only if something is fitted."""
    std: tuple[float, ...] | None
    """Per channel, that images are normalised by; None for points."""

    @property
    def head(self) -> nn.Linear:
        """A copy of the last layer on the CPU, which detectors may keep."""
        return copy.deepcopy(self.net.head).cpu().float().requires_grad_(requires_grad=False)


def fit_score(name: str, material: Material) -> Score:
    """The score called `name`, fitted if it must be.

    Raises ScoreError where it can't be fitted, and for scores that come out as NaN or infinite.
    """
    if name in SCORES:
        return _finite(name, SCORES[name])
    from goe.detectors import fit_detector

    return _finite(name, fit_detector(name, material))


def description(name: str) -> str:
    """Which code computes a score."""
    if name in SCORES:
        return f"goe.scores.{SCORES[name].__name__}"
    return f"pytorch-ood {importlib.metadata.version('pytorch-ood')}"


def needs_gradients(name: str) -> bool:
    """Whether a score runs the network again on each image."""
    return name == "odin"


def _finite(name: str, score: Score) -> Score:
    def checked(outputs: Outputs) -> Tensor:
        try:
            scores = score(outputs)
        except ValueError as error:  # scikit-learn refuses NaN itself
            raise ScoreError(f"{name}: can't be computed: {str(error).partition(_BREAK)[0]}") from error
        bad = int((~scores.isfinite()).sum())
        if bad:
            remedy = "did training diverge? else use another score"
            raise ScoreError(f"{name}: {bad} of {len(scores)} scores are NaN or infinite; {remedy}")
        return scores

    return checked
