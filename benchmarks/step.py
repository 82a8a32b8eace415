"""One step of G-OE, plainly and by goe: each of goe's choices alone, and all that a run takes together.

    python benchmarks/step.py [--device cuda] [--models wrn-40-2 resnet-34] [--compile wrn-40-2]

Small batches on a CPU, the paper's on a GPU; all sides have the same images, and begin with the same weights. That they
compute the same is checked first: loss and gradients in float64, then the loss of every side's first step.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
from harness import Report, arguments, finish
from kernels import against_floor, where_it_goes
from plain import TOLERANCE, largest_difference, plain_loss, plain_optimiser, plain_step, torch_dropout
from standin import config_of, fresh, random_batch, spec_for
from torch.optim import SGD

from goe.compiling import compile_net
from goe.device import Compute, Precision, pick_compute
from goe.methods import Batch, build_method
from goe.methods.base import StepOutput
from goe.methods.filtering import filter_outliers
from goe.models import Net
from goe.train import make_optimiser

MODELS = ("wrn-40-2", "resnet-34", "densenet-bc-100-12")
GPU_SIZES = (128, 256)
CPU_SIZES = {"wrn-40-2": (32, 64)}
SMALL = (16, 32)
TINY = (8, 16)
"""For checks, and with --quick."""
STEPS = {"cuda": 10, "cpu": 1}
"""Steps a round."""
ALLOWED: dict[Precision, float] = {"float32": 1e-5, "tf32": 2e-2, "bfloat16": 2e-2}
"""Relative difference of the first step's loss; in lower precision another of two like outliers may be dropped."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a step is taken."""

    name: str
    plain: bool = False
    """As the authors' code does it; nothing below applies."""
    channels_last: bool = False
    precision: Precision = "float32"
    own_dropout: bool = False
    """goe's on the CPU, not torch's."""
    fused: bool = False
    """One kernel for the whole optimiser."""
    tuned: bool = False
    """cuDNN tries which convolution is fastest, as the authors let it."""
    compiled: bool = False


def ways(model: str, device: torch.device, compiled: bool) -> Iterator[Way]:
    """The baseline, its masks and losses without Python, then one choice at a time, then all of them."""
    found = pick_compute(config_of(device=device.type)).precision
    everything = Way("all together", channels_last=True, precision=found, own_dropout=True, fused=device.type == "cuda")
    plain, bare = Way("plain", plain=True, tuned=True), Way("goe, none of them")
    yield plain
    if device.type == "cuda":
        yield replace(plain, name="plain, TF32", precision="tf32")
        yield replace(bare, name="tuned cuDNN alone", tuned=True)
    yield bare
    yield replace(bare, name="channels_last alone", channels_last=True)
    for precision in get_args(Precision):
        if precision != "float32" and pick_compute(config_of(device=device.type, precision=precision)).notes == ():
            yield replace(bare, name=f"{precision} alone", precision=precision)
    if model.startswith("wrn") and device.type == "cpu":
        yield replace(bare, name="its dropout alone", own_dropout=True)
    yield replace(bare, name="fused SGD alone", fused=True)
    if found != "float32":
        yield replace(everything, name="all in float32", precision="float32")
    yield everything
    if compiled:
        yield replace(everything, name="all, compiled", compiled=True)


class Side:
    """Steps of one network, taken one way."""

    def __init__(self, way: Way, net: Net, batch: Batch) -> None:
        self.way, self.device, self.batch = way, batch.x.device, batch
        self.net = net.train()
        if way.channels_last:
            self.net = net.to(memory_format=torch.channels_last)
            x, x_out = (images.contiguous(memory_format=torch.channels_last) for images in (batch.x, batch.x_out))
            self.batch = replace(batch, x=x, x_out=x_out)
        if way.compiled:
            compile_net(self.net, self.device, print)
        self.spec, self.rng = spec_for(len(batch.x_out)), np.random.default_rng(0)
        self.compute = Compute(self.device, way.precision)
        self.method = build_method(self.spec)
        self.optimiser = plain_optimiser(net) if way.plain else self._optimiser()

    def _optimiser(self) -> torch.optim.Optimizer:
        made = make_optimiser(config_of(), [*self.net.parameters()], self.device)
        return SGD(self.net.parameters(), **{**made.defaults, "fused": self.way.fused})

    def __call__(self) -> int:
        """A round."""
        self.apply()
        for _ in range(STEPS[self.device.type]):
            self.step()
        finish(self.device)
        return STEPS[self.device.type]

    def apply(self) -> None:
        """Torch's switches as this way has them."""
        self.compute.apply()
        torch.backends.cudnn.benchmark = self.way.tuned

    def first_loss(self) -> float:
        """The loss as it is, without a step."""
        self.apply()
        rng = np.random.default_rng(0)
        if self.way.plain:
            return plain_loss(self.net, self.batch, rng, self.spec).total.item()
        return self._forward(rng).loss.item()

    def peak(self) -> int:
        """Bytes that a step takes on the GPU beyond what is there between steps."""
        self()  # what is allocated once is there
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        self.step()
        return torch.cuda.max_memory_allocated(self.device) - before

    def step(self) -> None:
        """One of them."""
        if self.way.plain:
            plain_step(self.net, self.optimiser, self.batch, self.rng, self.spec)
            return
        output = self._forward(self.rng)
        self.optimiser.zero_grad(set_to_none=True)
        output.loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def _forward(self, rng: np.random.Generator) -> StepOutput:
        if self.way.own_dropout:
            with self.compute.autocast():
                return self.method.step(self.net, self.batch, rng)
        with torch_dropout(), self.compute.autocast():
            return self.method.step(self.net, self.batch, rng)


