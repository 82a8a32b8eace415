"""pytorch-ood's detectors under goe's names, fitted on the ID training images, fed with outputs computed once.

Each becomes a `Score`: higher = more ID, where the library's are higher = more OOD. Settings are the papers' for CIFAR,
else the library's defaults. Activation-shaping detectors (react, vra, ash, scale) act on the pooled features, as their
papers and OpenOOD do, and end in the energy. Not here: detectors that look into inner layers (Gram, NAC, RankFeat,
multi-layer Mahalanobis), and Monte Carlo dropout, as only WRNs have dropout.

Computed on the CPU, where the outputs are; odin alone runs the network again.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import torch
from pytorch_ood.api import Detector, FeatureMapsDetector, FeaturesDetector, LogitsDetector
from pytorch_ood.detector import (
    ASH,
    DICE,
    GEN,
    GMM,
    KNN,
    LTS,
    NCI,
    ODIN,
    PNML,
    RMD,
    SCALE,
    SHE,
    VRA,
    GradNorm,
    KLMatching,
    Mahalanobis,
    NNGuide,
    OpenMax,
    ReAct,
    ViM,
    fDBD,
)
from torch import Tensor, nn

from goe.core.errors import ScoreError
from goe.core.scorespecs import DETECTORS
from goe.scores import Outputs, Score
from goe.scoring import Material

CHUNK = 1024
"""Images scored at a time: DICE makes a (chunk, K, D) tensor."""


def fit_detector(name: str, material: Material) -> Score:
    """The detector called `name`, fitted if it must be. Raises ScoreError where it can't be fitted."""
    with _quiet():
        detector = _build(name, material)
        if detector.requires_fit:
            outputs, labels = material.training()
            if not _features(outputs).isfinite().all():
                raise ScoreError(f"{name}: features of training images are NaN or infinite; did training diverge?")
            try:
                _fit(detector, outputs, labels)
            except (ValueError, AssertionError, RuntimeError) as error:
                found = str(error).partition("\n")[0] or "the library refuses these training images"
                raise ScoreError(
                    f"{name}: can't be fitted on the training images: {found}; use another score"
                ) from error
    return lambda outputs: _score(detector, outputs)


def _build(name: str, material: Material) -> Detector:
    if name == "odin":
        std = None if material.std is None else list(material.std)
        return ODIN(material.net, norm_std=std)
    if name in _OF_LOGITS:
        return _OF_LOGITS[name]()
    return _OF_FEATURES[name](material.head)


def _neighbours(head: nn.Linear) -> int:
    """Neighbours of k-NN: 50 for CIFAR-10 and 200 for CIFAR-100 in the paper (Sun et al., ICML 2022)."""
    return 200 if head.out_features >= 100 else 50


def _principal(head: nn.Linear) -> int:
    """Dimensions of ViM's principal space, by the width of the features (Wang et al., CVPR 2022)."""
    width = head.in_features
    return 1000 if width >= 2048 else 512 if width >= 768 else width // 2


def _of_maps(head: nn.Linear) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), head)


_OF_LOGITS: dict[str, Callable[[], Detector]] = {
    "gen": lambda: GEN(None),
    "klm": lambda: KLMatching(None),
    "openmax": lambda: OpenMax(None),
}
_OF_FEATURES: dict[str, Callable[[nn.Linear], Detector]] = {
    "mahalanobis": lambda _: Mahalanobis(None),
    "rmd": lambda _: RMD(None),
    "gmm": lambda _: GMM(None, reg=1e-3),  # 1e-6 is too little for features that are 0 for a whole class
    "knn": lambda head: KNN(None, k=_neighbours(head)),
    "nnguide": lambda head: NNGuide(None, head),
    "vim": lambda head: ViM(None, _principal(head), head.weight, head.bias),
    "react": lambda head: ReAct(None, _of_maps(head)),
    "vra": lambda head: VRA(None, _of_maps(head)),
    "ash": lambda head: ASH(None, _of_maps(head)),
    "scale": lambda head: SCALE(None, _of_maps(head)),
    "lts": lambda head: LTS(None, head),
    "dice": lambda head: DICE(None, head.weight, head.bias, p=0.9),
    "she": lambda head: SHE(None, head),
    "nci": lambda head: NCI(None, head),
    "fdbd": lambda head: fDBD(None, head),
    "pnml": lambda head: PNML(None, head),
    # Of the last layer's weights alone, as in the paper: then it is a function of the features.
    "gradnorm": lambda head: GradNorm(head.requires_grad_(), micro_batch_size=CHUNK),
}
assert {*_OF_LOGITS, *_OF_FEATURES, "odin"} == set(DETECTORS)


def _fit(detector: Detector, outputs: Outputs, labels: Tensor) -> None:
    match detector:
        case LogitsDetector():
            detector.fit_logits(outputs.logits, labels)
        case FeatureMapsDetector():
            detector.fit_feature_maps(_maps(_features(outputs)), labels)
        case FeaturesDetector():
            detector.fit_features(_features(outputs), labels)
        case _:
            raise TypeError(f"{type(detector).__name__} is fitted in a way goe does not know")


def _score(detector: Detector, outputs: Outputs) -> Tensor:
    """(N,) float64 on the CPU."""
    with _quiet(), torch.set_grad_enabled(isinstance(detector, ODIN | GradNorm)):
        parts = [-part.double().cpu() for part in _parts(detector, outputs)]
    return torch.cat([part.detach() for part in parts]) if parts else outputs.logits.new_empty(0).double()


def _parts(detector: Detector, outputs: Outputs) -> Iterator[Tensor]:
    """The detector's own scores, chunk by chunk."""
    if isinstance(detector, ODIN):
        assert outputs.images is not None
        yield from (detector.predict(x) for x in outputs.images())
    elif isinstance(detector, LogitsDetector):
        yield from (detector.predict_logits(part) for part in _chunks(outputs.logits))
    elif isinstance(detector, FeatureMapsDetector):
        yield from (detector.predict_feature_maps(_maps(part)) for part in _chunks(_features(outputs)))
    elif isinstance(detector, FeaturesDetector):
        yield from (detector.predict_features(part) for part in _chunks(_features(outputs)))
    else:
        yield from (detector.predict(part) for part in _chunks(_features(outputs)))


def _chunks(rows: Tensor) -> Iterator[Tensor]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def _features(outputs: Outputs) -> Tensor:
    assert outputs.features is not None
    return outputs.features


def _maps(features: Tensor) -> Tensor:
    """Pooled features (N, D) as feature maps of one pixel, (N, D, 1, 1)."""
    return features[:, :, None, None]


def _quiet() -> AbstractContextManager[object]:
    """The library warns of what is meant here, such as fitting without a device."""
    return warnings.catch_warnings(action="ignore")
