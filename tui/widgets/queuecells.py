"""The queue file's experiments as words and columns: pure functions from what was read to text."""

import time
from collections.abc import Mapping, Sequence

from rich.text import Text

from goe.core.logfile import clean_line
from goe.core.report import GLYPHS, NOTHING, duration
from goe.core.state import RunState
from tui.messages import Queued, QueueFacts
from tui.widgets.keytable import Cell, Heading
from tui.widgets.runcells import cut, state_colour

_GAP = 2
_LEAST, _NAME_MAX, _WHY, _WHY_MAX, _SETS, _WORDY = 10, 36, 12, 40, 20, 70
_SIGN = 2
_ETA, _PRIORITY, _SHORT, _LONG = 8, 4, 8, 32


def rows_of(experiments: Sequence[Queued]) -> dict[str, Queued]:
    """The experiments by a key of their own: the name, but where it is missing or taken by an earlier one."""
    found: dict[str, Queued] = {}
    for number, each in enumerate(experiments):
        found[each.name if each.name and each.name not in found else f"{each.name}\n{number}"] = each
    return found


def headings_for(experiments: Sequence[Queued], width: int, *, signed: bool = False) -> tuple[Heading, ...]:
    """The columns for a table `width` cells wide: what doesn't fit is left out, names and reasons get the rest.

    `signed`: names have a sign before them.
    """
    wordy = width >= _WORDY
    states = max((len(states_text(each)) for each in experiments), default=0)
    runs = Heading("runs", min(max(states, _SHORT), _LONG, width // 3) if wordy else _SHORT)
    chosen = [runs]
    before = _SIGN if signed else 0
    longest = max((len(each.name) for each in experiments), default=0) + before
    wanted = max(_LEAST + before, min(longest, _NAME_MAX, width // 3))
    name = min(wanted, max(_LEAST + before, width - runs.width - _WHY - 3 * _GAP))
    free = width - name - runs.width - 3 * _GAP
    for heading in (Heading("pri", _PRIORITY, right=True), Heading("ETA", _ETA, right=True)):
        if free - heading.width - _GAP >= _WHY:
            chosen.append(heading)
            free -= heading.width + _GAP
    why = min(max(_WHY, *(len(_why(each)) for each in experiments)), _WHY_MAX) if experiments else _WHY
    roomy = free - why - _GAP >= _SETS
    chosen.append(Heading("waits", why if roomy else free))
    if roomy:
        chosen.append(Heading("sets", free - why - _GAP))
    return (Heading(f"{' ' * _SIGN}experiment" if signed else "experiment", name), *chosen)


def cells_of(each: Queued, headings: Sequence[Heading], sign: str = "", *, dark: bool) -> tuple[Cell, ...]:
    """An experiment under these headings; `sign` is drawn where the headings leave room for one."""
    room = next(heading.width for heading in headings if heading.title == "runs")
    runs = states_text(each)
    before = f"{sign:<{_SIGN}}" if headings[0].title.startswith(" ") else ""
    cells: Mapping[str, Cell] = {
        "experiment": (before + _name(each), "dim" if each.held else ""),
        "runs": (runs if len(runs) <= room else short_states(each), _colour(each, dark=dark)),
        "pri": (f"{each.priority:+}" if each.priority else NOTHING, "" if each.priority else "dim"),
        "ETA": (duration(each.left_s), "dim" if each.left_s is None else ""),
        "waits": (_why(each), ""),
        "sets": (", ".join(each.sets), "dim"),
    }
    return tuple(cells[heading.title.strip()] for heading in headings)


def _name(each: Queued) -> str:
    return clean_line(each.name) or "(no name)"


def states_text(each: Queued) -> str:
    """`3/5 done, 1 running`."""
    rest = [f"{count} {state}" for state, count in each.states if state not in {RunState.DONE, RunState.QUEUED}]
    return ", ".join([f"{_share(each)} done", *rest]) if each.states else NOTHING


def short_states(each: Queued) -> str:
    """`3/5 ●1`."""
    rest = [f"{GLYPHS[state]}{count}" for state, count in each.states if state not in {RunState.DONE, RunState.QUEUED}]
    return " ".join([_share(each), *rest]) if each.states else NOTHING


def _share(each: Queued) -> str:
    tally = dict(each.states)
    return f"{tally.get(RunState.DONE, 0)}/{sum(tally.values())}"


def _colour(each: Queued, *, dark: bool) -> str:
    states = {state for state, _ in each.states}
    telling = (RunState.BROKEN, RunState.FAILED, RunState.LOST, RunState.RUNNING, RunState.STARTING)
    found = next((state for state in telling if state in states), None)
    if found is None and states == {RunState.DONE}:
        found = RunState.DONE
    return state_colour(found, dark=dark) if found is not None else ""


def _why(each: Queued) -> str:
    if each.held:
        return "‖ held"
    return each.why.removeprefix("waits ")


def fits(each: Queued, sought: str) -> bool:
    """Whether all the words are in its name, what it sets, or what it waits for."""
    text = " ".join([each.name, *each.sets, _why(each)]).lower()
    return all(word in text for word in sought.lower().split())


def details(each: Queued, width: int) -> Text:
    """Everything about one experiment, in three lines."""
    seeds = ", ".join(map(str, each.seeds))
    states = ", ".join(f"{count} {state}" for state, count in each.states)
    parts = [f"line {each.line}", f"seeds {seeds}" if seeds else "", states]
    parts += [f"after {', '.join(each.after)}" if each.after else "", f"priority {each.priority}"]
    text = Text(end="")
    text.append(_name(each), "bold")
    text.append("  " + " · ".join(part for part in parts if part) + "\n")
    text.append(cut(f"sets {', '.join(each.sets)}" if each.sets else "sets nothing beside [defaults]", width) + "\n")
    text.append(cut(each.why or "waits for nothing", width))
    return text


def headline(facts: QueueFacts, now: float, chosen: Sequence[str], width: int) -> str:
    """What was chosen, whether a queue works here, since when, with how many slots; how many runs are done."""
    tally: dict[RunState, int] = {}
    for each in facts.experiments:
        for state, count in each.states:
            tally[state] = tally.get(state, 0) + count
    count, total = len(facts.experiments), sum(tally.values())
    done = f"{tally.get(RunState.DONE, 0)}/{total}"
    if width < _WORDY and total:  # the end may be cut
        sign, _, words = _at_work(facts, now).partition(" ")
        return " · ".join([f"{sign} {done} done", *chosen, words])
    parts = [*chosen, _at_work(facts, now)]
    parts += [f"{count} experiment{'s' if count > 1 else ''}"] if count else []
    parts += [f"{done} runs done"] if total else []
    return " · ".join(parts)


def _at_work(facts: QueueFacts, now: float) -> str:
    mark = facts.mark
    if mark is None:
        return "○ no queue at work"
    since = ""
    if mark.since is not None:
        today = time.localtime(mark.since)[:3] == time.localtime(now)[:3]
        since = time.strftime(" since %H:%M" if today else " since %Y-%m-%d %H:%M", time.localtime(mark.since))
    return f"● queue at work{since} · {facts.slots}"
