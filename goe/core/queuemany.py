"""Edits of several experiments of the queue file in one go, as a list of them asks for: text in, text out."""

from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

import tomli

from goe.core.queueedit import hold, is_held, move, names_of, release, set_values
from goe.core.setting import Setting

Way: TypeAlias = Literal["up", "down", "first", "last"]


def turn_hold(text: str, names: Sequence[str]) -> str:
    """All of them held; released where they are all held already."""
    return (release if all(is_held(text, name) for name in names) else hold)(text, names)


def step_priority(text: str, names: Sequence[str], step: int) -> str:
    """The priority of each, its own or that of `[defaults]`, one step on."""
    for name in names:
        after = str(_priority(text, name) + step)
        text = set_values(text, ("experiment", name), [Setting(("priority",), after)])
    return text


def _priority(text: str, name: str) -> int:
    data = tomli.loads(text)
    entry: dict[str, object] = next((each for each in data.get("experiment", []) if each.get("name") == name), {})
    now = entry.get("priority", data.get("defaults", {}).get("priority", 0))
    return now if isinstance(now, int) else 0


def move_together(text: str, names: Collection[str], way: Way) -> str:
    """Each of them one place on, or all at an end, in the order they have; those at an end stay there."""
    chosen = [name for name in names_of(text) if name in names]
    for name in reversed(chosen) if way in {"down", "first"} else chosen:
        if not _is_blocked(names_of(text), name, chosen, way):
            text = move(text, name, way)
    return text


def _is_blocked(order: Sequence[str], name: str, chosen: Collection[str], way: Way) -> bool:
    """Whether one of them stands before it that could not move either."""
    beside = order.index(name) + {"up": -1, "down": 1}.get(way, 0)
    return way in {"up", "down"} and 0 <= beside < len(order) and order[beside] in chosen
