"""Weights under the names that the authors of G-OE and of Outlier Exposure save them by, renamed to ours.

What the names are was read in jiin99/Generlized-OutlierExposure (models/wrn.py, resnet.py, densenet_bc.py; main.py
saves `net.state_dict()`) and hendrycks/outlier-exposure (CIFAR/models/wrn.py, the same). A network that was wrapped in
DataParallel, as G-OE's DenseNet is, has `module.` before every name. Groups and blocks count from 1 there and from 0
here; layers within them from 0 in both. Of a convolution there is `.weight`, of a linear layer also `.bias`, of a norm
`.weight`, `.bias`, `.running_mean`, `.running_var` and, since PyTorch 0.4.1, `.num_batches_tracked`.

    network       theirs                            ours
    WRN           conv1                             stem
                  block{g}.layer.{i}.bn{1,2}        groups.{g-1}.{i}.norm{1,2}
                  block{g}.layer.{i}.conv{1,2}      groups.{g-1}.{i}.conv{1,2}
                  block{g}.layer.0.convShortcut     groups.{g-1}.0.shortcut
                  bn1                               norm
                  fc                                head
    ResNet        conv1, bn1                        stem, norm
                  layer{g}.{i}.conv{1,2,3}          groups.{g-1}.{i}.conv{1,2,3}
                  layer{g}.{i}.bn{1,2,3}            groups.{g-1}.{i}.norm{1,2,3}
                  layer{g}.0.shortcut.{0,1}         groups.{g-1}.0.shortcut.{0,1}
                  linear                            head
    DenseNet-BC   conv1                             stem
                  block{b}.layer.{i}.bn{1,2}        blocks.{b-1}.{i}.norm{1,2}
                  block{b}.layer.{i}.conv{1,2}      blocks.{b-1}.{i}.conv{1,2}
                  trans{b}.bn1, trans{b}.conv1      transitions.{b-1}.norm, transitions.{b-1}.conv
                  bn1                               norm
                  fc                                head
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from goe.core.errors import CheckpointError
from goe.models import Net
from goe.models.resnet import BLOCKS

Tensors: TypeAlias = Mapping[str, Tensor]

WRAPPERS = ("module.", "net.")
"""What DataParallel and the like put before every name."""
OUR_HEAD = "head.weight"
COUNTER = "num_batches_tracked"
SHOWN = 3
"""Names of a kind in a message."""

_Rules: TypeAlias = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
# From ours to theirs, by the architecture's first word; the first that fits the beginning of a name counts.
_NAMES: dict[str, _Rules] = {
    "wrn": (
        (r"stem\.", "conv1."),
        (r"norm\.", "bn1."),
        (r"head\.", "fc."),
        (r"groups\.(\d+)\.(\d+)\.shortcut\.", lambda m: f"block{_next(m)}.layer.{m[2]}.convShortcut."),
        (r"groups\.(\d+)\.(\d+)\.conv", lambda m: f"block{_next(m)}.layer.{m[2]}.conv"),
        (r"groups\.(\d+)\.(\d+)\.norm", lambda m: f"block{_next(m)}.layer.{m[2]}.bn"),
    ),
    "resnet": (
        (r"stem\.", "conv1."),
        (r"norm\.", "bn1."),
        (r"head\.", "linear."),
        (r"groups\.(\d+)\.(\d+)\.norm", lambda m: f"layer{_next(m)}.{m[2]}.bn"),
        (r"groups\.(\d+)\.(\d+)\.", lambda m: f"layer{_next(m)}.{m[2]}."),
    ),
    "densenet": (
        (r"stem\.", "conv1."),
        (r"norm\.", "bn1."),
        (r"head\.", "fc."),
        (r"blocks\.(\d+)\.(\d+)\.conv", lambda m: f"block{_next(m)}.layer.{m[2]}.conv"),
        (r"blocks\.(\d+)\.(\d+)\.norm", lambda m: f"block{_next(m)}.layer.{m[2]}.bn"),
        (r"transitions\.(\d+)\.conv", lambda m: f"trans{_next(m)}.conv1"),
        (r"transitions\.(\d+)\.norm", lambda m: f"trans{_next(m)}.bn1"),
    ),
}


def load_authors(net: Net, tensors: Tensors, *, source: Path, model: str, dataset: str) -> None:
    """Load `tensors`, under the authors' names or our own, into `net`, which is a `model` (`wrn-40-2`) for `dataset`.

    Counters of seen batches, which older files lack and nothing here reads, may be missing. Raises CheckpointError,
    which says what was found in `source` and what to do, if it is another network or one of other classes.
    """
    found = unwrapped(tensors)
    own = net.state_dict()
    kind = model.partition("-")[0]
    names = {key: key if OUR_HEAD in found else authors_name(kind, key) for key in own}
    finding = _misfit(found, model) or _other_names(found, names.values())
    finding = finding or _other_classes(found[names[OUR_HEAD]], own[OUR_HEAD], dataset)
    finding = finding or _other_values({name: (found[name], own[key]) for key, name in names.items() if name in found})
    if finding:
        raise CheckpointError(f"{source}: {finding}")
    net.load_state_dict({key: found.get(name, own[key]) for key, name in names.items()})


def authors_name(kind: str, key: str) -> str:
    """What the authors call our `key` in a `wrn`, `resnet` or `densenet`; an MLP, which they have none of, keeps it."""
    for pattern, name in _NAMES.get(kind, ()):
        renamed, matches = re.subn(f"^{pattern}", name, key)
        if matches:
            return renamed
    return key


def unwrapped(tensors: Tensors) -> dict[str, Tensor]:
    """`tensors` without what DataParallel and the like put before every name, in any nesting."""
    found = dict(tensors)
    while found and (wrapper := next((w for w in WRAPPERS if all(key.startswith(w) for key in found)), None)):
        found = {key.removeprefix(wrapper): tensor for key, tensor in found.items()}
    return found


def looks_like(tensors: Tensors) -> str | None:
    """The model (such as `wrn-40-2`) that the authors' names and a few shapes speak for; None if they tell nothing."""
    stem = tensors.get("conv1.weight")
    first = tensors.get("block1.layer.0.conv1.weight")
    if stem is None or stem.ndim != 4:
        return None
    if "trans1.conv1.weight" in tensors and "block1.layer.0.conv2.weight" in tensors:
        return f"densenet-bc-{6 * _layers(tensors, 'block1.layer') + 4}-{len(stem) // 2}"
    if first is not None and first.ndim == 4 and "block1.layer.0.conv2.weight" in tensors:
        return f"wrn-{6 * _layers(tensors, 'block1.layer') + 4}-{len(first) // 16}"
    blocks = tuple(_layers(tensors, f"layer{group}") for group in (1, 2, 3, 4))
    bottleneck = "layer1.0.conv3.weight" in tensors
    fitting = [depth for depth, found in BLOCKS.items() if found == blocks and (depth == 50) == bottleneck]
    return f"resnet-{fitting[0]}" if fitting else None


