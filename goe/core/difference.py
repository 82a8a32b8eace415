"""What two runs were told, or were computed with, differently."""

from collections.abc import Mapping
from typing import Any

import msgspec

from goe.core.report import flat
from goe.core.rundir import RunDir, read_json

OWN = {"command"}
"""Of `env.json`, what differs between any two runs."""


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The values, in nested tables, that are not the same, by their keys joined by dots; `a`'s order, then `b`'s.

    None stands for a key that one of them lacks.
    """
    ours, theirs = dict(flat(dict(a))), dict(flat(dict(b)))
    return {key: (ours.get(key), theirs.get(key)) for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)}


def configurations(a: RunDir, b: RunDir) -> dict[str, tuple[Any, Any]]:
    """`differences` of their `config.json`."""
    return differences(msgspec.to_builtins(a.config()), msgspec.to_builtins(b.config()))


def environments(a: RunDir, b: RunDir) -> dict[str, tuple[Any, Any]]:
    """`differences` of their `env.json`; a run that was not started yet lacks every key."""
    ours, theirs = (read_json(run.env_file, dict) or {} for run in (a, b))
    found = differences(ours, theirs)
    return {f"env.{key}": values for key, values in found.items() if key not in OWN}
