"""What may be written for each key of an experiment, for completion: from the schema, so that it can't drift."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from goe.core.queueschema import queue_schema


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an experiment, dotted where it stands in a table."""

    name: str
    about: str
    """What it says; empty where the schema has no words for it."""
    words: tuple[str, ...] = ()
    """Values it may have, where these can be listed."""


@functools.cache
def experiment_keys() -> dict[str, Key]:
    """Every key by name: first those that stand alone, in the order of the records."""
    schema = queue_schema()
    own = schema["$defs"]["Experiment"]["properties"]
    axes = own["sweep"]["properties"]
    found = {name: Key(name, own[name].get("description", ""), tuple(_words(own[name]))) for name in own}
    for name in axes.keys() - own.keys():
        items = axes[name].get("items") or axes[name]["anyOf"][0]["items"]
        found[name] = Key(name, items.get("description", ""), tuple(_words(items)))
    return {name: found[name] for name in [*own, *sorted(found.keys() - own.keys())]}


def _words(schema: dict[str, Any]) -> Iterator[str]:
    """Every word that the schema lists, in its order."""
    if schema.get("type") == "boolean":
        yield from ("true", "false")
    yield from map(str, schema.get("enum", ()))
    for choice in schema.get("anyOf", ()):
        yield from _words(choice)
