"""What a queue starts next, decided from what is known of its runs and from nothing else."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from goe.core.jobs import Job, Retry
from goe.core.report import job_text
from goe.core.state import RunState
from goe.launch.look import Seen
from goe.launch.retry import Chance, chance


class Stand(Enum):
    """Where a job stands with the queue."""

    DONE = auto()
    LIVE = auto()
    READY = auto()
    """To be started as soon as a slot is free."""
    BACKOFF = auto()
    """To be started again after a while."""
    WAITING = auto()
    """For other runs, which may still be done."""
    HELD = auto()
    """Until somebody releases it."""
    OVER = auto()
    """Not started by this queue."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands, and why."""

    stand: Stand
    text: str = ""
    """In words, where the stand alone doesn't say it."""
    wait: float = 0.0
    """BACKOFF: seconds from now."""
    chance: Chance | None = None
    """BACKOFF: the retry to come."""


def retry_text(found: Chance, wait: float) -> str:
    """`retry 2/3 in 20 s (nccl)`."""
    return f"retry {found.number}/{found.limit} in {wait:.0f} s ({found.cause})"


@dataclass
class Plan:
    """The standings of a file's jobs at one moment."""

    jobs: Mapping[str, Job]
    """By run id, in the file's order."""
    seen: Mapping[str, Seen]
    """Every job's run."""
    retry: Retry
    """What holds for jobs that say nothing of their own."""
    asked: Mapping[str, int] = field(default_factory=dict)
    """Runs whose user asked for a start, whatever their failures: the attempt they had had at that moment."""
    refused: Collection[str] = ()
    """Runs that could not be started."""
    now: float = 0.0
    """Unix time."""
    clock: float = 0.0
    """The monotonic clock at that moment."""
    _found: dict[str, Standing] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._experiments: dict[str, list[str]] = {}
        for run_id, job in self.jobs.items():
            self._experiments.setdefault(job.config.experiment, []).append(run_id)

    def standings(self) -> dict[str, Standing]:
        """Every job's standing by run id, in the order of starting: by priority, equal ones as in the file."""
        for run_id in self.jobs:
            self._settle(run_id)
        order = sorted(self.jobs, key=lambda run_id: -self.jobs[run_id].options.priority)
        return {run_id: self._found[run_id] for run_id in order}

    def _settle(self, run_id: str) -> None:
        """Decide on a run once it is decided on those before it. Without recursion: chains may be long."""
        stack, opened = [run_id], set()
        while stack:
            current = stack[-1]
            job = self.jobs[current]
            before = {source for source, _ in self._sources(job)} & self.jobs.keys()
            open_ones = [source for source in before if source not in self._found and source not in opened]
            if current not in self._found:
                if open_ones:
                    opened.add(current)
                    stack += open_ones
                    continue
                self._found[current] = self._decide(current, job)
            stack.pop()

    def _sources(self, job: Job) -> list[tuple[str, str]]:
        """The runs that must be done before it, each with the reason."""
        origin = job.config.init_from
        found = [(run_id, "it comes after") for name in job.options.after for run_id in self._experiments[name]]
        if origin is not None and origin.experiment:
            found.append((origin.run_id(job.config.seed), "it begins with the weights of"))
        return found

    def _decide(self, run_id: str, job: Job) -> Standing:
        seen = self.seen[run_id]
        state = seen.view.state
        if state is RunState.DONE:
            return Standing(Stand.DONE)
        if seen.view.is_live:
            given = seen.view.job if state is RunState.PENDING else None
            return Standing(Stand.LIVE, job_text(given) if given is not None else "")
        if job.options.hold or seen.view.held:
            by_hand = "held by hand: `goe resume` lets it go"
            return Standing(Stand.HELD, "held in the queue file" if job.options.hold else by_hand)
        if not seen.view.needs_start or run_id in self.refused:
            return Standing(Stand.OVER)
        own = self._own(run_id, job, seen)
        return self._others(job) or own if own.stand is Stand.READY else own

    def _own(self, run_id: str, job: Job, seen: Seen) -> Standing:
        """What the run's own past says."""
        attempt = seen.view.attempt
        if attempt in {0, self.asked.get(run_id), seen.past.asked} or seen.past.cut_off:
            return Standing(Stand.READY)
        if seen.view.state is RunState.STOPPED or not seen.past.causes:
            return Standing(Stand.OVER)
        found = chance(seen.past, job.options.retry or self.retry)
        if not found.given:
            text = f"given up after {found.limit} retries ({found.cause})" if found.limit else ""
            return Standing(Stand.OVER, text)
        waited = self.clock - seen.at  # a clock that was put back must not make it wait for longer
        if seen.past.ended is not None:
            waited = max(waited, self.now - seen.past.ended)
        wait = found.wait - waited
        if wait <= 0:
            return Standing(Stand.READY)
        return Standing(Stand.BACKOFF, retry_text(found, wait), wait, found)

    def _others(self, job: Job) -> Standing | None:
        """What the runs that must be done before it say; None if nothing stands against a start."""
        waiting = None
        for run_id, reason in self._sources(job):
            if run_id in self.jobs and run_id not in self._found:
                return Standing(Stand.OVER, f"not started: {reason} {run_id}, which waits for this run itself")
            found = self._found.get(run_id, Standing(Stand.OVER))
            if found.stand is Stand.OVER:
                return Standing(Stand.OVER, f"not started: {reason} {run_id}, which is {self._state(run_id)}")
            if found.stand is not Stand.DONE and waiting is None:
                waiting = Standing(Stand.WAITING, f"waits for {run_id}")
        return waiting

    def _state(self, run_id: str) -> str:
        state = self.seen[run_id].view.state if run_id in self.seen else "not in the queue file"
        return "not started either" if state is RunState.QUEUED else state
