"""Weights trained elsewhere, such as the authors' own, made into a run that is evaluated and tabulated like any other.

Such a run is done and was never trained here: its one attempt has the launcher `import`, its checkpoints no metrics and
no steps, and `train.log` names the file. Their epoch is the configuration's last, so that nothing trains it further.
"""

import hashlib
import io
import pickle
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import SGD

from goe import checkpoint
from goe.core.config import RunConfig
from goe.core.errors import CheckpointError, ConfigError, RunError
from goe.core.process import myself
from goe.core.records import Exit, Launch
from goe.core.rundir import RunDir, write_json
from goe.data import builtin, cifar
from goe.models import build_model
from goe.models.authors import load_authors

CLASSES = {**{name: len(names) for name, names in cifar.CLASS_NAMES.items()}, "digits": builtin.NUM_CLASSES}
"""Known without the data, which need not be here for an import."""
WRAPPERS = ("state_dict", "net")
"""Keys that training scripts put the weights under, beside their epoch and the like."""
LAUNCHER = "import"

# What torch.load was seen to raise for 12,000 cut and altered files.
_UNREADABLE = (
    pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, AssertionError, AttributeError, TypeError,
    struct.error, ArithmeticError, MemoryError,
)  # fmt: skip


def import_weights(file: Path, runs: Path, config: RunConfig) -> RunDir:
    """The run of `config` under `runs`, made from the weights in `file`.

    `file` is of `torch.save(net.state_dict())` or a `.safetensors`. The run appears whole or not at all. Raises
    CheckpointError if the file is no such file or does not fit the configuration, RunError if the run exists.
    """
    classes = CLASSES.get(config.dataset)
    if classes is None:
        known = ", ".join(CLASSES)
        raise ConfigError([f"--dataset: no weights are published for {config.dataset}; import takes {known}"])
    if (runs / config.run_id).exists():
        raise _exists(runs / config.run_id)
    started = time.time()
    tensors, digest = read_weights(file)
    net = build_model(config.model, num_classes=classes, dropout=config.dropout)
    load_authors(net, tensors, source=file, model=config.model, dataset=config.dataset)
    runs.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=runs, prefix=".import-"))
    try:
        staged = RunDir.create(beside, config)
        origin = f"imported from {file.resolve()} (SHA-256 {digest}); not trained here\n"
        staged.log_file.write_text(origin, encoding="utf-8")
        _fill(staged, config, net, started)
        return _into_place(staged, runs)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read_weights(file: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors in `file` by name, out of a wrapping dictionary if there is one, and the file's SHA-256.

    Nothing in the file is executed. Raises CheckpointError if it holds anything else.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: can't be read: {error.strerror}; check the path") from None
    found = _from_safetensors(file, data) if file.suffix == ".safetensors" else _from_torch(file, data)
    if isinstance(found, Mapping):
        found = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), found)
    if not isinstance(found, Mapping) or not found:
        raise CheckpointError(f"{file}: holds no weights by name but {_kind(found)}; {_WANTED}")
    odd = next((key for key, value in found.items() if not isinstance(key, str) or not _is_plain(value)), None)
    if odd is not None:
        raise CheckpointError(f"{file}: {odd} is no plain tensor but {_kind(found[odd])}; {_WANTED}")
    return {key: value.detach() for key, value in found.items()}, hashlib.sha256(data).hexdigest()


_WANTED = "import takes what torch.save(net.state_dict(), FILE) writes, or a .safetensors file"


def _from_torch(file: Path, data: bytes) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say of an odd file, the error says too
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        forbidden = re.search(r"GLOBAL ([\w.]+)", str(error))
        if forbidden:
            raise CheckpointError(
                f"{file}: holds {forbidden[1]}, and such objects can execute code on loading, so they are refused; "
                f"{_WANTED}"
            ) from None
        raise CheckpointError(f"{file}: not a file of torch.save, or cut or altered; {_WANTED}") from None


def _from_safetensors(file: Path, data: bytes) -> object:
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:  # KeyError: a type that torch has not
        raise CheckpointError(f"{file}: not a safetensors file, or cut or altered: {error}; {_WANTED}") from None


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_complex())
    )


def _kind(value: object) -> str:
    return f"a {type(value).__name__}" if value != {} else "nothing"


def _fill(run: RunDir, config: RunConfig, net: nn.Module, started: float) -> None:
    """Checkpoints, then the attempt that makes the run a done one."""
    checkpoint.save(
        run,
        ("best", "last"),
        net=net,
        method=nn.Module(),
        optimiser=SGD(net.parameters(), lr=config.lr),
        epoch=config.epochs,
        step=0,
        values={},
        best_accuracy=0.0,
    )
    attempt = run.claim(Launch(attempt=1, launcher=LAUNCHER, supervisor=myself(), started=started))
    assert attempt is not None, "nobody else knows of a folder this process has just made"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    ended = Exit(code=0, signal=None, started=started, ended=time.time(), peak_memory=memory)
    write_json(attempt.exit_file, ended)


def _into_place(staged: RunDir, runs: Path) -> RunDir:
    place = runs / staged.run_id
    try:
        staged.path.rename(place)
    except OSError:
        if place.exists():
            raise _exists(place) from None
        raise
    return RunDir(place)


def _exists(place: Path) -> RunError:
    return RunError(f"{place}: exists already; pass another --name or --trial, or remove it")
