"""Edits of the queue file: text in, text out, everything that an edit does not name left byte for byte.

An experiment is named as in the file; those that a sweep makes are edited through it. `edit_queue` reads, edits, checks
and writes; an edit after which the file has a problem it had not before is refused, and nothing is written.
"""

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import tomli
import tomlkit

from goe.core.config import spell_out
from goe.core.errors import ConfigError, did_you_mean
from goe.core.jobs import Job
from goe.core.queuefile import experiment_entries, parse_queue, swept_keys
from goe.core.queuetext import QueueText, no_queue, read_queue, write_queue
from goe.core.setting import Setting
from goe.core.tomlblocks import Block, cut_block, insert_block, newline_of, reorder, sections
from goe.core.tomledit import is_written, set_key, spell_key, unset_key
from goe.core.tomlpos import KeyPath, layout

Place: TypeAlias = tuple[Literal["defaults", "queue"]] | tuple[Literal["experiment"], str]
"""A table of the file: `("defaults",)`, `("queue",)`, or an experiment by its name."""
Direction: TypeAlias = Literal["up", "down", "first", "last", "before", "after"]
Edit: TypeAlias = Callable[[str], str]


def edit_queue(path: Path, edit: Edit, *, may_create: bool = False) -> tuple[QueueText, str]:
    """Read `path`, edit, check and write it: what was read, and the new text. Raises ConfigError, nothing written."""
    old = no_queue(path) if may_create and not path.exists() else read_queue(path)
    try:
        new = edit(old.text)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None
    check_edit(old.text, new, path)
    if new != old.text:
        write_queue(old, new)
    return old, new


def check_edit(old: str, new: str, path: Path) -> None:
    """Raise ConfigError if the edited text has problems that the text before it had not."""
    found = new_problems(old, new, path)
    if found:
        raise ConfigError([f"{path}: not changed: {_said_of(new, line)}{finding}" for line, finding in found])


def new_problems(old: str, new: str, path: Path) -> list[tuple[int, str]]:
    """Line and finding of each problem of the edited text that the text before it had not."""
    before = Counter(finding for _, finding in _problems(old, path))
    found: list[tuple[int, str]] = []
    for line, finding in _problems(new, path):
        if before[finding]:
            before[finding] -= 1
        else:
            found.append((line, finding))
    return found


def add(text: str, name: str, settings: Sequence[Setting] = (), *, before: str = "", after: str = "") -> str:
    """A new experiment at the end, or beside another."""
    data = _load(text)
    blocks = _experiments(text, data)
    _check_free(text, data, name)
    block = f"[[experiment]]{newline_of(text)}name = {_quoted(name)}"
    if before:
        number = _find(text, data, before)
        at = blocks[number].start
    elif after:
        number = _find(text, data, after) + 1
        at = blocks[number - 1].end
    else:
        number, at = len(blocks), len(text)
    new = insert_block(text, at, block)
    data.setdefault("experiment", []).insert(number, {"name": name})
    return set_values(_as_meant(new, data), ("experiment", name), settings)


def remove(text: str, names: Sequence[str]) -> str:
    """The experiments taken out, with the comments directly above them."""
    for name in names:
        data = _load(text)
        number = _find(text, data, name)
        new = cut_block(text, _experiments(text, data)[number])
        del data["experiment"][number]
        if not data["experiment"]:
            del data["experiment"]
        text = _as_meant(new, data)
    return text


def duplicate(text: str, name: str, new_name: str) -> str:
    """A copy of the experiment directly after it, under another name."""
    data = _load(text)
    number = _find(text, data, name)
    _check_free(text, data, new_name)
    block = _experiments(text, data)[number]
    new = insert_block(text, block.end, text[block.header : block.end])
    data["experiment"].insert(number + 1, copy.deepcopy(data["experiment"][number]))
    return set_key(_as_meant(new, data), ("experiment", number + 1), ("name",), _quoted(new_name))


def move(text: str, name: str, where: Direction, other: str = "") -> str:
    """The experiment put elsewhere among the others; `other` belongs to `before` and `after`. At an end, no change."""
    data = _load(text)
    blocks = _experiments(text, data)
    number = _find(text, data, name)
    order = list(range(len(blocks)))
    order.remove(number)
    if where in {"before", "after"}:
        mark = _find(text, data, other)
        if mark == number:
            return text
        to = order.index(mark) + (where == "after")
    else:
        places = {"up": max(number - 1, 0), "down": number + 1, "first": 0, "last": len(order)}
        to = places[where]
    order.insert(to, number)
    new = reorder(text, blocks, order)
    data["experiment"] = [data["experiment"][place] for place in order]
    return _as_meant(new, data)


