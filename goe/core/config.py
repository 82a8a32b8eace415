"""The configuration of one run: every choice that changes its result, with nothing left implicit.

A `RunConfig` is frozen and strict. Plain dictionaries (from TOML or the command line) become one through
`complete`, which fills in what depends on other choices and gathers all problems instead of stopping at the first.
"""

import functools
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from goe.core.checks import check_ood, check_together
from goe.core.dataspecs import (
    OODMode,
    Outliers,
    OwnImages,
    Protocol,
)
from goe.core.errors import ConfigError, did_you_mean
from goe.core.recipes import FILTER_RECIPES, FINE_TUNE, METHOD_RECIPES, PAPER_METHODS, PRESETS, RECIPES, Preset
from goe.core.scorespecs import ScoreName
from goe.core.specs import (
    GOE,
    LARGEST,
    Method,
    Natural,
    NonNegative,
    Positive,
    Rate,
    StrictlyPositive,
)

CheckpointName: TypeAlias = Literal["best", "last"]


class InitFrom(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A trained network to begin with instead of a random one. Either `experiment` or `file`."""

    experiment: str = ""
    """An experiment of the same queue file: its run of the same seed."""
    group: str = ""
    """That experiment's configuration, as in its run ids; the queue fills it in."""
    checkpoint: CheckpointName = "best"
    file: str = ""
    """A run's folder, or a `.safetensors` file of weights."""

    def run_id(self, seed: int) -> str:
        """The run of `experiment` that a run of this `seed` begins with."""
        return f"{self.experiment}-s{seed}-{self.group}"


class RunConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", dict=True):
    """One training run. Defaults are the paper's recipe (science: Koo et al. 2024, main.py of the authors)."""

    experiment: str
    seed: Natural
    preset: Preset = "corrected"
    """Which defaults were asked for: `paper` repeats what the authors' code does where `corrected` mends it."""
    dataset: str
    """A known ID data set, or a name of your own for the images of `id`."""
    id: OwnImages | None = None
    val_index: str = ""
    """A file of positions in the training set, zero-based, one a line, relative to the data root: the validation set.
    Without it they are 5,000 (a tenth, where there are fewer than 50,000), the same for all seeds."""
    protocol: Protocol = "default"
    """Which OOD test sets."""
    ood: tuple[str, ...] = ()
    """The OOD test sets of the protocol `default`: names, folders or lists; empty for the usual ones."""
    ood_mode: OODMode = "drop"
    skip_broken: bool = False
    """Leave images that can't be read out, named and counted, instead of refusing the set."""
    method: Method
    model: str
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)]
    init_from: InitFrom | None = None
    """Weights to begin with (fine-tuning); None trains from scratch."""
    outliers: Outliers
    epochs: Positive = 200
    batch_size: Positive = 128
    outlier_batch_size: Positive = 256
    optimiser: Literal["sgd", "adam"] = "sgd"
    lr: StrictlyPositive = 0.1
    momentum: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.9
    """With `nesterov`, of SGD; Adam has its usual 0.9 and 0.999."""
    nesterov: bool = True
    weight_decay: NonNegative = 5e-4
    schedule: Literal["multistep", "cosine"] = "multistep"
    milestones: tuple[Natural, ...]
    """Epochs after which the learning rate is multiplied by `lr_decay` (multistep only)."""
    lr_decay: StrictlyPositive = 0.1
    augment: bool = True
    """RandomCrop(32, padding 4) and horizontal flip with probability `flip`."""
    flip: Rate = 0.5
    augment_validation: bool = False
    """Validate on augmented images, as the authors' code does by mistake."""
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Of training; `auto` is bfloat16 where the chip has it, else float32. Evaluation is always in float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether the network is compiled; `auto` does it on a GPU for trainings of 10,000 steps and more."""
    sync_batch_norm: bool = True
    """With several processes for a run: batch norm over the rows of all of them, as one would do; false is faster."""
    keep_every: Natural = 0
    """Also keep the checkpoint of every n-th epoch; 0 keeps only `last` and `best`."""
    evaluate: CheckpointName = "best"
    """The checkpoint evaluated after training."""
    scores: Annotated[tuple[ScoreName, ...], Meta(min_length=1)] = ("msp",)

    @functools.cached_property
    def group(self) -> str:
        """8 hex digits of everything but name and seed: runs that differ only by seed share it.

        Fields at their default are left out, so that a field added later does not rename the runs of today.
        """
        plain = _not_default(self)
        del plain["experiment"], plain["seed"]
        return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()[:8]

    @property
    def run_id(self) -> str:
        """`<experiment>-s<seed>-<group>`: the same configuration always has the same id."""
        return f"{self.experiment}-s{self.seed}-{self.group}"

    @property
    def method_name(self) -> str:
        """The method's name as written in a queue file."""
        return method_name(self.method)


