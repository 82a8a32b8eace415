"""Whether what is faster ends as well: runs on digits by each way of taking a step, seed by seed.

    python benchmarks/accuracy.py [--device cuda] [--methods goe oe] [--seeds 3] [--compile]

Each run is trained as experiments.toml's are and then evaluated. The reference is goe in float32; a way is within noise
of it where a paired t-test over the seeds finds no difference at 1 %. The plain step of the authors' code is one of the
ways. A CPU without bfloat16 has it emulated here: the same rounding, slowly; a run there would take float32.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from statistics import mean, stdev
from unittest import mock

import numpy as np
import torch
from harness import Report, arguments
from plain import plain_step
from standin import config_of, trainer

from goe.comparison import paired
from goe.core import specs
from goe.core.config import RunConfig
from goe.core.records import EvalResult
from goe.core.results import Difference
from goe.core.rundir import read_json
from goe.device import cpu_has_bfloat16, pick_compute
from goe.evaluate import evaluate
from goe.methods import Batch
from goe.methods.base import StepOutput
from goe.train import Trainer

METHODS = {
    "goe": {"name": "goe", "filter": {"k": 3}},
    "oe": {"name": "oe", "weight": 0.5},
}
"""As in experiments.toml."""
REFERENCE = "float32"
PLAIN = "plain step"
EPOCHS = 5
"""Of a schedule of its own; emulated bfloat16 takes most of an hour for twice as many."""
LIMIT = 0.01
"""A difference of a smaller p is no noise; not 5 %, as some ten are looked at."""


class Plainly(Trainer):
    """Takes the steps of G-OE as its authors' code does: contiguous, masks and losses in Python, torch's dropout."""

    def _update(self, batch: Batch, rng: np.random.Generator) -> StepOutput:
        spec = self.config.method
        assert isinstance(spec, specs.GOE)
        self.net.to(memory_format=torch.contiguous_format)
        found = plain_step(self.net, self.optimiser, batch, rng, spec)
        return StepOutput(loss=found.total, logits=found.logits, terms={})


def ways(method: str, device: str, compiled: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """Names, the reference first, and what of a run's configuration is special to each."""
    yield REFERENCE, {"precision": "float32"}
    if method == "goe":
        yield PLAIN, {"precision": "float32"}
    for precision in ("tf32", "bfloat16") if device == "cuda" else ("bfloat16",):
        if device == "cpu" or not pick_compute(config_of(device=device, precision=precision)).notes:
            yield precision, {"precision": precision}
    if compiled:
        best = pick_compute(config_of(device=device)).precision
        yield f"{best}, compiled", {"precision": best, "compile": "on"}


def emulated(precision: str, device: str) -> bool:
    """Whether this precision is not the chip's own."""
    return precision == "bfloat16" and device == "cpu" and not cpu_has_bfloat16()


def final(config: RunConfig, folder: Path, kind: type[Trainer]) -> dict[str, float]:
    """Accuracy and mean AUROC of a run, in [0, 1], from its last epoch."""
    switch = mock.patch("goe.device.cpu_has_bfloat16", return_value=True)
    with (
        switch if emulated(config.precision, config.device) else nullcontext(),
        trainer(config, None, folder, kind) as loop,
    ):
        loop.run()
    done = evaluate(loop.directory, checkpoint_name="last", scores=("msp",), root=folder)
    result = read_json(done.paths[0], EvalResult)
    assert result is not None, "it was written just now"
    aurocs = [values["auroc"] for values in result.detection.values()]
    accuracy = result.classification["accuracy"]
    assert accuracy is not None, "there are test images"
    assert None not in aurocs, "no set is empty"
    return {"accuracy": accuracy, "AUROC": mean(value for value in aurocs if value is not None)}


def compare(report: Report, method: str, device: str, seeds: int, compiled: bool) -> None:
    """One method's ways."""
    reference: dict[str, dict[int, float]] = {}
    epochs = 1 if report.quick else EPOCHS
    report.title(f"{method} on digits with WRN-10-1 on the {device.upper()}, epochs: {epochs}, seeds: {seeds}, in %")
    for name, special in ways(method, device, compiled):
        values: dict[str, dict[int, float]] = {"accuracy": {}, "AUROC": {}}
        for seed in range(1, seeds + 1):
            config = config_of(
                seed=seed,
                dataset="digits",
                model="wrn-10-1",
                epochs=epochs,
                outliers={"source": "china", "contamination": 0.1},
                method=METHODS[method],
                device=device,
                **special,
            )
            with tempfile.TemporaryDirectory() as folder:
                for metric, value in final(config, Path(folder), Plainly if name == PLAIN else Trainer).items():
                    values[metric][seed] = value
        reference = reference or values  # it comes first
        note = ", emulated" if emulated(name, device) else ""
        for metric, by_seed in values.items():
            said = spread(list(by_seed.values()))
            if name != REFERENCE:
                said += f"; {verdict(paired(by_seed, reference[metric]))}"
            report.say(f"{metric}, {name}{note}", said)


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation of fractions, in percent."""
    hundred = [100 * value for value in values]
    return f"{mean(hundred):.2f}" + (f" ± {stdev(hundred):.2f}" if len(hundred) > 1 else "")


def verdict(difference: Difference | None) -> str:
    """How far from the reference, and whether that is noise."""
    assert difference is not None, "the same seeds are on both sides"
    apart = f"{100 * difference.mean:+.2f} to {REFERENCE}"
    if difference.p is None:
        return f"{apart}: " + ("no difference" if not difference.mean else "a single seed")
    return f"{apart}, p = {difference.p:.2f}: " + ("within noise" if difference.p > LIMIT else "NOT WITHIN NOISE")


def options() -> argparse.Namespace:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=tuple(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="compiled runs too: minutes more")
    return parser.parse_args()


def main() -> None:
    asked = options()
    with Report(__file__, asked) as report:
        for method in asked.methods:
            compare(report, method, asked.device, 2 if asked.quick else asked.seeds, asked.compile)


if __name__ == "__main__":
    main()
