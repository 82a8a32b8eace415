"""What a run's method can be told: one Struct per training objective, and what several of them share."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

LARGEST = 2**63 - 1  # TOML promises no larger integers
Positive: TypeAlias = Annotated[int, Meta(ge=1, le=LARGEST)]
Natural: TypeAlias = Annotated[int, Meta(ge=0, le=LARGEST)]
Rate: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
OpenRate: TypeAlias = Annotated[float, Meta(gt=0.0, lt=1.0)]
NonNegative: TypeAlias = Annotated[float, Meta(ge=0.0)]
StrictlyPositive: TypeAlias = Annotated[float, Meta(gt=0.0)]

Normalise: TypeAlias = Literal["batch", "kept"]
"""What masked means divide by: the whole batch (as the authors of G-OE do) or only the items kept."""
Forward: TypeAlias = Literal["joint", "separate"]
"""`joint`: ID images and outliers share one forward pass and its batch-norm statistics. `separate`: a pass each."""


class Filter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Which outliers of a batch look like ID data and are left out (G-OE's filtering)."""

    strategy: Literal["topk", "static", "adaptive", "quantile", "none"] = "topk"
    """`topk`: the k most ID-like of the batch. `static`: at least as ID-like as the k-th least ID-like ID sample.
    `adaptive`: at least as ID-like as the mean ID sample. `quantile`: at least as ID-like as the `quantile`-quantile of
    the ID batch. `none`: keep all."""
    estimation: Literal["msp", "margin", "entropy"] = "msp"
    """Which confidence says how ID-like an outlier is."""
    k: Natural = 20
    """`topk`: outliers dropped per batch; `static`: rank in the ID batch. 0 keeps all."""
    quantile: OpenRate = 0.15
    """`quantile`: the share of the ID batch that lies below the threshold."""
    warmup_epochs: Natural = 0
    """Epochs at the start in which nothing is dropped: an untrained network's confidence says little."""


class Mix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How two images become one."""

    strategy: Literal["mixup", "cutmix"] = "mixup"
    """`mixup`: a weighted mean of the two. `cutmix`: a rectangle of the second pasted into the first."""
    alpha: StrictlyPositive = 1.0
    beta: StrictlyPositive = 1.0
    """lam, the first image's share, is drawn from Beta(alpha, beta)."""
    lam: Literal["batch", "sample"] = "batch"
    """One lam for the whole batch, or one for each mixture."""


NO_FILTER = Filter(strategy="none")


class Baseline(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", tag_field="name", tag="baseline"
):
    """Cross-entropy on ID data alone."""


class OE(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", tag_field="name", tag="oe"):
    """Outlier Exposure (Hendrycks et al., ICLR 2019)."""

    weight: NonNegative = 0.5
    """Weight of the cross-entropy from uniform on outliers."""
    forward: Forward = "joint"
    normalise: Normalise = "batch"
    filter: Filter = NO_FILTER


class EnergyOE(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", tag_field="name", tag="energy-oe"
):
    """Energy-bounded outlier exposure (Liu et al., NeurIPS 2020)."""

    weight: NonNegative = 0.1
    """Weight of the two squared hinges together."""
    m_in: float = -25.0
    """ID energies above it are penalised."""
    m_out: float = -7.0
    """Outlier energies below it are penalised."""
    forward: Forward = "joint"
    normalise: Normalise = "batch"
    filter: Filter = NO_FILTER


class MixOE(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", tag_field="name", tag="mixoe"
):
    """MixOE (Zhang et al., WACV 2023)."""

    weight: NonNegative = 5.0
    """Weight of the mixtures' soft cross-entropy."""
    mix: Mix = Mix()
    forward: Forward = "separate"
    normalise: Normalise = "batch"
    filter: Filter = NO_FILTER


class UDG(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", tag_field="name", tag="udg"):
    """Unsupervised dual grouping (Yang et al., ICCV 2021)."""

    clusters: Annotated[int, Meta(ge=2, le=LARGEST)] = 1000
    """k-means clusters over ID images and outliers together; at most as many as there are images."""
    purity: Rate = 0.8
    """Share of one class above which a cluster's unlabelled members are taken for that class."""
    oe_weight: NonNegative = 0.5
    """Weight of the outlier-exposure term on what is left of the outliers."""
    aux_weight: NonNegative = 0.1
    """Weight of the auxiliary head's clustering loss."""
    features: Positive = 256
    """Dimensions after PCA whitening; never more than the network's features have."""
    iterations: Positive = 20
    """Of k-means."""
    forward: Forward = "separate"


class GOE(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", tag_field="name", tag="goe"):
    """Generalized Outlier Exposure (Koo et al., Neurocomputing 2024)."""

    mix_weight: NonNegative = 0.5
    """Weight of the RandomMixup term; 0 mixes nothing."""
    oe_weight: NonNegative = 0.5
    """Weight of the outlier-exposure term."""
    mix: Mix = Mix()
    forward: Forward = "joint"
    normalise: Normalise = "batch"
    filter: Filter = Filter()


Method: TypeAlias = Baseline | OE | EnergyOE | MixOE | UDG | GOE
