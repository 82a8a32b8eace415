"""What a queue starts next, from runs as they are given."""

from pathlib import Path
from typing import Any

import pytest

from goe.core.config import InitFrom, RunConfig, complete
from goe.core.jobs import Cause, Job, JobOptions, Retry
from goe.core.overview import RunView
from goe.core.rundir import RunDir
from goe.core.state import RunState
from goe.launch.look import Seen
from goe.launch.plan import Plan, Stand, Standing
from goe.launch.retry import Past, chance

NOW, CLOCK = 1_000_000.0, 5_000.0


def job(experiment: str, seed: int = 1, *, init_from: InitFrom | None = None, **options: Any) -> Job:
    problems: list[str] = []
    raw = {"experiment": experiment, "seed": seed, "dataset": "digits"}
    config = complete(raw, lambda path, finding: problems.append(finding))
    assert config is not None, problems
    if init_from is not None:
        config = RunConfig(
            **{name: getattr(config, name) for name in config.__struct_fields__} | {"init_from": init_from}
        )
    return Job(config=config, options=JobOptions(**options))


def seen(
    one: Job,
    state: RunState = RunState.QUEUED,
    attempt: int = 0,
    *,
    held: bool = False,
    past: Past | None = None,
    at: float = CLOCK,
) -> Seen:
    return Seen(RunView(RunDir(Path("runs") / one.run_id), state, one.config, attempt, held=held), past or Past(), at)


def failed(one: Job, *causes: Cause, ago: float | None = 0.0, at: float = CLOCK, asked: int = 0) -> Seen:
    ended = None if ago is None else NOW - ago
    return seen(one, RunState.FAILED, asked + len(causes), past=Past(causes, ended, asked), at=at)


def standings(*pairs: tuple[Job, Seen], **known: Any) -> dict[str, Standing]:
    """By experiment, in the order of starting."""
    jobs = {one.run_id: one for one, _ in pairs}
    plan = Plan(
        jobs, {one.run_id: what for one, what in pairs}, known.pop("retry", Retry()), now=NOW, clock=CLOCK, **known
    )
    return {run_id.partition("-s")[0]: found for run_id, found in plan.standings().items()}


def stands(*pairs: tuple[Job, Seen], **known: Any) -> dict[str, Stand]:
    return {name: found.stand for name, found in standings(*pairs, **known).items()}


def test_priority_then_the_order_of_the_file() -> None:
    jobs = [job("a"), job("b", priority=2), job("c", priority=-1), job("d"), job("e", priority=2)]
    assert list(stands(*((one, seen(one)) for one in jobs))) == ["b", "e", "a", "d", "c"]


@pytest.mark.parametrize(
    ("state", "stand"),
    [
        (RunState.QUEUED, Stand.READY),
        (RunState.STARTING, Stand.LIVE),
        (RunState.RUNNING, Stand.LIVE),
        (RunState.STOPPING, Stand.LIVE),
        (RunState.DONE, Stand.DONE),
        (RunState.STOPPED, Stand.OVER),
        (RunState.FAILED, Stand.OVER),
        (RunState.LOST, Stand.OVER),  # of another host: nobody knows
        (RunState.BROKEN, Stand.OVER),
    ],
)
def test_states_without_a_past(state: RunState, stand: Stand) -> None:
    one = job("a")
    assert stands((one, seen(one, state, 0 if state is RunState.QUEUED else 1))) == {"a": stand}


def test_holds_of_the_file_and_of_the_folder() -> None:
    one, two, three = job("a", hold=True), job("b"), job("c", hold=True)
    found = stands((one, seen(one)), (two, seen(two, held=True)), (three, seen(three, RunState.RUNNING, 1)))
    assert found == {"a": Stand.HELD, "b": Stand.HELD, "c": Stand.LIVE}
    (text,) = (each.text for each in standings((two, seen(two, held=True))).values())
    assert text == "held by hand: `goe resume` lets it go"


def test_after_waits_for_every_seed() -> None:
    first, second, last = job("a", 1), job("a", 2), job("b", after=("a",))

    def of(one: RunState, two: RunState) -> Standing:
        return standings((first, seen(first, one, 1)), (second, seen(second, two, 1)), (last, seen(last)))["b"]

    assert of(RunState.DONE, RunState.DONE).stand is Stand.READY
    assert of(RunState.DONE, RunState.RUNNING) == Standing(Stand.WAITING, f"waits for {second.run_id}")
    assert of(RunState.RUNNING, RunState.FAILED) == Standing(
        Stand.OVER, f"not started: it comes after {second.run_id}, which is failed"
    )


def test_giving_up_goes_down_a_chain_and_ends_when_its_source_is_done() -> None:
    one, two, three = job("a"), job("b", after=("a",)), job("c", after=("b",))
    rest = ((two, seen(two)), (three, seen(three)))
    found = standings((one, failed(one, "bug")), *rest)
    assert [each.stand for each in found.values()] == [Stand.OVER] * 3
    assert found["c"].text == f"not started: it comes after {two.run_id}, which is not started either"
    assert stands((one, seen(one, RunState.DONE, 2)), *rest) == {
        "a": Stand.DONE,
        "b": Stand.READY,
        "c": Stand.WAITING,
    }


def test_what_waits_for_a_held_or_retried_run_is_not_given_up() -> None:
    one, two, three, four = job("a", hold=True), job("b", after=("a",)), job("c"), job("d", after=("c",))
    found = stands((one, seen(one)), (two, seen(two)), (three, failed(three, "nccl")), (four, seen(four)))
    assert found == {"a": Stand.HELD, "b": Stand.WAITING, "c": Stand.BACKOFF, "d": Stand.WAITING}


