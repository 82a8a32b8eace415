"""`goe queue add`, `copy`, `rm`, `set`, `unset`, `move`, `hold`, `release`: the queue file edited; its schema."""

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from tui.commands.options import DEFAULT_QUEUE, DEFAULT_RUNS, QueueFile, Runs
from tui.commands.output import print_json

if TYPE_CHECKING:
    from goe.core.queueedit import Edit, Place
    from goe.core.setting import Setting

Name = Annotated[str, typer.Argument(metavar="NAME", help="An experiment of the file.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME…", help="Experiments of the file.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of an experiment; may be repeated.")
]
Table = Annotated[
    str | None, typer.Option("--table", metavar="TABLE", help="defaults or queue: that table instead of an experiment.")
]


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new experiment's name.")],
    settings: Settings = None,
    before: Annotated[str, typer.Option(metavar="NAME", help="Put it before this experiment.")] = "",
    after: Annotated[str, typer.Option(metavar="NAME", help="Put it after this experiment.")] = "",
    queue: QueueFile = DEFAULT_QUEUE,
) -> None:
    """Add an experiment, at the end of the file unless told otherwise."""
    from goe.core import queueedit
    from goe.core.errors import ConfigError

    if before and after:
        raise ConfigError(["--before, --after: give one of the two"])
    chosen = _settings(settings or [], "--set: ")
    _edit(queue, lambda text: queueedit.add(text, name, chosen, before=before, after=after))


def copy(
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="The copy's name.")],
    settings: Settings = None,
    queue: QueueFile = DEFAULT_QUEUE,
) -> None:
    """Add a copy of an experiment after it, with keys changed by --set."""
    from goe.core import queueedit

    chosen = _settings(settings or [], "--set: ")
    _edit(
        queue,
        lambda text: queueedit.set_values(queueedit.duplicate(text, name, new_name), ("experiment", new_name), chosen),
    )


def remove(names: Names, queue: QueueFile = DEFAULT_QUEUE) -> None:
    """Take experiments out of the file, with the comments directly above them. Their runs stay."""
    from goe.core import queueedit

    _edit(queue, lambda text: queueedit.remove(text, names))


def set_(
    what: Annotated[
        list[str], typer.Argument(metavar="[NAME] KEY=VALUE…", help="An experiment and what to set in it.")
    ],
    table: Table = None,
    queue: QueueFile = DEFAULT_QUEUE,
) -> None:
    """Set keys of an experiment, or of a table: `goe queue set goe lr=0.05`, `goe queue set --table queue slots=4`."""
    from goe.core import queueedit

    place, rest = _place(what, table, "KEY=VALUE")
    chosen = _settings(rest, "")
    _edit(queue, lambda text: queueedit.set_values(text, place, chosen))


def unset(
    what: Annotated[list[str], typer.Argument(metavar="[NAME] KEY…", help="An experiment and which of its keys.")],
    table: Table = None,
    queue: QueueFile = DEFAULT_QUEUE,
) -> None:
    """Take keys out of an experiment, or of a table, so that defaults hold again."""
    from goe.core import queueedit
    from goe.core.errors import ConfigError
    from goe.core.setting import parse_key

    place, rest = _place(what, table, "KEY")
    keys = [(text, parse_key(text)) for text in rest]
    wrong = [f"{text!r} is not a key, for example method.filter.k" for text, key in keys if key is None]
    if wrong:
        raise ConfigError(wrong)
    chosen = [key for _, key in keys if key is not None]
    _edit(queue, lambda text: queueedit.unset(text, place, chosen))


