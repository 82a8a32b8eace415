"""The one training loop. It knows data, a network and a method, and names none of them.

All chance is drawn from generators keyed by (seed, purpose, epoch), so an epoch is the same whether the run came to it
in one go or was stopped and resumed before it.
"""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from goe import checkpoint
from goe.compiling import compile_net, wants_compiling
from goe.core.config import RunConfig
from goe.core.errors import GoeError, MemoryLackError, NonFiniteLossError
from goe.core.lineage import source_run
from goe.core.rundir import RunDir
from goe.data.catalog import load_training
from goe.data.loader import TrainData
from goe.device import pick_compute
from goe.fitting import lack_of_memory, shared_lack
from goe.journal import Journal, Silence
from goe.methods import build_method
from goe.methods.base import Batch, Method, StepOutput
from goe.models import build_model
from goe.outputs import collect
from goe.parallel import ALONE, Step, Team, averaged, company, share_out
from goe.tally import Tally

RECORD_S = 0.5
"""Between two `train` records: reading a value back makes a GPU wait, so it is done no more often."""
METHOD_STREAM = 16
"""Key of the generator for a method's own chance (mixing ratios, permutations); goe.data.loader has the others."""


class StopRequestedError(GoeError):
    """Somebody asked the run to end; not a failure."""


def train(
    run: RunDir,
    journal: Journal | Silence,
    *,
    root: Path,
    should_stop: Callable[[], bool],
    wind_down: Callable[[float], bool] = lambda _: False,
    say: Callable[[str], None] = lambda _: None,
    team: Team = ALONE,
) -> None:
    """Train `run` from its last checkpoint, or from the start, to its last epoch. `say` gets lines for the log.

    Each rank of a `team` calls this; only the first one's journal and what it is given to call should do anything.

    Raises StopRequestedError when `should_stop` says so, or `wind_down` of the seconds to the next checkpoint,
    NonFiniteLossError when the loss is NaN or infinite, UserErrors for missing data or damaged checkpoints, and
    LostRankError where another rank ended.
    """
    with company() if team.size > 1 else contextlib.nullcontext():
        Trainer(run, journal, root=root, should_stop=should_stop, wind_down=wind_down, say=say, team=team).run()


class Trainer:
    """Network, method, optimiser and data of one run, and the loop over them."""

    def __init__(
        self,
        run: RunDir,
        journal: Journal | Silence,
        *,
        root: Path,
        should_stop: Callable[[], bool],
        wind_down: Callable[[float], bool] = lambda _: False,
        say: Callable[[str], None],
        team: Team = ALONE,
    ) -> None:
        config = run.config()
        self.team = team
        self.directory, self.config, self.journal, self.say = run, config, journal, say
        self.should_stop, self.wind_down = should_stop, wind_down
        self.compute = pick_compute(config)
        self.device = self.compute.device
        with team.first():
            self.sets = load_training(config, root, say)
        self.data = TrainData(self.sets, config, self.device, team=team)
        torch.manual_seed(config.seed)
        net = build_model(config.model, num_classes=self.sets.benchmark.num_classes, dropout=config.dropout)
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        if team.size > 1:
            share_out(self.net, team, sync=config.sync_batch_norm)
        self.method: Method = build_method(config.method)
        self.method.bind(self.net, self.data)
        self.method.to(self.device)
        self.optimiser = make_optimiser(config, [*self.net.parameters(), *self.method.parameters()], self.device)
        self.averaged: Step | None = None
        """The method's step where there are other ranks to take it with."""
        self.best_accuracy = -1.0
        self.epoch = 0

    @property
    def step(self) -> int:
        """Steps done up to the end of the current epoch."""
        return self.epoch * self.data.steps_per_epoch

    def run(self) -> None:
        """Resume if there is something to resume, then train epoch after epoch."""
        self.compute.apply()
        for note in self.compute.notes:
            self.say(f"note: {note}")
        if wants_compiling(self.config, self.device, self.config.epochs * self.data.steps_per_epoch):
            if self.team.size == 1:
                compile_net(self.net, self.device, self.say)
            else:
                self.say("note: compile: only a single process compiles; the network runs as it is")
        found = checkpoint.resume(
            self.directory, net=self.net, method=self.method, optimiser=self.optimiser, say=self.say
        )
        if found is not None:
            self.epoch, self.best_accuracy = found.epoch, found.best_accuracy
        elif (origin := self.config.init_from) is not None:
            source = source_run(self.directory.path.parent, self.config)
            checkpoint.begin_with(source.path if source else Path(origin.file), origin.checkpoint, self.net)
        if self.team.size > 1:
            self.averaged = averaged(self.net, self.method)
        if self.journal.continued:  # also when it ended before its first checkpoint
            self.journal.record("resume", epoch=self.epoch, step=self.step, values={})
        self.journal.update(steps=self.config.epochs * self.data.steps_per_epoch)
        self.journal.phase("training")
        clock = Clock(done=self.step, total=self.config.epochs * self.data.steps_per_epoch)
        signal.signal(signal.SIGCONT, lambda *_: clock.skip_pause())
        while self.epoch < self.config.epochs:
            try:
                self._train_epoch(clock)
            except torch.OutOfMemoryError as error:
                raise self._lack_of_memory(error) from None
            self.epoch += 1
            self._finish_epoch(clock)

    def _train_epoch(self, clock: "Clock") -> None:
        config = self.config
        own = (self.team.rank,) if self.team.rank else ()
        torch.manual_seed(
            _fold(config.seed, METHOD_STREAM, self.epoch, *own)
        )  # dropout, the one chance ranks don't share
        rng = np.random.default_rng([config.seed, METHOD_STREAM, self.epoch])
        self.method.start_epoch(self.net, self.data, self.epoch, rng)
        self.team.agree(self.method)
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
        with self.compute.autocast():
            step = self.averaged
            output = self.method.step(self.net, batch, rng) if step is None else step(batch, rng)
        self.optimiser.zero_grad(set_to_none=True)
        output.loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return output

    def _lack_of_memory(self, error: torch.OutOfMemoryError) -> MemoryLackError:
        if self.team.size > 1:  # smaller ones can't be tried: the other ranks would have to as well
            return shared_lack(error, self.config, self.team.size)
        batch, rng = next(iter(self.data.epoch(self.epoch))), np.random.default_rng(0)
        return lack_of_memory(error.with_traceback(None), batch, lambda part: self._update(part, rng))

    def _record_steps(self, clock: "Clock", step: int, rate: float) -> None:
        values = self.tally.flush()
        images_per_s = clock.lap(step, self.tally.newest_images)
        values |= {"lr": rate, "images_per_s": images_per_s}
        self.journal.update(eta_s=clock.eta())
        self.journal.record("train", epoch=self.epoch + 1, step=step, values=values)
        if self.should_stop() or self.wind_down(clock.until(self.step + self.data.steps_per_epoch)):
            raise StopRequestedError("stop requested")

    def _finish_epoch(self, clock: "Clock") -> None:
        self.team.agree(self.net)  # statistics of batch norm that was each rank's own
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
        if not self.team.leads:
            return
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
        if self.epoch < self.config.epochs and self.wind_down(clock.until(self.step + self.data.steps_per_epoch)):
            raise StopRequestedError("the node has to be left before another epoch could be saved")

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

    def until(self, step: int) -> float:
        """Seconds until `step` is done, as steps took so far; infinite before the first one."""
        made = self.done - self._first
        return (time.monotonic() - self._begun) / made * (step - self.done) if made else math.inf


def _fold(*keys: int) -> int:
    """One 63-bit seed for torch from several keys."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> 1)
