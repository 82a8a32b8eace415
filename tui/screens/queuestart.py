"""The form that starts a queue: how many runs at once, on which GPUs, and what it does at the end."""

from pathlib import Path

from goe.core.errors import ConfigError, GoeError
from goe.core.queuefile import load_queue
from goe.launch.detached import queue_mark, start_detached, wait_until_at_work
from tui.faults import told
from tui.screens.form import Field, Findings, Form, Values

_END = {"wait": ["--stay"], "end": []}


def start_form(runs: Path, queue: Path) -> Form:
    """What `goe queue start` takes, with the file's own values where nothing is written.

    Raises ConfigError if there is anything wrong with the file.
    """
    options = load_queue(queue).options
    named = options.gpus
    gpus = "all of this machine" if named is None else f"{', '.join(map(str, named)) or 'none'}  from the file"
    return Form(
        "Start the queue",
        (
            Field("slots", usual=f"{options.slots}  from the file", about="Runs at once where there is no GPU."),
            Field("gpus", usual=gpus, about="GPUs to use: numbers or UUIDs, such as 0,2."),
            Field(
                "when done",
                "wait",
                about="Whether it waits for edits of the file when nothing is left.",
                words=(*_END,),
            ),
        ),
        lambda values: _start(runs, queue, values),
        check_start,
        note="It outlives this view; X on the queue's page ends it, and its runs go on even then.",
    )


def check_start(values: Values) -> Findings:
    """What is wrong with the answers."""
    found = {}
    if values["slots"] and not (values["slots"].isdecimal() and int(values["slots"]) > 0):
        found["slots"] = f"{values['slots']!r} is no number from 1"
    if values["when done"] not in _END:
        found["when done"] = f"{values['when done']!r}: write one of {', '.join(_END)}"
    return found


def start_options(values: Values) -> list[str]:
    """The answers as options of the detached queue."""
    slots = ["--slots", values["slots"]] if values["slots"] else []
    gpus = ["--gpus", values["gpus"].replace(" ", "")] if values["gpus"] else []
    return slots + gpus + _END[values["when done"]]


def _start(runs: Path, queue: Path, values: Values) -> Findings:
    found = check_start(values)
    if found:
        return found
    if queue_mark(runs) is not None:
        return {"": "a queue works here already"}
    try:
        child = start_detached(runs, queue, start_options(values))
        wait_until_at_work(runs, child)
    except ConfigError as error:
        return {"": "\n".join(error.problems)}
    except (GoeError, OSError) as error:
        return {"": told(error, runs)}
    return {}
