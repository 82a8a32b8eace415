"""Results under other conventions than they were written with, worked out anew from the raw scores beside them.

No torch: a table needs the numbers of `eval/*.npz` alone.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from goe.core.errors import RunError
from goe.core.evalfile import command, stem
from goe.core.layout import Conventions
from goe.core.records import EvalResult, Values
from goe.core.results import Measured
from goe.core.scorespecs import PROBABILITIES
from goe.metrics import as_values, classification_metrics, detection_metrics

Arrays = Mapping[str, NDArray[Any]]


def under(measured: Sequence[Measured], conventions: Conventions) -> tuple[list[Measured], list[str]]:
    """`measured` under `conventions`, and a message for each result whose raw scores are missing or damaged.

    Such a result stays in with every value None, so that its seed is counted as missing.
    """
    found: list[Measured] = []
    problems: list[str] = []
    for item in measured:
        try:
            values = _recompute(item, conventions)
        except RunError as error:
            problems.append(str(error))
            values = _emptied(item.result)
        found.append(replace(item, result=values))
    return found, problems


def _recompute(item: Measured, conventions: Conventions) -> EvalResult:
    """The result of `item` from its raw scores. Raises RunError if they are missing, damaged or of other sets."""
    result = item.result
    name = stem(result.checkpoint, result.score, result.protocol)
    remedy = f"`{command(result.run_id, name)}` writes it anew"
    if item.raw is None:
        raise RunError(f"{result.run_id}: raw scores of {result.score} on {result.protocol} are missing; {remedy}")
    try:
        with np.load(io.BytesIO(item.raw.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _result(result, arrays, conventions)
    except FileNotFoundError:
        raise RunError(f"{item.raw}: raw scores are missing; {remedy}") from None
    except KeyError as error:
        raise RunError(f"{item.raw}: lacks {error.args[0]}, which the result beside it has; {remedy}") from None
    except Exception as error:  # noqa: BLE001 - a cut zip raises whatever its decoder met first
        raise RunError(f"{item.raw}: cut or altered: {error}; {remedy}") from None


def _result(result: EvalResult, arrays: Arrays, conventions: Conventions) -> EvalResult:
    correct, id_scores = arrays["correct"], arrays[f"score/{result.id_dataset}"]
    classification = classification_metrics(
        correct, id_scores, ties=conventions.ties, probability=result.score in PROBABILITIES
    )
    return msgspec.structs.replace(
        result,
        classification=as_values(classification),
        detection={name: _against(name, correct, id_scores, arrays, conventions) for name in result.detection},
    )


def _against(
    name: str, correct: NDArray[Any], id_scores: NDArray[Any], arrays: Arrays, conventions: Conventions
) -> Values:
    """Metrics of OOD set `name`. Images of ID classes in it (`score/<name>/id`) join the ID side."""
    right: NDArray[Any] | None = correct
    more = arrays.get(f"score/{name}/id")
    if more is not None:
        id_scores = np.concatenate([id_scores, more])
        answers = arrays.get(f"correct/{name}/id")
        right = None if answers is None else np.concatenate([correct, answers])
    metrics = detection_metrics(
        id_scores, arrays[f"score/{name}"], correct=right, positive=conventions.positive, ties=conventions.ties
    )
    return as_values(metrics)


def _emptied(result: EvalResult) -> EvalResult:
    return msgspec.structs.replace(
        result,
        classification=dict.fromkeys(result.classification),
        detection={name: dict.fromkeys(values) for name, values in result.detection.items()},
    )
