"""derive_state as a table: every combination of what the files can say."""

import pytest

from goe.core.errors import EXIT_BUG, EXIT_NON_FINITE, EXIT_OK, EXIT_STOPPED, EXIT_USER
from goe.core.process import ProcessId
from goe.core.records import Exit, Launch, Phase, Status
from goe.core.state import HEARTBEAT_TIMEOUT_S, RunState, derive_state

STARTED = 1000.0
LAUNCH = Launch(
    attempt=1,
    launcher="local",
    supervisor=ProcessId(pid=1, start="1", boot="b", host="h"),
    started=STARTED,
)


def ended(code: int | None, signal: int | None = None, cause: str = "") -> Exit:
    return Exit(code=code, signal=signal, started=STARTED, ended=STARTED + 5, peak_memory=1, cause=cause)


def beat(phase: Phase, after: float = 1.0) -> Status:
    return Status(phase=phase, updated=STARTED + after)


T = HEARTBEAT_TIMEOUT_S
S = RunState
CASES: list[tuple[bool | None, Status | None, Exit | None, bool, float, RunState]] = [
    # alive, status, exit, stop, seconds since the start, state
    (True, None, None, False, 1, S.STARTING),
    (True, beat("starting"), None, False, 1, S.STARTING),
    (True, beat("training"), None, False, 1, S.RUNNING),
    (True, beat("evaluating"), None, False, 1, S.RUNNING),
    (True, beat("finished"), None, False, 1, S.RUNNING),
    (True, beat("training"), None, False, 100 * T, S.RUNNING),
    (True, None, None, True, 1, S.STOPPING),
    (True, beat("training"), None, True, 1, S.STOPPING),
    (True, beat("stopped"), None, True, 1, S.STOPPING),
    (False, None, None, False, 1, S.LOST),
    (False, beat("training"), None, False, 1, S.LOST),
    (False, beat("failed"), None, False, 1, S.LOST),
    (False, beat("stopped"), None, True, 1, S.LOST),
    # its supervisor was killed, but it said itself that all is done
    (False, beat("finished"), None, False, 1, S.DONE),
    (False, beat("finished"), None, True, 1, S.DONE),
    (None, beat("finished"), None, False, 1, S.DONE),
    (None, beat("finished"), None, False, 9 * T, S.DONE),
    (False, beat("training"), None, True, 1, S.LOST),
    # another host: only the heartbeat tells
    (None, None, None, False, T - 1, S.STARTING),
    (None, None, None, False, T, S.LOST),
    (None, None, None, True, T - 1, S.STOPPING),
    (None, beat("training", 10), None, False, T + 9, S.RUNNING),
    (None, beat("training", 10), None, False, T + 10, S.LOST),
    (None, beat("training", -50), None, False, T - 1, S.RUNNING),
    (None, beat("training", 10), None, True, T + 10, S.LOST),
    # the clock jumped back by a day: nobody is taken for dead by it, nor a dead one for living
    (None, beat("training", 10), None, False, -86_400, S.RUNNING),
    (True, beat("training", 10), None, False, -86_400, S.RUNNING),
    (False, beat("training", 10), None, False, -86_400, S.LOST),
    # an exit code ends all doubt, whatever else is said
    *[
        (alive, beat("training"), ended(EXIT_OK), stop, 9 * T, S.DONE)
        for alive in (True, False, None)
        for stop in (True, False)
    ],
    *[
        (alive, None, ended(EXIT_STOPPED), stop, 9, S.STOPPED)
        for alive in (True, False, None)
        for stop in (True, False)
    ],
    *[
        (alive, beat("failed"), ended(code), stop, 9, S.FAILED)
        for code in (EXIT_BUG, EXIT_USER, EXIT_NON_FINITE, 137)
        for alive in (True, False, None)
        for stop in (True, False)
    ],
    # ended by a SIGTERM that nobody asked for; a stop that comes later changes nothing
    *[(False, beat("stopped"), ended(EXIT_STOPPED, None, "preempted"), stop, 9, S.FAILED) for stop in (True, False)],
    *[(False, beat("training"), ended(None, 9, "signal"), stop, 9, S.FAILED) for stop in (True, False)],
    # written before causes were
    (False, None, ended(None, 9), False, 9, S.FAILED),
    (False, None, ended(None, 15), False, 9, S.FAILED),
    (False, None, ended(None, 9), True, 9, S.STOPPED),
    (False, None, ended(None, 15), True, 9, S.STOPPED),
]


@pytest.mark.parametrize(("alive", "status", "exit_", "stop", "after", "state"), CASES)
def test_state(
    alive: bool | None, status: Status | None, exit_: Exit | None, stop: bool, after: float, state: RunState
) -> None:
    assert derive_state(LAUNCH, alive=alive, status=status, exit_=exit_, stop=stop, now=STARTED + after) is state


@pytest.mark.parametrize(
    ("alive", "exit_", "stop", "state"),
    [
        (True, None, False, S.PAUSED),
        (True, None, True, S.PAUSED),  # it can't heed the request
        (None, None, False, S.PAUSED),  # its silence means nothing
        (False, None, False, S.LOST),
        (True, ended(EXIT_OK), False, S.DONE),
        (False, ended(None, 9), True, S.STOPPED),
    ],
)
def test_paused(alive: bool | None, exit_: Exit | None, stop: bool, state: RunState) -> None:
    for status in (None, beat("starting"), beat("training")):
        found = derive_state(
            LAUNCH, alive=alive, status=status, exit_=exit_, stop=stop, now=STARTED + 100 * T, paused=True
        )
        assert found is state


@pytest.mark.parametrize("alive", [True, False, None])
@pytest.mark.parametrize("stop", [True, False])
def test_a_run_that_was_never_launched_is_queued(alive: bool | None, stop: bool) -> None:
    assert derive_state(None, alive=alive, status=None, exit_=None, stop=stop, now=0) is RunState.QUEUED


def test_every_state_but_broken_stands_in_the_table() -> None:
    assert {case[-1] for case in CASES} | {S.QUEUED, S.PENDING, S.BROKEN, S.PAUSED} == set(RunState)


def test_live_states() -> None:
    assert {state for state in RunState if state.is_live} == {S.PENDING, S.STARTING, S.RUNNING, S.PAUSED, S.STOPPING}
