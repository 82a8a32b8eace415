"""Whether a queue starts a failed run again by itself: after which causes, how often and how late."""

import contextlib
from typing import get_args

from msgspec import Struct

from goe.core.cause import cause_of
from goe.core.errors import EXIT_OK, EXIT_STOPPED, RunError
from goe.core.jobs import Cause, Retry
from goe.core.records import Exit
from goe.core.rundir import Attempt, RunDir

LONGEST_WAIT_S = 3600.0


class Past(Struct, frozen=True):
    """What a run's attempts say of its failures."""

    causes: tuple[Cause, ...] = ()
    """Why attempts failed, oldest first: those after the last retry that somebody asked for."""
    ended: float | None = None
    """When the newest attempt ended, in Unix time; None where nobody knows."""
    asked: int = 0
    """The attempt after which somebody last asked for another (`goe retry`); 0 for none."""
    cut_off: bool = False
    """The newest attempt had to leave its node and had got further: that is no failure, and it simply goes on."""


class Chance(Struct, frozen=True):
    """The next retry that a failed run could have."""

    cause: Cause
    number: int
    """Of the retries after this cause, from 1."""
    limit: int
    wait: float
    """Seconds from the end of the attempt to the retry."""

    @property
    def given(self) -> bool:
        """Whether the limit allows it."""
        return self.number <= self.limit


def chance(past: Past, policy: Retry) -> Chance:
    """The retry after the last failure of `past`, which has one.

    A cause has its limit for itself; the wait doubles with each retry after any cause.
    """
    cause = past.causes[-1]
    earlier = sum(policy.limit(each) > 0 for each in past.causes[:-1])
    wait = min(LONGEST_WAIT_S, policy.backoff * 2.0 ** min(earlier, 60))
    return Chance(cause, past.causes.count(cause), policy.limit(cause), wait)


def read_past(run: RunDir, newest: int) -> Past:
    """The past of a run whose newest attempt is number `newest` and has no living process.

    An attempt that left no exit code is `lost`; so is one whose exit.json can't be read.
    """
    attempts = [run.numbered(number) for number in range(1, newest + 1)]
    asked = run.retried()
    exits = [_exit(attempt) for attempt in attempts]
    cut_off = [_is_cut_off(run, attempt, exit_) for attempt, exit_ in zip(attempts, exits, strict=True)]
    causes = [None if cut else _cause(exit_) for exit_, cut in zip(exits[asked:], cut_off[asked:], strict=True)]
    last = exits[-1] if exits else None
    known = tuple(cause for cause in causes if cause is not None)
    return Past(known, last.ended if last else None, asked, bool(cut_off) and cut_off[-1])


def advanced(run: RunDir, attempt: int) -> bool:
    """Whether an attempt got further than the one before it by an epoch at least."""
    epochs = []
    for number in (attempt - 1, attempt):
        status = None
        with contextlib.suppress(RunError):
            status = run.numbered(number).status()
        epochs.append(status.epoch if status is not None else 0)
    return epochs[1] > max(epochs[0], 1)


def _is_cut_off(run: RunDir, attempt: Attempt, exit_: Exit | None) -> bool:
    if exit_ is None or exit_.cause != "preempted":
        return False
    with contextlib.suppress(RunError):
        return bool(attempt.launch().job) and advanced(run, attempt.number)
    return False


def _exit(attempt: Attempt) -> Exit | None:
    try:
        return attempt.exit()
    except RunError:
        return None


def _cause(exit_: Exit | None) -> Cause | None:
    """Why an attempt failed; None if it didn't."""
    if exit_ is None:
        return "lost"
    for cause in get_args(Cause):
        if exit_.cause == cause:
            return cause  # type: ignore[no-any-return]
    if exit_.code in {EXIT_OK, EXIT_STOPPED}:
        return None
    return cause_of(exit_.code, exit_.signal, "", None)  # written before causes were recorded