def filter_alone(report: Report, model: str, side: Side) -> None:
    """How much of a step its filter's forward is, and whether inference mode would shorten it."""
    batch, spec = side.batch, side.spec.filter

    def forward() -> None:
        with side.compute.autocast():
            filter_outliers(side.net, batch, spec, 0)
        finish(side.device)

    def inference() -> None:
        with side.compute.autocast(), torch.inference_mode():
            filter_outliers(side.net, batch, spec, 0)
        finish(side.device)

    side.apply()
    sides: dict[str, Callable[[], float | None]] = {
        "a whole step": side,
        "its filter": forward,
        "its filter in inference mode": inference,
    }
    report.compare(f"The filter's share of a step, {model}, {side.way.name}", sides, unit="ms", baseline="a whole step")


def check(report: Report, model: str, device: torch.device, every: Sequence[Way]) -> None:
    """Say how far apart the sides are; stop where that is too far."""
    tiny, cpu = random_batch(TINY, device), random_batch(TINY, torch.device("cpu"))
    report.title(f"{model}: largest relative difference from the plain step, without dropout")
    apart = largest_difference(fresh(model, cpu, dropout=False), cpu, spec_for(TINY[1]))
    said = [("loss and gradients in float64", apart, TOLERANCE)]
    base = Side(every[0], fresh(model, tiny, dropout=False), tiny).first_loss()
    for way in every[1:]:
        loss = Side(replace(way, compiled=False), fresh(model, tiny, dropout=False), tiny).first_loss()
        said.append((f"loss, {way.name}", abs(1 - loss / base), ALLOWED[way.precision]))
    for what, found, allowed in said:
        report.say(what, f"{found:.1e}, allowed {allowed:.0e}")
        if not found <= allowed:
            raise SystemExit(f"{model}: {what}: {found:.1e} apart, more than {allowed:.0e}")


def compare(report: Report, model: str, device: torch.device, compiled: bool) -> None:
    """One model's table, and on a GPU what limits it."""
    sizes = GPU_SIZES if device.type == "cuda" else TINY if report.quick else CPU_SIZES.get(model, SMALL)
    every = tuple(ways(model, device, compiled))
    check(report, model, device, every)
    batch = random_batch(sizes, device)
    sides = {way.name: Side(way, fresh(model, batch, dropout=True), batch) for way in every}
    on_gpu = device.type == "cuda"
    notes = {name: f"{side.peak() / 2**20:,.0f} MiB at the peak" for name, side in sides.items()} if on_gpu else {}
    title = f"A step of G-OE with {model} on the {device.type.upper()}, {sizes[0]} ID images and {sizes[1]} outliers"
    table = report.compare(title, sides, unit="ms", baseline="plain", notes=notes)
    filter_alone(report, model, sides["all together"])
    if on_gpu:
        against_floor(report, model, table, device)
        for way in every:
            if way.precision == every[-1].precision and way.own_dropout:
                sides[way.name].apply()
                where_it_goes(report, f"{model}, {way.name}", sides[way.name].step, device)
        sides.clear()
        torch.cuda.empty_cache()


def options() -> argparse.Namespace:
    parser = arguments(__doc__, rounds=7)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--models", nargs="+", choices=MODELS, help="default: all, the first with --quick")
    parser.add_argument("--compile", nargs="*", choices=MODELS, default=(), help="models to be compiled too: minutes")
    return parser.parse_args()


def main() -> None:
    asked = options()
    with Report(__file__, asked) as report:
        for model in asked.models or MODELS[: 1 if asked.quick else None]:
            compare(report, model, torch.device(asked.device), model in asked.compile)


if __name__ == "__main__":
    main()
