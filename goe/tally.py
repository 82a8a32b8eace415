"""What the steps of an epoch come to: losses, accuracy, and how good the filter was."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from goe.core.errors import NonFiniteLossError
from goe.core.records import Values
from goe.methods.base import Batch, StepOutput


@dataclass(frozen=True, slots=True)
class _Step:
    """One step: what is known on the host, and what the device has worked out, in the order of the tally's names."""

    number: int
    images: tuple[int, int]
    """ID images, outliers."""
    facts: Tensor
    """(names,) float32 on the device."""


@dataclass
class Tally:
    """Sums over steps. Each step leaves one small vector on the device; they are read back together.

    Nothing here waits for the device but `flush`.
    """

    names: tuple[str, ...] = ()
    pending: list[_Step] = field(default_factory=list)
    read: list[np.ndarray[tuple[int, int], np.dtype[np.float64]]] = field(default_factory=list)

    def add(self, step: int, output: StepOutput, batch: Batch, is_id: Tensor | None) -> None:
        """Note one step. `is_id` says of each outlier of the stream whether it is an ID image; None if nobody knows."""
        facts = {"loss": output.loss.detach()}
        facts |= {f"loss/{name}": term for name, term in output.terms.items()}
        facts["correct"] = (output.logits.argmax(1) == batch.y).sum()
        if output.dropped is not None:
            facts["dropped"] = output.dropped.sum()
            if is_id is not None:
                truth = is_id[batch.index_out]
                facts["hit"], facts["contaminated"] = (output.dropped & truth).sum(), truth.sum()
        if output.threshold is not None:
            facts["threshold"] = output.threshold
        self.names = ("id", "out", *facts)
        row = torch.stack([fact.float() for fact in facts.values()])
        self.pending.append(_Step(step, (len(batch.y), len(batch.x_out)), row))

    def flush(self) -> Values:
        """Means over the steps since the last flush. Raises NonFiniteLossError naming the first bad step."""
        steps, self.pending = self.pending, []
        images = np.array([step.images for step in steps], dtype=np.float64)
        rows = np.hstack((images, torch.stack([step.facts for step in steps]).cpu().double().numpy()))
        losses = rows[:, self.names.index("loss")]
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            raise NonFiniteLossError(
                f"the loss is {losses[bad[0]]} at step {steps[bad[0]].number}; the last good checkpoint stands. A "
                "lower lr often helps"
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