def test_init_from_waits_for_the_run_of_the_same_seed() -> None:
    base = job("base")
    tuned = job("tuned", init_from=InitFrom(experiment="base", group=base.config.group))
    assert tuned.config.init_from is not None
    assert tuned.config.init_from.run_id(1) == base.run_id
    rest = (tuned, seen(tuned))
    assert stands((base, seen(base, RunState.RUNNING, 1)), rest)["tuned"] is Stand.WAITING
    assert stands((base, seen(base, RunState.DONE, 1)), rest)["tuned"] is Stand.READY
    text = standings((base, seen(base, RunState.STOPPED, 1)), rest)["tuned"].text
    assert text == f"not started: it begins with the weights of {base.run_id}, which is stopped"


def test_a_circle_of_after_and_init_from_ends() -> None:
    base = job("base", after=("tuned",))
    tuned = job("tuned", init_from=InitFrom(experiment="base", group=base.config.group))
    assert stands((base, seen(base)), (tuned, seen(tuned))) == {"base": Stand.OVER, "tuned": Stand.OVER}


@pytest.mark.parametrize(
    ("causes", "number", "limit", "wait", "given"),
    [
        (("nccl",), 1, 3, 10.0, True),
        (("nccl", "nccl"), 2, 3, 20.0, True),
        (("nccl", "nccl", "nccl"), 3, 3, 40.0, True),
        (("nccl", "nccl", "nccl", "nccl"), 4, 3, 80.0, False),
        (("nccl", "lost"), 1, 20, 20.0, True),  # a limit for each cause, one wait for all
        (("user", "nccl"), 1, 3, 10.0, True),  # a user's error was never retried
        (("out-of-memory",), 1, 1, 10.0, True),
        (("out-of-memory", "out-of-memory"), 2, 1, 20.0, False),
        (("user",), 1, 0, 10.0, False),
        (("bug",), 1, 0, 10.0, False),
        (("non-finite",), 1, 0, 10.0, False),
        (("preempted",) * 9, 9, 20, 2560.0, True),
        (("preempted",) * 10, 10, 20, 3600.0, True),  # 5120 s, but for the hour
    ],
)
def test_chances(causes: tuple[Cause, ...], number: int, limit: int, wait: float, given: bool) -> None:
    found = chance(Past(causes), Retry())
    assert (found.number, found.limit, found.wait, found.given) == (number, limit, wait, given)
    assert found.cause == causes[-1]


def test_the_wait_cannot_overflow() -> None:
    assert chance(Past(("lost",) * 5000), Retry(lost=10_000)).wait == 3600.0


def test_a_retry_is_due_by_the_clock_on_the_wall() -> None:
    one = job("a")

    def after(seconds: float) -> Standing:
        return standings((one, failed(one, "nccl", "nccl", ago=seconds)))["a"]

    assert (after(0).stand, after(0).wait, after(0).text) == (Stand.BACKOFF, 20.0, "retry 2/3 in 20 s (nccl)")
    assert (after(19).stand, after(19).wait) == (Stand.BACKOFF, 1.0)
    assert after(20).stand is Stand.READY


@pytest.mark.parametrize("ago", [-86_400.0, None])
def test_a_clock_put_back_or_an_unknown_end_does_not_lengthen_the_wait(ago: float | None) -> None:
    """It ended a day in the future, or nobody knows when; the queue has seen it so for 4 s, then for 10 s."""
    one = job("a")
    assert standings((one, failed(one, "lost", ago=ago, at=CLOCK - 4)))["a"].wait == 6.0
    assert standings((one, failed(one, "lost", ago=ago, at=CLOCK - 10)))["a"].stand is Stand.READY


def test_exhausted_retries_say_so_and_others_are_silent() -> None:
    one, two = job("a"), job("b")
    found = standings((one, failed(one, "out-of-memory", "out-of-memory")), (two, failed(two, "user")))
    assert found["a"] == Standing(Stand.OVER, "given up after 1 retries (out-of-memory)")
    assert found["b"] == Standing(Stand.OVER)


def test_an_experiment_has_retries_of_its_own() -> None:
    one, two = job("a", retry=Retry(nccl=0)), job("b")
    found = stands((one, failed(one, "nccl")), (two, failed(two, "nccl")), retry=Retry(backoff=0.0))
    assert found == {"a": Stand.OVER, "b": Stand.READY}


def test_what_the_user_asked_for_needs_no_chance_once() -> None:
    one = job("a")
    past = failed(one, "user", "user")
    assert stands((one, past), asked={one.run_id: 2}) == {"a": Stand.READY}
    assert stands((one, past), asked={one.run_id: 1}) == {"a": Stand.OVER}  # it was started since
    stopped = seen(one, RunState.STOPPED, 1)
    assert stands((one, stopped), asked={one.run_id: 1}) == {"a": Stand.READY}
    assert stands((one, stopped), asked={one.run_id: 0}) == {"a": Stand.OVER}


def test_a_retry_by_hand_starts_it_and_its_limits_anew() -> None:
    one = job("a")
    assert stands((one, failed(one, asked=2))) == {"a": Stand.READY}
    assert standings((one, failed(one, "nccl", asked=4)))["a"].text == "retry 1/3 in 10 s (nccl)"


def test_what_could_not_be_started_is_over() -> None:
    one, two = job("a"), job("b")
    found = stands((one, seen(one)), (two, seen(two)), refused={one.run_id})
    assert found == {"a": Stand.OVER, "b": Stand.READY}


def test_long_chains_need_no_deep_stack() -> None:
    chain = [job(f"e{number}", after=(f"e{number - 1}",) if number else ()) for number in range(1500)]
    found = stands(*((one, seen(one)) for one in reversed(chain)))
    assert [found[f"e{number}"] for number in range(1500)] == [Stand.READY] + [Stand.WAITING] * 1499
