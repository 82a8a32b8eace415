"""The names of score functions: what a run can be evaluated under."""

from typing import Literal, TypeAlias, get_args

LogitScore: TypeAlias = Literal["msp", "max-logit", "energy", "entropy", "margin"]
"""goe's own, functions of the logits (goe/scores.py)."""
DetectorName: TypeAlias = Literal[
    "gen",
    "klm",
    "openmax",
    "mahalanobis",
    "rmd",
    "gmm",
    "knn",
    "nnguide",
    "vim",
    "react",
    "vra",
    "ash",
    "scale",
    "lts",
    "dice",
    "she",
    "nci",
    "fdbd",
    "pnml",
    "gradnorm",
    "odin",
]
"""pytorch-ood's detectors (goe/detectors.py)."""
ScoreName: TypeAlias = Literal[LogitScore, DetectorName]
LOGIT_SCORES: tuple[str, ...] = get_args(LogitScore)
DETECTORS: tuple[str, ...] = get_args(DetectorName)
SCORE_NAMES: tuple[str, ...] = get_args(ScoreName)
PROBABILITIES = frozenset({"msp"})
"""Scores that are the probability of being right, if the network is calibrated: only of these is there an ECE."""
