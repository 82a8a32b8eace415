"""Checkpoints: safetensors for weights and training state, a small JSON index that names and vouches for them.

`<name>.json` points to `epoch-NNN.safetensors` (network) and `epoch-NNN.state.safetensors` (optimiser and method). Data
files are written once and never replaced; only the index is, atomically, so a checkpoint is whole or the older one
still stands, and `best` and `last` may share their files. Nothing is unpickled, so nothing is executed on load.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from goe.core.errors import CheckpointError, RunError, did_you_mean
from goe.core.inventory import index_files
from goe.core.records import CheckpointIndex, Values
from goe.core.rundir import RunDir, read_json, write_atomic, write_json
from goe.core.thresholds import SUFFIX

METHOD_PREFIX = "method."
OPTIMISER_PREFIX = "optimiser."
HEAD = "head.weight"
"""Of every network, (K, D)."""


def save(
    run: RunDir,
    names: tuple[str, ...],
    *,
    net: nn.Module,
    method: nn.Module,
    optimiser: Optimizer,
    epoch: int,
    step: int,
    values: Values,
    best_accuracy: float,
) -> None:
    """Write the state after `epoch` and point each of `names` (such as `last`, `best`) to it.

    Raises OSError where it can't be written; the older checkpoints stand, and what was written of this one is removed.
    """
    weights = _plain(net.state_dict())
    state = {METHOD_PREFIX + key: value for key, value in _plain(method.state_dict()).items()}
    for key, parameter in _parameters(net, method).items():
        for slot, value in optimiser.state.get(parameter, {}).items():  # such as momentum_buffer, exp_avg
            if value is not None:
                state[f"{OPTIMISER_PREFIX}{slot}.{key}"] = value.detach().cpu().contiguous()
    stem = f"epoch-{epoch:03d}"
    try:
        index = CheckpointIndex(
            epoch=epoch,
            step=step,
            weights=f"{stem}.safetensors",
            weights_sha256=_write(run.checkpoints / f"{stem}.safetensors", weights),
            state=f"{stem}.state.safetensors",
            state_sha256=_write(run.checkpoints / f"{stem}.state.safetensors", state),
            values=values,
            best_accuracy=best_accuracy,
            saved=time.time(),
        )
        for name in sorted(names, key=lambda name: name == "last"):  # `last` at the end: only then is the epoch done
            write_json(run.checkpoints / f"{name}.json", index)
    finally:
        _sweep(run.checkpoints)


def read_index(run: RunDir, name: str) -> CheckpointIndex | None:
    """The index of checkpoint `name`, or None if there is none. Raises CheckpointError if it is damaged."""
    try:
        return read_json(run.checkpoints / f"{name}.json", CheckpointIndex)
    except RunError as error:
        raise CheckpointError(f"{str(error).rpartition(';')[0]}; {_remedy(run, name)}") from None


def load_weights(run: RunDir, name: str, net: nn.Module) -> CheckpointIndex:
    """Load the network of checkpoint `name`. Raises CheckpointError if it is missing, cut or altered."""
    index = read_index(run, name)
    if index is None:
        near = did_you_mean(name, [path.stem for path in index_files(run.checkpoints)])
        remedy = f"`goe checkpoints {run.run_id}` lists them"
        raise CheckpointError(f"{run.checkpoints / name}.json: there is no such checkpoint{near}; {remedy}")
    try:
        tensors = _read(run.checkpoints / index.weights, index.weights_sha256, name)
    except _DamageError as error:
        if read_index(run, name) == index:
            raise CheckpointError(f"{error}; {_remedy(run, name, index.weights)}") from None
        return load_weights(run, name, net)  # training went on meanwhile and replaced it
    _load(net, tensors, run.checkpoints / index.weights)
    return index


def resume(
    run: RunDir,
    *,
    net: nn.Module,
    method: nn.Module,
    optimiser: Optimizer,
    say: Callable[[str], None] = lambda _: None,
) -> CheckpointIndex | None:
    """Restore everything `save` wrote from `last`, or else from the newest other checkpoint that is whole.

    None if the run has no checkpoint yet. `say` is told of each one that is passed over. Raises CheckpointError if none
    is whole, or if the checkpoint is of another network.
    """
    damage: dict[Path, str] = {}
    for name, index in _newest_first(run, damage):
        try:
            weights = _read(run.checkpoints / index.weights, index.weights_sha256, name)
            state = _read(run.checkpoints / index.state, index.state_sha256, name)
        except _DamageError as error:
            damage.setdefault(error.path, str(error))
            continue
        if damage:
            say(f"warning: {'; '.join(damage.values())}; going on from checkpoint {name}, epoch {index.epoch}")
        _load(net, weights, run.checkpoints / index.weights)
        own = {key.removeprefix(METHOD_PREFIX): value for key, value in state.items() if key.startswith(METHOD_PREFIX)}
        _load(method, own, run.checkpoints / index.state)
        _load_optimiser(optimiser, state, _parameters(net, method))
        return index
    if damage:
        what = "the file" if len(damage) == 1 else "one of them"
        remedy = f"restore {what}, or remove {run.checkpoints} to train from the start"
        raise CheckpointError(f"{'; '.join(damage.values())}; {remedy}")
    return None


def _newest_first(run: RunDir, damage: dict[Path, str]) -> Iterator[tuple[str, CheckpointIndex]]:
    """The checkpoints to resume from: `last`, then the others, newest first. What can't be read goes to `damage`."""
    others = [path.stem for path in index_files(run.checkpoints) if path.stem != "last"]
    last = _index(run, "last", damage)
    if last is not None:
        yield "last", last
    elif others and not damage:
        path = run.checkpoints / "last.json"
        damage[path] = f"{path}: missing"
    found = [(name, index) for name in others if (index := _index(run, name, damage)) is not None]
    yield from sorted(found, key=lambda entry: entry[1].epoch, reverse=True)


