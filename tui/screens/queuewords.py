"""What the queue's page says of the file, its problems, and what an edit or an end would leave behind."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from textual.geometry import Size

from goe.core.logfile import clean_line
from goe.core.state import RunState
from tui.messages import Queued, QueueFacts
from tui.widgets.runcells import cut

NEW_RUNS = "Other values make other runs: those there are stay, and don't count any more."
_NAMED = 3
"""Runs, experiments and problems that are named one by one."""
_LISTED = 8
"""Problems that a question lists."""
_HIGH = 16
"""Lines of a screen that has room for more than one problem."""


def has_begun(each: Queued) -> bool:
    """Whether a run of it exists in more than the plan."""
    return any(state is not RunState.QUEUED for state, _ in each.states)


def count_of(chosen: Sequence[Queued]) -> str:
    """Its name, or how many they are."""
    return chosen[0].name if len(chosen) == 1 else f"{len(chosen)} experiments"


def fate(chosen: Sequence[Queued]) -> str:
    """What becomes of the runs of experiments that are taken out."""
    tally: Counter[RunState] = Counter()
    for each in chosen:
        tally.update(dict(each.states))
    begun = ", ".join(f"{tally[state]} {state}" for state in RunState if tally[state] and state is not RunState.QUEUED)
    its, it = ("Its", "It has") if len(chosen) == 1 else ("Their", "They have")
    runs = (
        f"{its} runs stay in the runs folder ({begun}); one at work goes on to its end."
        if begun
        else f"{it} no runs yet."
    )
    names = "" if len(chosen) == 1 else f"{_named([each.name for each in chosen])}. "
    comments = "Comments directly above go with it." if len(chosen) == 1 else "Comments directly above go with them."
    return f"{names}{runs} {comments} U takes this back."


def left_behind(live: list[str]) -> str:
    """What goes on when the queue ends."""
    if not live:
        return "No run is at work. Nothing is started until the queue is."
    goes = "goes" if len(live) == 1 else "go"
    return f"{_named(live)} {goes} on, and the next queue takes over. Nothing else is started."


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def short(problem: str, file: Path) -> str:
    """The problem with the file's name instead of its path, without what could be done to the terminal."""
    path = str(file)
    return clean_line(problem.replace(path, file.name, 1) if problem.startswith(path) else problem)


def problems_in(file: Path, problems: Sequence[str]) -> tuple[str, str]:
    """How many they are, and the first of them below each other."""
    more = [f"and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
    title = f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {file.name}"
    return title, "\n".join([*(short(problem, file) for problem in problems[:_LISTED]), *more])


def nothing(facts: QueueFacts, file: Path) -> str:
    """Why no experiment is shown, and what makes one."""
    if facts.missing:
        return f"There is no {file} yet: a writes one with a first experiment."
    if facts.problems:
        return f"{file} can't be shown before it is mended: e opens it."
    return "No experiment yet: a adds one."


def alerts(facts: QueueFacts, file: Path, size: Size) -> str:
    """What is wrong and what that means; a line a problem where there are several, so that none hides the others."""
    if facts.missing:
        return ""
    room = 1 if size.height < _HIGH else _NAMED
    shown = facts.problems[:room]
    width = max(1, size.width - 2)
    lines = [cut(f"! {short(problem, file)}", width * (room if len(shown) == 1 else 1)) for problem in shown]
    rest = [f"{len(facts.problems) - room} more"] if len(facts.problems) > room else []
    if facts.problems and any(each.states for each in facts.experiments):
        goes = ", with which the queue goes on" if facts.mark is not None else ""
        rest.append(f"shown is the last version without problems{goes}")
    lines += ["; ".join(rest)] if rest else []
    if facts.mark is not None and facts.mark.queue not in {"", str(file.absolute())}:
        lines.append(clean_line(f"! the queue at work goes by another file: {facts.mark.queue}"))
    return "\n".join(lines)