DEFAULT_METHOD = "goe"
METHODS: dict[str, type[Method]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Method)}

# The spellings of the authors' command line, beside ours.
MODEL_ALIASES = {
    "wrn": "wrn-40-2",
    "res18": "resnet-18",
    "res34": "resnet-34",
    "res50": "resnet-50",
    "dense": "densenet-bc-100-12",
    "mlp": "mlp-100-100-100",
}
MODEL_FORMS = {
    re.compile(r"wrn-([1-9][0-9]{0,2})-([1-9][0-9]{0,2})"): "wrn-<depth>-<width> with depth = 6n + 4",
    re.compile(r"resnet-(18|34|50)"): "resnet-18, resnet-34, resnet-50",
    re.compile(r"densenet-bc-([1-9][0-9]{0,2})-([1-9][0-9]{0,2})"): "densenet-bc-<depth>-<growth> with depth = 6n + 4",
    re.compile(r"mlp(-[1-9][0-9]{0,3}){1,8}"): "mlp-<width>-<width>-… (spiral only)",
}

Path: TypeAlias = tuple[str, ...]
Report: TypeAlias = Callable[[Path, str], None]
"""Called with the key's path and the finding; the caller knows file and line."""


def _not_default(part: Struct) -> dict[str, Any]:
    """The fields of `part` that differ from their defaults, structs within likewise, as plain values."""
    kept: dict[str, Any] = {}
    for field in _fields(type(part)):
        value = getattr(part, field.name)
        if isinstance(value, Struct):
            kept[field.encode_name] = {"name": value.__struct_config__.tag, **_not_default(value)}
        elif field.required or value != field.default:
            kept[field.encode_name] = msgspec.to_builtins(value)
    return kept


@functools.cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    """Msgspec works its fields out anew each time, which is most of the cost of a run's id."""
    return msgspec.structs.fields(kind)


def method_name(method: Method) -> str:
    """The tag of a method's configuration."""
    return str(type(method).__struct_config__.tag)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, tables merged key by key; a table with another `name` replaces instead of merging."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        same = both and value.get("name", old.get("name")) == old.get("name")  # type: ignore[union-attr]
        merged[key] = merge(old, value) if same else value  # type: ignore[arg-type]
    return merged


def complete(raw: Mapping[str, Any], report: Report) -> RunConfig | None:
    """Fill in what a user left out and check everything.

    `raw` has TOML's keys (kebab case) and types, with `experiment` and `seed`. Each problem is passed to `report`;
    None is returned if there was any.
    """
    failed: set[str] = set()

    def note(path: Path, finding: str) -> None:
        failed.add(path[0])
        report(path, finding)

    table = with_defaults(raw)
    _check_model(table, note)
    table.setdefault("dropout", 0.3 if str(table["model"]).startswith("wrn-") else 0.0)
    table.setdefault("milestones", _milestones(table.get("epochs", 200)))
    values = check_struct(RunConfig, table, (), note)
    values = {name: value for name, value in values.items() if name.replace("_", "-") not in failed}
    # What still stands is checked together too, with failed values left at their defaults and not judged.
    stand_in = {"experiment": "x", "seed": 0, "dataset": "digits", "method": GOE(), "model": "", "dropout": 0.0}
    config = RunConfig(**{**stand_in, "outliers": Outliers(), "milestones": (), **values})
    for involved, path, finding in check_together(config):
        if not failed.intersection(involved):
            report(path, finding)
            failed.add(path[0])
    return config if not failed else None