def _index(run: RunDir, name: str, damage: dict[Path, str]) -> CheckpointIndex | None:
    path = run.checkpoints / f"{name}.json"
    try:
        return read_json(path, CheckpointIndex)
    except RunError as error:
        damage[path] = str(error).rpartition(";")[0]
        return None


def _load_optimiser(optimiser: Optimizer, state: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]) -> None:
    slots = {key.split(".")[1] for key in state if key.startswith(OPTIMISER_PREFIX)}
    for key, parameter in parameters.items():
        for slot in slots:
            value = state.get(f"{OPTIMISER_PREFIX}{slot}.{key}")
            if value is not None and value.shape == parameter.shape:
                # In the parameter's own memory layout, or channels-last training would not continue bit for bit.
                optimiser.state[parameter][slot] = torch.empty_like(parameter).copy_(value)
            elif value is not None:  # a step count, which Adam keeps on the host unless fused
                fused = optimiser.defaults.get("fused")
                optimiser.state[parameter][slot] = value.to(parameter.device) if fused else value


def begin_with(path: Path, checkpoint: str, net: nn.Module) -> None:
    """Load the weights that fine-tuning begins with: checkpoint `checkpoint` of a run's folder, or a weights file.

    Raises CheckpointError where they are missing, damaged, or those of another network or number of classes.
    """
    if path.is_dir():
        load_weights(RunDir(path), checkpoint, net)
        return
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except OSError as error:
        remedy = "init-from takes a run's folder or a .safetensors file"
        raise CheckpointError(f"{path}: can't be read: {error.strerror}; {remedy}") from None
    except (safetensors.SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}; init-from needs one") from None
    _load(net, tensors, path)


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}


def _parameters(net: nn.Module, method: nn.Module) -> dict[str, nn.Parameter]:
    own = {METHOD_PREFIX + key: parameter for key, parameter in method.named_parameters()}
    return {**dict(net.named_parameters()), **own}


def _write(path: Path, tensors: Mapping[str, Tensor]) -> str:
    data = safetensors.torch.save(dict(tensors))
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()


class _DamageError(Exception):
    """A data file that is missing, cut or altered, and the finding without a remedy."""

    def __init__(self, path: Path, finding: str) -> None:
        self.path = path
        super().__init__(f"{path}: {finding}")


def _read(path: Path, digest: str, name: str) -> dict[str, Tensor]:
    """The tensors of a data file that the index of checkpoint `name` vouches for by `digest`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _DamageError(path, f"can't be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise _DamageError(path, f"cut or altered: its SHA-256 is not the one in {name}.json")
    try:
        return dict(safetensors.torch.load(data))
    except (safetensors.SafetensorError, ValueError) as error:
        raise _DamageError(path, f"not a safetensors file: {error}") from None


def _load(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    own = module.state_dict()
    found, wanted = tensors.get(HEAD), own.get(HEAD)
    if found is not None and wanted is not None and found.shape[1:] == wanted.shape[1:] and len(found) != len(wanted):
        raise CheckpointError(f"{path}: is of {len(found)} classes; this run has {len(wanted)}: use another checkpoint")
    misfits = sorted(key for key in own.keys() | tensors.keys() if _shape(own, key) != _shape(tensors, key))
    if misfits:
        key = misfits[0]
        finding = f"{key} is {_shape(tensors, key)}, this network's {_shape(own, key)}"
        more = f" and {len(misfits) - 1} others differ" if misfits[1:] else ""
        raise CheckpointError(f"{path}: is of another network: {finding}{more}; check the run's model")
    module.load_state_dict(dict(tensors))


def _shape(tensors: Mapping[str, Tensor], key: str) -> str:
    return "x".join(map(str, tensors[key].shape)) or "a number" if key in tensors else "missing"


def _remedy(run: RunDir, name: str, damaged: str | None = None) -> str:
    """What to do about checkpoint `name`: the other one is offered only if it stands without the `damaged` file."""
    other = "best" if name == "last" else "last"
    try:
        index = read_json(run.checkpoints / f"{other}.json", CheckpointIndex)
    except RunError:
        index = None
    if index is not None and damaged not in {index.weights, index.state}:
        return (
            f"restore the file, or go on from `{other}`: "
            f"cp {run.checkpoints / other}.json {run.checkpoints / name}.json"
        )
    return f"restore the file, or remove {run.checkpoints} to train from the start"


def _sweep(folder: Path) -> None:
    """Remove data files no index names, and what a killed worker left half written.

    An index that can't be read stops the sweep: it may name any of them.
    """
    used: set[str] = set()
    for path in index_files(folder):
        try:
            index = read_json(path, CheckpointIndex)
        except RunError:
            return
        if index is not None:
            used |= {index.weights, index.state}
    for path in folder.iterdir():
        unfinished = path.name.startswith((".epoch-", ".best.json.", ".last.json."))
        weights = path.name.removesuffix(SUFFIX) + ".safetensors" if path.name.endswith(SUFFIX) else path.name
        if unfinished or (weights.endswith(".safetensors") and weights not in used):
            path.unlink(missing_ok=True)
