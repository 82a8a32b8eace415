"""How metrics are called and printed: one name on the command line, one heading, one scale each."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a metric is measured on."""

    CLASSIFICATION = "the ID test set"
    DETECTION = "an OOD test set against the ID test set"
    FILTERING = "the training outliers"


@dataclass(frozen=True, slots=True)
class MetricStyle:
    """How a metric is printed."""

    title: str
    scale: float
    """From the fraction to what is printed."""
    higher_is_better: bool | None
    """None where neither is better."""
    kind: Kind
    key: str
    """Its name in the evaluation record."""

    @property
    def heading(self) -> str:
        """Title with an arrow towards the better."""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]
        return f"{self.title}{arrow}"


def _classification(title: str, key: str, higher: bool, scale: float = 100) -> MetricStyle:
    return MetricStyle(title, scale, higher, Kind.CLASSIFICATION, key)


def _detection(title: str, key: str, higher: bool) -> MetricStyle:
    return MetricStyle(title, 100, higher, Kind.DETECTION, key)


def _filtering(title: str, key: str, higher: bool | None) -> MetricStyle:
    return MetricStyle(title, 100, higher, Kind.FILTERING, key)


# Percent and AURC × 1000, as the field's tables print them.
STYLES: dict[str, MetricStyle] = {
    "accuracy": _classification("ACC %", "accuracy", True),
    "aurc": _classification("AURC ‰", "aurc", False, 1000),
    "e-aurc": _classification("E-AURC ‰", "e_aurc", False, 1000),
    "ece": _classification("ECE %", "ece", False),
    "auroc-error": _classification("AUROC-error %", "auroc", True),
    "aupr-error": _classification("AUPR-error %", "aupr_error", True),
    "fpr95-error": _classification("FPR95-error %", "fpr95", False),
    "fpr95": _detection("FPR95 %", "fpr95", False),
    "auroc": _detection("AUROC %", "auroc", True),
    "aupr-in": _detection("AUPR-in %", "aupr_in", True),
    "aupr-out": _detection("AUPR-out %", "aupr_out", True),
    "detection-error": _detection("detection error %", "detection_error", False),
    "ccr-1e4": _detection("CCR@FPR 1e-4 %", "ccr_1e4", True),
    "ccr-1e3": _detection("CCR@FPR 1e-3 %", "ccr_1e3", True),
    "ccr-1e2": _detection("CCR@FPR 1e-2 %", "ccr_1e2", True),
    "ccr-1e1": _detection("CCR@FPR 1e-1 %", "ccr_1e1", True),
    "filter-rate": _filtering("dropped %", "rate", None),
    "filter-base-rate": _filtering("ID among outliers %", "base-rate", None),
    "filter-precision": _filtering("precision %", "precision", True),
    "filter-recall": _filtering("recall %", "recall", True),
}
"""By the name on the command line. `…-error` tell right from wrong answers instead of ID from OOD."""
USUAL = (
    *("accuracy", "aurc", "fpr95", "auroc", "aupr-in", "aupr-out"),
    *("filter-rate", "filter-base-rate", "filter-precision", "filter-recall"),
)
"""What a table has unless it is told otherwise."""


def style_of(kind: Kind, key: str) -> MetricStyle:
    """The style of a metric of the evaluation record; of one not known here, its key in percent."""
    known = (style for style in STYLES.values() if (style.kind, style.key) == (kind, key))
    return next(known, MetricStyle(f"{key} %", 100, None, kind, key))