class Tests(Struct, frozen=True, kw_only=True):
    """OOD test sets other than the configured ones, for evaluating a run again; None keeps what is configured."""

    protocol: Protocol | None = None
    ood: tuple[str, ...] | None = None
    ood_mode: OODMode | None = None


def with_tests(config: RunConfig, tests: Tests) -> RunConfig:
    """`config` with other OOD test sets. Raises ConfigError for what does not go together."""
    chosen = {name: value for name, value in msgspec.structs.asdict(tests).items() if value is not None}
    if tests.ood and tests.protocol is None:
        chosen = {"protocol": "default", "ood_mode": "drop", **chosen}
    if tests.protocol is not None:
        chosen = {"ood": (), "ood_mode": "drop", **chosen}
    changed = msgspec.structs.replace(config, **chosen)
    problems = [f"--{'.'.join(path)}: {finding}" for _, path, finding in check_ood(changed)]
    if problems:
        raise ConfigError(problems)
    return changed


def with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """`raw` laid over what data set, preset, fine-tuning and method bring along."""
    raw = spell_out(raw)
    dataset, preset, method = raw.get("dataset", "digits"), raw.get("preset", "corrected"), raw.get("method", {})
    name = method.get("name", DEFAULT_METHOD) if isinstance(method, Mapping) else DEFAULT_METHOD
    layers: list[Mapping[str, Any]] = [{"dataset": "digits", "model": "wrn-40-2", "outliers": {}}]
    layers.append(_of(RECIPES, dataset))
    layers.append(_of(PRESETS, preset))
    layers.append(FINE_TUNE if raw.get("init-from") else {})
    usual = {"name": name, **_of(_of(METHOD_RECIPES, dataset), name)}
    if name == "goe" or (isinstance(method, Mapping) and "filter" in method):  # the others filter only when asked to
        usual["filter"] = _of(FILTER_RECIPES, dataset)
    layers.append({"method": merge(usual, _of(PAPER_METHODS, name) if preset == "paper" else {})})
    return functools.reduce(merge, [*layers, raw], {})


def _of(table: Mapping[Any, Any], key: Any) -> Mapping[str, Any]:
    """The entry of `key`, empty for a key nobody knows: that is reported elsewhere."""
    found: Mapping[str, Any] = table.get(key, {}) if isinstance(key, str) else {}
    return found