def _next(match: re.Match[str]) -> int:
    return int(match[1]) + 1


def _layers(tensors: Tensors, prefix: str) -> int:
    """How many layers `prefix.0`, `prefix.1`, … there are."""
    return next(number for number in count() if f"{prefix}.{number}.conv1.weight" not in tensors)


def _misfit(found: Tensors, model: str) -> str | None:
    looks = looks_like(found)
    return f"looks like a {looks}, not a {model}; pass --model {looks}" if looks not in {None, model} else None


def _other_names(found: Tensors, names: Collection[str]) -> str | None:
    missing = [name for name in names if name not in found and not name.endswith(COUNTER)]
    extra = [name for name in found if name not in names]
    wrong = [f"{said} {_some(keys)}" for said, keys in (("it lacks", missing), ("it has", extra)) if keys]
    remedy = "the names of the G-OE and Outlier Exposure authors are known, and goe's own; check --model"
    return f"is of another network: {' and '.join(wrong)}; {remedy}" if wrong else None


def _other_classes(head: Tensor, own: Tensor, dataset: str) -> str | None:
    if head.shape[1:] != own.shape[1:] or len(head) == len(own):
        return None
    return f"has {len(head)} classes, {dataset} has {len(own)}; pass the --dataset it was trained on"


def _other_values(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> str | None:
    wrong = [
        f"{name} is {_shape(found)} instead of {_shape(own)}"
        for name, (found, own) in pairs.items()
        if found.shape != own.shape
    ]
    if wrong:
        return f"is of another network: {_some(wrong)}; check --model"
    broken = [name for name, (found, _) in pairs.items() if not found.isfinite().all()]
    return f"holds NaN or infinite values in {_some(broken)}; take another file" if broken else None


def _some(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
