"""The one training loop. It knows data, a network and a method, and names none of them.

All chance is drawn from generators keyed by (seed, purpose, epoch), so an epoch is the same whether the run came to it
in one go or was stopped and resumed before it.
"""

import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from goe import checkpoint
from goe.core.config import RunConfig
from goe.core.errors import GoeError, NonFiniteLossError
from goe.core.lineage import source_run
from goe.core.records import Values
from goe.core.rundir import RunDir
from goe.data.catalog import load_training
from goe.data.loader import TrainData
from goe.device import autocast, pick_device
from goe.journal import Journal
from goe.methods import build_method
from goe.methods.base import Batch, Method, StepOutput
from goe.models import build_model
from goe.outputs import collect

RECORD_S = 0.5
"""Between two `train` records: reading a value back makes a GPU wait, so it is done no more often."""
METHOD_STREAM = 16
"""Key of the generator for a method's own chance (mixing ratios, permutations); goe.data.loader has the others."""


class StopRequestedError(GoeError):
    """Somebody asked the run to end; not a failure."""


def train(
    run: RunDir,
    journal: Journal,
    *,
    root: Path,
    should_stop: Callable[[], bool],
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Train `run` from its last checkpoint, or from the start, to its last epoch. `say` gets lines for the log.

    Raises StopRequestedError when `should_stop` says so, NonFiniteLossError when the loss is NaN or infinite, and
    UserErrors for missing data or damaged checkpoints.
    """
    Trainer(run, journal, root=root, should_stop=should_stop, say=say).run()


class Trainer:
    """Network, method, optimiser and data of one run, and the loop over them."""

    def __init__(
        self,
        run: RunDir,
        journal: Journal,
        *,
        root: Path,
        should_stop: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        config = run.config()
        self.directory, self.config, self.journal, self.should_stop, self.say = run, config, journal, should_stop, say
        self.device = pick_device(config)
        self.sets = load_training(config, root, say)
        self.data = TrainData(self.sets, config, self.device)
        torch.manual_seed(config.seed)
        net = build_model(config.model, num_classes=self.sets.benchmark.num_classes, dropout=config.dropout)
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        self.method: Method = build_method(config.method)
        self.method.bind(self.net, self.data)
        self.method.to(self.device)
        self.optimiser = make_optimiser(config, [*self.net.parameters(), *self.method.parameters()], self.device)
        self.best_accuracy = -1.0
        self.epoch = 0

    @property
    def step(self) -> int:
        """Steps done up to the end of the current epoch."""
        return self.epoch * self.data.steps_per_epoch

    def run(self) -> None:
        """Resume if there is something to resume, then train epoch after epoch."""
        found = checkpoint.resume(
            self.directory, net=self.net, method=self.method, optimiser=self.optimiser, say=self.say
        )
        if found is not None:
            self.epoch, self.best_accuracy = found.epoch, found.best_accuracy
        elif (origin := self.config.init_from) is not None:
            source = source_run(self.directory.path.parent, self.config)
            checkpoint.begin_with(source.path if source else Path(origin.file), origin.checkpoint, self.net)
        if self.journal.continued:  # also when it ended before its first checkpoint
            self.journal.record("resume", epoch=self.epoch, step=self.step, values={})
        self.journal.update(steps=self.config.epochs * self.data.steps_per_epoch)
        self.journal.phase("training")
        clock = Clock(done=self.step, total=self.config.epochs * self.data.steps_per_epoch)
        signal.signal(signal.SIGCONT, lambda *_: clock.skip_pause())
        while self.epoch < self.config.epochs:
            self._train_epoch(clock)
            self.epoch += 1
            self._finish_epoch(clock)

    def _train_epoch(self, clock: "Clock") -> None:
        config = self.config
        torch.manual_seed(_fold(config.seed, METHOD_STREAM, self.epoch))  # dropout
        rng = np.random.default_rng([config.seed, METHOD_STREAM, self.epoch])
        self.method.start_epoch(self.net, self.data, self.epoch, rng)
        self.net.train()
        self.method.train()
        self.tally = Tally()
        clock.begin_epoch()
        for number, batch in enumerate(self.data.epoch(self.epoch), start=1):
            step = self.step + number
            rate = learning_rate(config, step - 1, self.data.steps_per_epoch)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            self.tally.add(step, self._update(batch, rng), batch, self.data.is_id)
            if clock.due():
                self._record_steps(clock, step, rate)
        if self.tally.pending:
            self._record_steps(clock, step, rate)

    def _update(self, batch: Batch, rng: np.random.Generator) -> StepOutput:
        with autocast(self.config, self.device):
            output = self.method.step(self.net, batch, rng)
        self.optimiser.zero_grad(set_to_none=True)
        output.loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return output

    def _record_steps(self, clock: "Clock", step: int, rate: float) -> None:
        values = self.tally.flush()
        images_per_s = clock.lap(step, self.tally.newest_images)
        values |= {"lr": rate, "images_per_s": images_per_s}
        self.journal.update(eta_s=clock.eta())
        self.journal.record("train", epoch=self.epoch + 1, step=step, values=values)
        if self.should_stop():
            raise StopRequestedError("stop requested")

    def _finish_epoch(self, clock: "Clock") -> None:
        accuracy, loss = self._validate()
        if not math.isfinite(loss):
            raise NonFiniteLossError(f"the validation loss after epoch {self.epoch} (step {self.step}) is {loss}")
        values = self.tally.whole() | {
            "val/accuracy": accuracy,
            "val/loss": loss,
            "lr": float(self.optimiser.param_groups[0]["lr"]),
            "images_per_s": clock.epoch_images_per_s,
            "eta_s": clock.eta(),
        }
        names = ["last"]
        if accuracy > self.best_accuracy:  # the first epoch wins a tie, as in the authors' code
            self.best_accuracy = accuracy
            names.append("best")
        if self.config.keep_every and self.epoch % self.config.keep_every == 0:
            names.append(f"epoch-{self.epoch:03d}")
        # Before the checkpoint: `resume` takes back a record that is one epoch ahead; a missing one would stay missing.
        self.journal.record("epoch", epoch=self.epoch, step=self.step, values=values)
        checkpoint.save(
            self.directory,
            tuple(names),
            net=self.net,
            method=self.method,
            optimiser=self.optimiser,
            epoch=self.epoch,
            step=self.step,
            values=values,
            best_accuracy=self.best_accuracy,
        )

    def _validate(self) -> tuple[float, float]:
        """Accuracy and mean cross-entropy on the validation set."""
        found = collect(self.net, self.data.validation(self.epoch))
        return float(found.correct.mean()), float(F.cross_entropy(found.outputs.logits, found.labels))


def make_optimiser(config: RunConfig, parameters: Sequence[nn.Parameter], device: torch.device) -> Optimizer:
    """SGD, or Adam with its usual betas, over `parameters`, weight decay on all of them as in the authors' code."""
    fused = device.type == "cuda"
    match config.optimiser:
        case "sgd":
            return SGD(
                parameters,
                lr=config.lr,
                momentum=config.momentum,
                nesterov=config.nesterov,
                weight_decay=config.weight_decay,
                fused=fused,
            )
        case "adam":
            return Adam(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=fused)


def learning_rate(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """The rate for the step after `step` done ones: constant between milestones, or a cosine over all steps to 1e-6."""
    if config.schedule == "cosine":
        share = step / (config.epochs * steps_per_epoch)
        floor = min(1e-6, config.lr)
        return floor + (config.lr - floor) * (1 + math.cos(math.pi * share)) / 2
    passed = sum(step >= milestone * steps_per_epoch for milestone in config.milestones)
    return config.lr * config.lr_decay**passed


@dataclass
class Tally:
    """Sums over steps. Each step leaves one small vector on the device; they are read back together."""

    names: tuple[str, ...] = ()
    pending: list[tuple[int, Tensor]] = field(default_factory=list)
    read: list[np.ndarray[tuple[int, int], np.dtype[np.float64]]] = field(default_factory=list)

    def add(self, step: int, output: StepOutput, batch: Batch, is_id: Tensor | None) -> None:
        """Note one step. `is_id` says of each outlier of the stream whether it is an ID image; None if nobody knows."""
        facts: dict[str, Tensor | float] = {"loss": output.loss.detach()}
        facts |= {f"loss/{name}": term for name, term in output.terms.items()}
        facts["correct"] = (output.logits.argmax(1) == batch.y).sum()
        facts["id"], facts["out"] = len(batch.y), len(batch.x_out)
        if output.dropped is not None:
            facts["dropped"] = output.dropped.sum()
            if is_id is not None:
                truth = is_id[batch.index_out]
                facts["hit"], facts["contaminated"] = (output.dropped & truth).sum(), truth.sum()
        if output.threshold is not None:
            facts["threshold"] = output.threshold
        self.names = tuple(facts)
        row = torch.stack([torch.as_tensor(fact, device=output.loss.device).float() for fact in facts.values()])
        self.pending.append((step, row))

    def flush(self) -> Values:
        """Means over the steps since the last flush. Raises NonFiniteLossError naming the first bad step."""
        steps = [step for step, _ in self.pending]
        rows = torch.stack([row for _, row in self.pending]).cpu().double().numpy()
        self.pending.clear()
        bad = np.flatnonzero(~np.isfinite(rows[:, 0]))
        if len(bad):
            raise NonFiniteLossError(
                f"the loss is {rows[bad[0], 0]} at step {steps[bad[0]]}; the last good checkpoint stands. A lower lr "
                "often helps"
            )
        self.read.append(rows)
        return summarise(self.names, rows)

    def whole(self) -> Values:
        """Means over the epoch."""
        return summarise(self.names, np.concatenate(self.read))

    @property
    def newest_images(self) -> int:
        """ID images and outliers in the steps of the last flush."""
        rows = dict(zip(self.names, self.read[-1].sum(0), strict=True))
        return int(rows["id"] + rows["out"])


def summarise(names: Sequence[str], rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Values:
    """Named means over steps (rows), filter quality from counts: precision and recall of ID images among outliers.

    `filter/rate` is the share of outliers dropped, `filter/base-rate` the share that are really ID images: a filter
    that guessed would have it as its precision.
    """
    means = dict(zip(names, rows.mean(0).tolist(), strict=True))
    total = dict(zip(names, rows.sum(0).tolist(), strict=True))
    values: Values = {name: value for name, value in means.items() if name.startswith("loss")}
    values["train/accuracy"] = total["correct"] / total["id"]
    if "dropped" in total:
        values["filter/rate"] = total["dropped"] / total["out"]
    if "threshold" in total:
        values["filter/threshold"] = means["threshold"]
    if "hit" in total:
        values["filter/precision"] = total["hit"] / total["dropped"] if total["dropped"] else None
        values["filter/recall"] = total["hit"] / total["contaminated"] if total["contaminated"] else None
        values["filter/base-rate"] = total["contaminated"] / total["out"]
    return values


@dataclass
class Clock:
    """Throughput and remaining time, from the steps of this attempt."""

    done: int
    total: int

    def __post_init__(self) -> None:
        self._first, self._begun = self.done, time.monotonic()
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Start a lap now: what came since the last one, validation and saving, is no training."""
        self._lap = self._seen = time.monotonic()
        self._images, self._seconds = 0, 0.0

    @property
    def epoch_images_per_s(self) -> float:
        """Images per second over the laps of the epoch."""
        return self._images / max(self._seconds, 1e-9)

    def due(self) -> bool:
        """Whether it is time for a record."""
        self._seen = time.monotonic()
        return self._seen - self._lap >= RECORD_S

    def skip_pause(self) -> None:
        """Leave out the time since the last step, when the process was halted and goes on."""
        now = time.monotonic()
        gap, self._seen = now - self._seen, now
        self._begun, self._lap = self._begun + gap, self._lap + gap

    def lap(self, done: int, images: int) -> float:
        """Note that `done` steps are done, with `images` images since the last lap. Images per second."""
        now = time.monotonic()
        seconds = now - self._lap
        self.done, self._lap = done, now
        self._images, self._seconds = self._images + images, self._seconds + seconds
        return images / max(seconds, 1e-9)

    def eta(self) -> float | None:
        """Seconds to the end of training; None before the first step."""
        made = self.done - self._first
        return (time.monotonic() - self._begun) / made * (self.total - self.done) if made else None


def _fold(*keys: int) -> int:
    """One 63-bit seed for torch from several keys."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> 1)