def set_values(text: str, place: Place, settings: Sequence[Setting]) -> str:
    """Keys of a table set, in their order; `name` renames an experiment."""
    data = _load(text)
    path = _path_of(text, data, place)
    for setting in settings:
        if not _has_table(text, path):
            text = _with_table(text, path)
        new = set_key(text, path, setting.key, setting.toml)
        _check_rest(text, new, path, setting.key)
        text = new
    if place[0] == "experiment":
        _check_unswept(_load(text)["experiment"][path[-1]], place[1], settings)
    return text


def unset(text: str, place: Place, keys: Sequence[tuple[str, ...]]) -> str:
    """Keys of a table taken out. Raises ConfigError for one that is not there."""
    data = _load(text)
    path = _path_of(text, data, place)
    for key in keys:
        if not is_written(layout(text), (*path, *key)):
            known = {pair.path[len(path)] for pair in layout(text).pairs if pair.path[: len(path)] == path}
            near = did_you_mean(key[0], [str(each) for each in known]) if key[0] not in known else ""
            raise ConfigError([f"{place[-1]}: {spell_key(key)} is not set here{near}; nothing to take out"])
        new = unset_key(text, path, key)
        _check_rest(text, new, path, key)
        text = new
    return text


def hold(text: str, names: Sequence[str]) -> str:
    """The experiments not started until they are released; those that are held already stay as they are."""
    for name in names:
        if not is_held(text, name):
            text = set_values(text, ("experiment", name), [Setting(("hold",), "true")])
    return text


def release(text: str, names: Sequence[str]) -> str:
    """The experiments' hold taken out, or set to false where `[defaults]` hold."""
    for name in names:
        data = _load(text)
        held = "hold" in data["experiment"][_find(text, data, name)]
        if _table(data, "defaults").get("hold"):
            text = set_values(text, ("experiment", name), [Setting(("hold",), "false")])
        elif held:
            text = unset(text, ("experiment", name), [("hold",)])
    return text


def names_of(text: str) -> list[str]:
    """The experiments of the text in its order, those without a name left out."""
    return [entry["name"] for entry in _entries(_load(text)) if isinstance(entry.get("name"), str)]


def jobs_by_entry(path: Path) -> list[tuple[Job, str]]:
    """The file's jobs, each with the experiment's name there, by which it is edited; none if it has problems."""
    try:
        text = read_queue(path).text
        jobs = parse_queue(text, path).jobs
    except ConfigError:
        return []
    entries, makers = _entries(_load(text)), experiment_entries(text)
    return [(job, str(entries[makers[job.config.experiment]]["name"])) for job in jobs]


def is_held(text: str, name: str) -> bool:
    """Whether the queue may not start the experiment, by its own word or that of `[defaults]`."""
    data = _load(text)
    entry = data["experiment"][_find(text, data, name)]
    return entry.get("hold", _table(data, "defaults").get("hold")) is True


def _load(text: str) -> dict[str, Any]:
    """The text's data; floats as they are written, so that data can be compared. Raises ConfigError for wrong TOML."""
    try:
        return tomli.loads(text, parse_float=str)
    except tomli.TOMLDecodeError as error:
        raise ConfigError([f"line {error.lineno}: not valid TOML: {error.msg}; mend it by hand first"]) from None


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key, {})
    return found if isinstance(found, dict) else {}


def _experiments(text: str, data: dict[str, Any]) -> list[Block]:
    """The block of each experiment, sub-tables included. Raises ConfigError where they are not written as blocks."""
    blocks: list[Block] = []
    last: KeyPath = ()
    for block in sections(text):
        owner = block.path[:2]
        if block.path[0] == "experiment" and len(block.path) == 2:
            blocks.append(block)
        elif owner == last and blocks and owner == blocks[-1].path:  # its sub-table, directly below
            blocks[-1] = Block(owner, blocks[-1].start, blocks[-1].header, block.end)
        last = owner
    if len(blocks) != len(_entries(data)):
        raise ConfigError(
            ["experiment: they can be edited only if each is written as [[experiment]], with two brackets"]
        )
    return blocks