def _milestones(epochs: Any) -> list[int]:
    """After 3/5 and 4/5 of the epochs, as in the paper; fewer when these are too few to tell the two apart."""
    known = isinstance(epochs, int) and 0 < epochs <= LARGEST  # what is wrong with them is reported with the others
    return sorted({epochs * 3 // 5, epochs * 4 // 5} - {0}) if known else []


def spell_out(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Short forms written out: `method = "oe"` as a table, the authors' model names, `outliers = "china"`."""
    table = dict(raw)
    if isinstance(table.get("method"), str):
        table["method"] = {"name": table["method"]}
    if isinstance(table.get("outliers"), str):
        table["outliers"] = {"source": table["outliers"]}
    if isinstance(table.get("init-from"), str):
        is_file = "/" in table["init-from"] or table["init-from"].endswith(".safetensors")
        table["init-from"] = {"file" if is_file else "experiment": table["init-from"]}
    if isinstance(table.get("model"), str):
        table["model"] = MODEL_ALIASES.get(table["model"], table["model"])
    return table


def check_struct(kind: type[Struct], table: Any, path: Path, report: Report) -> dict[str, Any]:
    """Field values for `kind` from `table`, each checked on its own so that every problem is reported."""
    if not isinstance(table, Mapping):
        report(path, f"expected a table, got {_toml_type(table)}")
        return {}
    fields = {field.encode_name: field for field in _fields(kind)}
    tag_field = kind.__struct_config__.tag_field
    for key in table:
        if key not in fields and key != tag_field:
            report((*path, key), unknown_key(key, fields))
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in table:
            values[field.name] = _check_field(field.type, table[key], (*path, key), report)
        elif field.required:
            report((*path, key), f'"{key}" is missing')
    return values


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The finding for a key nobody reads: the nearest known key, or all of them when none is near."""
    known = list(known)
    if key == "gpus" and "gpu-count" in known:
        return 'unknown key "gpus" of an experiment: gpu-count says how many GPUs a run takes, gpus in [queue] which'
    return f'unknown key "{key}"' + (did_you_mean(key, known) or f"; known: {', '.join(sorted(known))}")


def _check_field(kind: Any, value: Any, path: Path, report: Report) -> Any:
    if kind == Method:
        return _check_method(value, path, report)
    if value is not None and NoneType in get_args(kind):
        (kind,) = set(get_args(kind)) - {NoneType}
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind(**check_struct(kind, value, path, report))
    if isinstance(value, float) and not math.isfinite(value):
        report(path, f"{value} is not a finite number")
        return None
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        report(path, _describe(error, kind, value))
        return None


def _check_method(value: Any, path: Path, report: Report) -> Any:
    name = value.get("name") if isinstance(value, Mapping) else None
    kind = METHODS.get(name) if isinstance(name, str) else None
    if kind is None:
        wrong = f'unknown method "{name}"{did_you_mean(name, METHODS)}' if isinstance(name, str) else ""
        report(path, f"{wrong or 'a method needs a name'}; known: {', '.join(sorted(METHODS))}")
        return None
    return kind(**check_struct(kind, value, path, report))


def _describe(error: msgspec.ValidationError, kind: Any, value: Any) -> str:
    choices = _choices(kind)
    words = [word for word in (value if isinstance(value, list) else [value]) if isinstance(word, str)]
    wrong = next((word for word in words if word not in choices), None)
    if wrong is not None and str(error).startswith("Invalid enum value"):
        return f'"{wrong}" is not accepted{did_you_mean(wrong, choices)}; known: {", ".join(choices)}'
    text = str(error).split(" - at ")[0].replace("`", "")
    text = text[0].lower() + text[1:]
    return text if "got" in text else f"{text}, got {value!r}"


def _choices(kind: Any) -> list[str]:
    """The words a `Literal` accepts, or the items of an array of them."""
    return [word for arg in get_args(kind) for word in ([arg] if isinstance(arg, str) else _choices(arg))]


def _toml_type(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "an array", dict: "a table"}
    return names.get(type(value), type(value).__name__)


def _check_model(table: Mapping[str, Any], report: Report) -> None:
    model = table.get("model")
    if not isinstance(model, str):
        return  # the type is reported with the others
    match = next((found for form in MODEL_FORMS if (found := form.fullmatch(model))), None)
    if match is None:
        known = "; ".join(MODEL_FORMS.values())
        examples = ["wrn-40-2", "wrn-10-1", "resnet-34", *MODEL_ALIASES]
        report(("model",), f'unknown model "{model}"{did_you_mean(model, examples)}; known: {known}')
    elif model.startswith(("wrn-", "densenet-")) and (int(match[1]) < 10 or (int(match[1]) - 4) % 6):
        kind = "WRN" if model.startswith("wrn") else "DenseNet-BC"
        report(("model",), f"\"{model}\" can't be built: a {kind}'s depth is 10, 16, 22, 28, 34, 40, …")
