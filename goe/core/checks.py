"""What no single key of a run's configuration can say: which values do not go together."""

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias, get_args

from goe.core.dataspecs import ALL, DATASETS, GENERATED, ID_IMAGES, OOD_SETS, OwnSource, is_list, is_path
from goe.core.errors import did_you_mean
from goe.core.specs import GOE, UDG, EnergyOE, Filter, MixOE

if TYPE_CHECKING:
    from goe.core.config import RunConfig

Path: TypeAlias = tuple[str, ...]
Finding: TypeAlias = tuple[set[str], Path, str]
"""The keys involved, the key to blame, and what is wrong."""

EXPERIMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,199}")


def check_together(config: "RunConfig") -> Iterator[Finding]:
    """What no single field can say: the keys involved, the key to blame, and the finding."""
    if not EXPERIMENT_NAME.fullmatch(config.experiment):
        yield (
            {"experiment"},
            ("name",),
            f'"{config.experiment}" can\'t name a folder; use up to 200 letters, digits and . _ = + -',
        )
    path: Path = ("milestones",)
    if any(late <= early for early, late in itertools.pairwise(config.milestones)):
        yield {"milestones"}, path, f"{list(config.milestones)} must rise"
    elif config.milestones and config.milestones[-1] > config.epochs:
        last = f"{config.milestones[-1]} lies beyond the last epoch, {config.epochs}"
        yield {"milestones", "epochs"}, path, last
    if config.nesterov and config.momentum == 0:
        yield {"nesterov", "momentum"}, ("nesterov",), "Nesterov needs momentum above 0"
    if config.dropout and not config.model.startswith("wrn-"):
        yield {"model", "dropout"}, ("dropout",), f"{config.model} has no dropout; leave it out, or use a WRN"
    yield from _check_method_fits(config)
    yield from _check_spiral(config)
    yield from _check_data(config)
    yield from check_ood(config)
    if config.init_from is not None and bool(config.init_from.experiment) == bool(config.init_from.file):
        yield {"init-from"}, ("init-from",), "give either an experiment of this file or a file with weights"


def _check_method_fits(config: "RunConfig") -> Iterator[Finding]:
    method = config.method
    path: Path = ("method", "filter", "k")
    match getattr(method, "filter", None):
        case Filter(strategy="topk", k=k) if k >= config.outlier_batch_size:
            found = f"k = {k} would drop the whole outlier batch of {config.outlier_batch_size}; use a smaller k"
            yield {"method", "outlier-batch-size"}, path, found
        case Filter(strategy="static", k=k) if k > config.batch_size:
            found = f"k = {k} is a rank in the ID batch of {config.batch_size}; use at most that"
            yield {"method", "batch-size"}, path, found
        case _:
            pass
    if isinstance(method, EnergyOE) and method.m_in >= method.m_out:
        found = f"m-in = {method.m_in:g} must be below m-out = {method.m_out:g}: ID energies are the lower ones"
        yield {"method"}, ("method", "m-in"), found
    size, size_out = ID_IMAGES.get(config.dataset), config.outliers.size
    if isinstance(method, UDG) and size and config.outliers.source in GENERATED and method.clusters > size + size_out:
        found = f"{method.clusters} for {size + size_out} images ({size} ID, {size_out} outliers)"
        yield {"method", "dataset", "outliers"}, ("method", "clusters"), f"{found}; choose at most one for each image"


def _check_data(config: "RunConfig") -> Iterator[Finding]:
    """Which ID and outlier sets exist, and what goes together with each."""
    known = config.dataset in DATASETS
    if not known and config.id is None:
        found = f'"{config.dataset}" is not accepted{did_you_mean(config.dataset, DATASETS)}; known: '
        found += f"{', '.join(DATASETS)}; for images of your own give id = {{ train = …, test = … }}"
        yield {"dataset"}, ("dataset",), found
    elif known and config.id is not None:
        yield {"dataset", "id"}, ("id",), f'"{config.dataset}" is goe\'s own; name your images otherwise'
    elif not EXPERIMENT_NAME.fullmatch(config.dataset):
        yield {"dataset"}, ("dataset",), f'"{config.dataset}" can\'t name files; use letters, digits and . _ = + -'
    if config.val_index and config.dataset in {"digits", "spiral"}:
        yield (
            {"val-index", "dataset"},
            ("val-index",),
            f"the validation images of {config.dataset} are fixed; leave it out",
        )
    if config.outliers.source == "tiny-images" and isinstance(config.method, UDG):
        found = "udg clusters all outliers every epoch, and these are 79 million; use random-300k"
        yield {"outliers", "method"}, ("outliers", "source"), found
    if (config.outliers.source in get_args(OwnSource)) != bool(config.outliers.path):
        found = f'"{config.outliers.source}" needs path' if not config.outliers.path else "only for folder and list"
        yield {"outliers"}, ("outliers", "path"), found


def check_ood(config: "RunConfig") -> Iterator[Finding]:
    """Which OOD test sets exist, and which protocol has them."""
    yield from _check_ood_names(config)
    if config.ood and config.dataset == "spiral":
        yield {"ood", "dataset"}, ("ood",), "the spirals' OOD points are fixed; leave it out"
    if config.protocol != "default" and config.dataset not in {"cifar10", "cifar100"}:
        yield {"protocol", "dataset"}, ("protocol",), f'"{config.protocol}" is a protocol for cifar10 and cifar100'
    if config.protocol != "default" and config.ood:
        yield {"protocol", "ood"}, ("ood",), f'protocol "{config.protocol}" has its own test sets; leave it out'
    if config.ood_mode != "drop" and config.protocol not in {"scood", "goe2024"} and not any(map(is_list, config.ood)):
        found = "only for the protocols scood and goe2024, and for image lists in ood"
        yield {"ood-mode", "protocol", "ood"}, ("ood-mode",), found


def _check_ood_names(config: "RunConfig") -> Iterator[Finding]:
    for name in config.ood:
        if name == ALL:
            if len(config.ood) > 1:
                yield {"ood"}, ("ood",), f'"{ALL}" stands for every set; leave out the others'
        elif name not in OOD_SETS and not is_path(name):
            found = f'"{name}" is not a known OOD test set{did_you_mean(name, OOD_SETS)}; known: {", ".join(OOD_SETS)}'
            yield {"ood"}, ("ood",), f"{found}, or a path with a /"
        elif name == config.dataset:
            yield {"ood", "dataset"}, ("ood",), f'"{name}" is the ID set'
        elif (name, config.dataset) == ("mnist", "digits"):
            yield {"ood", "dataset"}, ("ood",), '"mnist" shows the ID classes of digits'


def _check_spiral(config: "RunConfig") -> Iterator[Finding]:
    """The spirals are points of the plane: only an MLP takes them, and only with their own outliers."""
    points = config.dataset == "spiral"
    if points != config.model.startswith("mlp-") and config.model:
        found = "spiral has points; use mlp" if points else "an mlp takes the points of spiral, no images"
        yield {"dataset", "model"}, ("model",), found
    if points != (config.outliers.source == "square"):
        found = f'{config.dataset} does not go with outliers "{config.outliers.source}"'
        yield {"dataset", "outliers"}, ("outliers", "source"), found
    if points and (config.outliers.contamination or config.augment):
        key = "augment" if config.augment else "outliers"
        yield {"dataset", key}, (key,), "points can't be augmented nor contaminated; leave it out"
    if points and isinstance(config.method, MixOE | GOE) and config.method.mix.strategy == "cutmix":
        yield {"dataset", "method"}, ("method", "mix", "strategy"), "points can't be cut; use mixup"