def _entries(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The experiments, wrong ones too."""
    found = data.get("experiment", [])
    return [entry if isinstance(entry, dict) else {} for entry in (found if isinstance(found, list) else [found])]


def _find(text: str, data: dict[str, Any], name: str) -> int:
    """The number of the experiment called `name`. Raises ConfigError if there is none, or more than one."""
    names = [entry.get("name") for entry in _entries(data)]
    numbers = [number for number, found in enumerate(names) if found == name]
    if len(numbers) > 1:
        raise ConfigError([f"{name}: {len(numbers)} experiments are called so; rename one of them by hand first"])
    if not numbers:
        maker = experiment_entries(text).get(name)
        if maker is not None:
            raise ConfigError([f'{name}: the sweep of "{names[maker]}" makes it; edit "{names[maker]}"'])
        known = [found for found in names if isinstance(found, str)]
        near = did_you_mean(name, known) or f"; there are {', '.join(known) or 'none'}"
        raise ConfigError([f"{name}: no experiment of the file is called so{near}"])
    return numbers[0]


def _check_free(text: str, data: dict[str, Any], name: str) -> None:
    if any(entry.get("name") == name for entry in _entries(data)) or name in experiment_entries(text):
        raise ConfigError([f"{name}: an experiment of the file is called so already; take another name"])


def _check_unswept(entry: dict[str, Any], name: str, settings: Sequence[Setting]) -> None:
    """Raise ConfigError if one was set that the experiment's sweep sets, too: the sweep wins."""
    swept = {_whole(key): ("sweep", *written) for key, written in swept_keys(entry).items()}
    for setting in settings:
        place = swept.get(_whole(setting.key))
        if place is not None:
            found = f"{name}: {spell_key(setting.key)}: the sweep sets it, so another value would change nothing"
            goes = spell_key(place if len(swept) > 1 else place[:1])
            ways = f"change {spell_key(place)} instead, or take the sweep out first: `goe queue unset {name} {goes}`"
            raise ConfigError([f"{found}; {ways}"])


def _whole(key: tuple[str, ...]) -> tuple[str, ...]:
    """`method` for `method.name`, which says the same."""
    return key[:1] if key == ("method", "name") else key


def _path_of(text: str, data: dict[str, Any], place: Place) -> KeyPath:
    if place[0] != "experiment":
        return place
    _experiments(text, data)
    return "experiment", _find(text, data, place[1])


def _has_table(text: str, path: KeyPath) -> bool:
    """Whether keys can be put into the table as it is written: under its header, inline or dotted at the top."""
    found = layout(text)
    at_top = [pair for pair in found.pairs if not pair.table]
    return any(header.path == path for header in found.headers) or any(
        pair.path[: len(path)] == path for pair in at_top
    )


def _with_table(text: str, path: KeyPath) -> str:
    """`text` with an empty `[queue]` before all tables, or `[defaults]` before the first experiment."""
    blocks = sections(text)
    marks = [block.start for block in blocks if path == ("queue",) or block.path[0] == "experiment"]
    return insert_block(text, min(marks, default=len(text)), f"[{spell_key(path)}]")


def _quoted(text: str) -> str:
    return tomlkit.item(text).as_string()


def _as_meant(new: str, data: dict[str, Any]) -> str:
    """`new` if it says what `data` does: not so where tables of an experiment stand elsewhere than below it."""
    if _load(new) != data:
        raise ConfigError(
            ["experiment: its tables are scattered over the file; put them below their [[experiment]] first"]
        )
    return new


def _check_rest(old: str, new: str, path: KeyPath, key: tuple[str, ...]) -> None:
    """Raise ConfigError unless the two texts say the same of all but `key`."""
    if _without(_load(old), path, key) != _without(_load(new), path, key):
        raise ConfigError([f"{spell_key(key)}: it is written in a way that can't be edited; change it by hand"])


def _without(data: dict[str, Any], path: KeyPath, key: tuple[str, ...]) -> dict[str, Any]:
    """`data` without `key` of the table at `path` and tables left empty by that; the table's short forms spelt out."""
    holder: Any = data
    for part in path[:-1]:
        holder = holder[part]
    if isinstance(path[-1], str):
        holder.setdefault(path[-1], {})
    table = holder[path[-1]] = spell_out(holder[path[-1]])
    chain = [table]
    for part in key[:-1]:
        inner = chain[-1].get(part)
        if not isinstance(inner, dict):
            break
        chain.append(inner)
    if len(chain) == len(key):
        chain[-1].pop(key[-1], None)
    for depth in range(len(chain) - 1, 0, -1):
        if not chain[depth]:
            del chain[depth - 1][key[depth - 1]]
    return data


def _problems(text: str, path: Path) -> Iterator[tuple[int, str]]:
    """The line and finding of each problem, without the lines that findings name: an edit moves them."""
    try:
        parse_queue(text, path)
    except ConfigError as error:
        for line, finding in error.findings:
            yield line, re.sub(r" at line \d+", "", finding)


def _said_of(text: str, line: int) -> str:
    """Which experiment of the text stands on `line`, as the beginning of a finding."""
    try:
        data = tomli.loads(text)
        blocks = _experiments(text, data)
    except (tomli.TOMLDecodeError, ConfigError):
        return ""
    at = sum(len(each) + 1 for each in text.split("\n")[: line - 1])
    found = next((number for number, block in enumerate(blocks) if block.start <= at < block.end), None)
    name = data["experiment"][found].get("name") if found is not None else None
    return f'"{name}": ' if isinstance(name, str) else ""