def move(
    name: Name,
    where: Annotated[str, typer.Argument(metavar="WHERE", help="up, down, first, last, before or after.")],
    other: Annotated[str, typer.Argument(metavar="[OTHER]", help="For before and after: which experiment.")] = "",
    queue: QueueFile = DEFAULT_QUEUE,
) -> None:
    """Change the order of experiments, in which runs of equal priority start: `goe queue move goe before oe`."""
    from goe.core import queueedit
    from goe.core.errors import ConfigError, did_you_mean

    directions = {each: each for each in get_args(queueedit.Direction)}
    direction = directions.get(where)
    if direction is None:
        raise ConfigError([f"{where}: no such way{did_you_mean(where, directions)}; known: {', '.join(directions)}"])
    if bool(other) != (where in {"before", "after"}):
        raise ConfigError([f"{where}: {'takes no other experiment' if other else 'say which one, as in: before oe'}"])
    old, new = queueedit.edit_queue(queue, lambda text: queueedit.move(text, name, direction, other))
    names = queueedit.names_of(new)
    at = names.index(name)
    if new == old.text:
        print(f"{queue}: {name} is there already; nothing changed", file=sys.stderr)
    else:
        print(f"{queue}: {name} is now {at + 1} of {len(names)}: {', '.join(names)}")


def hold(names: Names, queue: QueueFile = DEFAULT_QUEUE) -> None:
    """Keep the queue from starting experiments; what runs already goes on."""
    from goe.core import queueedit

    _edit(queue, lambda text: queueedit.hold(text, names))


def release(names: Names, queue: QueueFile = DEFAULT_QUEUE, runs: Runs = DEFAULT_RUNS) -> None:
    """Let the queue start held experiments again."""
    from goe.core import queueedit
    from goe.core.state import RunState
    from goe.launch.look import Look

    _edit(queue, lambda text: queueedit.release(text, names))
    released = {job.run_id: job for job, name in queueedit.jobs_by_entry(queue) if name in names}
    for run_id, seen in Look().planned(released, runs).items():
        if seen.view.held and seen.view.state is not RunState.DONE:
            print(f"{run_id}: held by hand: `goe resume {run_id}` or `goe retry {run_id}` lets it go", file=sys.stderr)


def schema() -> None:
    """Print the JSON Schema of the queue file, by which editors complete and check it (README, «Editing»)."""
    from goe.core.queueschema import queue_schema

    print_json(queue_schema())


def _settings(texts: list[str], where: str) -> "list[Setting]":
    """Raises ConfigError with every problem."""
    from goe.core.errors import ConfigError
    from goe.core.setting import parse_setting

    found, problems = [], []
    for text in texts:
        try:
            found.append(parse_setting(text))
        except ConfigError as error:
            problems.append(f"{where}{error}")
    if problems:
        raise ConfigError(problems)
    return found


def _place(what: list[str], table: str | None, kind: str) -> "tuple[Place, list[str]]":
    """The table that is meant, and the other words."""
    from goe.core.errors import ConfigError

    match table:
        case "defaults":
            return ("defaults",), what
        case "queue":
            return ("queue",), what
        case None if len(what) > 1:
            return ("experiment", what[0]), what[1:]
        case None:
            raise ConfigError([f"{what[0]}: give an experiment and {kind}…, or --table defaults or queue and {kind}…"])
        case _:
            raise ConfigError([f"--table: {table!r} is neither defaults nor queue"])


def _edit(queue: Path, edit: "Edit") -> None:
    """Edit the file and print which of its lines changed."""
    from goe.core.queueedit import edit_queue

    old, new = edit_queue(queue, edit)
    if new == old.text:
        print(f"{queue}: so it is already; nothing changed", file=sys.stderr)
    for line in _changes(old.text.splitlines(), new.splitlines()):
        print(f"{queue}:{line}")


def _changes(before: list[str], after: list[str]) -> Iterator[str]:
    """Lines gone and lines come, with their numbers; blank ones are not worth a line."""
    for tag, a, b, c, d in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag == "replace":
            yield from _numbered(before, a, b, "-")
            yield from _numbered(after, c, d, "+")
        elif tag == "delete":
            yield from _numbered(before, *_upwards(before, a, b), "-")
        elif tag == "insert":
            yield from _numbered(after, *_upwards(after, c, d), "+")


def _numbered(lines: list[str], start: int, end: int, sign: str) -> Iterator[str]:
    for number, line in enumerate(lines[start:end], start + 1):
        if line.strip():
            yield f"{number}: {sign} {line}"


def _upwards(lines: list[str], start: int, end: int) -> tuple[int, int]:
    """The same block as far up as it also fits, so that it begins with its header."""
    while end > start > 0 and lines[start - 1] == lines[end - 1]:
        start, end = start - 1, end - 1
    return start, end
