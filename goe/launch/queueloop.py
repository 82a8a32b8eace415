"""The queue: starts what is missing, highest priority first, while there are free slots.

It keeps nothing in memory that matters. Every turn looks at the run directories, so a queue that was killed is
replaced by starting another: live runs are found there and count as running, whoever started them. What it does next
is decided in goe/launch/plan.py; the queue file is read again whenever it was saved.
"""

import functools
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goe.core.code import CodeIdentity, identify_code
from goe.core.errors import GoeError
from goe.core.jobs import Job
from goe.core.overview import RunView
from goe.core.process import ProcessId
from goe.core.queuefile import Queue, QueueOptions
from goe.core.report import job_text
from goe.core.rundir import RunDir
from goe.core.state import RunState
from goe.launch.base import Launcher, Slot, Start
from goe.launch.detached import Announcement, announced
from goe.launch.events import Event, EventKind
from goe.launch.launchers import launcher_for, places_for, site_for
from goe.launch.livefile import LiveFile
from goe.launch.local import reap
from goe.launch.look import Look, Seen
from goe.launch.neighbours import Neighbours
from goe.launch.notify import Notifier
from goe.launch.plan import Plan, Stand, Standing, retry_text
from goe.launch.space import SpaceGuard, free_gib
from goe.launch.watch import Watch

FILL_S = 5.0
"""Time that one turn spends on starting runs."""
TELL_S = 20.0
"""How long the end of the queue waits for messages that are on their way."""


@dataclass
class Runner:
    """Works through a queue file: each run that is not done is started once, and again as its retries allow."""

    queue: Queue
    runs: Path
    gpus: Sequence[int | str] | None = None
    """GPU numbers or UUIDs; None as the file says."""
    count: int | None = None
    """Slots; None as the file says."""
    launcher: Launcher | None = None
    """None as the file says."""
    report: Callable[[Event], None] = lambda _: None
    follow: bool = True
    """Read the file again after each save; not for a queue that is only a part of its file."""
    stay: bool = False
    """Wait for edits, releases and retries when nothing is left to do."""
    alone: bool = False
    """Refuse to work where another queue does, so that ending one ends them all."""
    again: bool = True
    """Runs that failed or were stopped under earlier queues are started once more: their user asked for it."""

    def __post_init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        """By run id, in the file's order."""
        self.seen: dict[str, Seen] = {}
        """The runs of `jobs`, then those that left the file while they were live."""
        self.standings: dict[str, Standing] = {}
        self._alive: dict[str, None] = {}  # the live ones of `seen`, so that an idle turn costs nothing
        self._ready: dict[str, Job] = {}
        self._to_come = False
        self._waits_for_slot: tuple[str, str] | None = None  # the first one that is ready, and why it has to wait
        self._file = LiveFile(self.queue)
        self._read_at = time.time()
        self._first: dict[str, int] = {}  # the attempts a run had had when it came to this queue
        self._refused: dict[str, str] = {}
        self._said: set[tuple[str, int, Stand]] = set()
        self._look = Look()
        self._neighbours = Neighbours(self.runs, self._look)
        self._next_look = 0.0
        self._next_due = 0.0
        self._planned = 0.0
        self._changed = False
        self._busy = False
        self._space = SpaceGuard()
        self._watch = Watch()
        self._notifier = Notifier(self.queue.options.notify, self.queue.options.notify_on)
        self._slots = places_for(self.queue.options, self.gpus, self.count)
        self._launcher = self.launcher or launcher_for(self.queue.options)
        self._site = site_for(self.queue.options, self.runs)
        self._unanswered = ""
        self._full = ""

    @property
    def views(self) -> dict[str, RunView]:
        """What is known of the runs."""
        return {run_id: seen.view for run_id, seen in self.seen.items()}

    def run(self, *, idle: Callable[[], None] = lambda: None) -> bool:
        """Turn until nothing is left to start or wait for; True if every run is done. `idle` is called each turn.

        Raises BusyError if it is to be alone and is not.
        """
        with announced(Announcement(self.runs, self.queue.path, self.gpus, self.count)) as word:
            try:
                if self.alone:
                    word.insist()
                self._take_jobs(self.queue)
                while self.turn(word) or self.stay:
                    idle()
                    self._watch.wait(self._supervisors(), self._pause())
                    reap()
            finally:
                self._watch.close()
                self._site.leave(self.views.values())
                self._close_notifier(TELL_S)
        return all(self.seen[run_id].view.state is RunState.DONE for run_id in self.jobs)

    def turn(self, word: Announcement | None = None) -> bool:
        """Look, plan, fill the free slots. False when nothing is left to do, unless somebody changes something."""
        self._reread()
        self._ask()
        look = time.monotonic() >= self._next_look
        self._look_at(list(self.seen if look else self._alive))
        news = look or self._changed
        if self._changed or time.monotonic() >= self._next_due:
            self._replan()
        self._fill()
        if word is not None and (news or self._changed):
            word.renew(self._asked(), self._refused)
        busy = self._changed or self._to_come or bool(self._alive)
        if self._busy and not busy:
            self._notifier.tell("empty", "the queue is empty", self._counts())
        self._busy = busy
        return busy

    def waits(self) -> Iterator[tuple[str, str]]:
        """The runs that wait for a slot or for their next retry, and for what or how long, in words."""
        if self._waits_for_slot is not None:
            yield self._waits_for_slot
        since = time.monotonic() - self._planned
        for run_id, found in self.standings.items():
            if found.chance is not None:
                yield run_id, retry_text(found.chance, max(0.0, found.wait - since))

    # The file

    def _reread(self) -> None:
        before = self._file.problems
        if not self.follow or not self._file.poll():
            return
        if self._file.problems:
            read = time.strftime("%H:%M:%S", time.localtime(self._read_at))
            self._note("\n".join((*self._file.problems, f"the queue goes on with the file as it was at {read}")))
            return
        if before:
            self._note(f"{self.queue.path}: in order again")
        self._read_at = time.time()
        if self._file.queue != self.queue:
            old = self.jobs.keys()
            new = {job.run_id for job in self._file.queue.jobs}
            self._note(f"{self.queue.path}: changed: {len(new - old)} runs new, {len(old - new)} gone")
            before_options, self.queue = self.queue.options, self._file.queue
            self._take_options(before_options, self.queue.options)
            self._take_jobs(self.queue)

    def _take_options(self, before: QueueOptions, now: QueueOptions) -> None:
        if now.launcher != before.launcher:
            self._note(
                f"{self.queue.path}: launcher: the queue goes on with {before.launcher}; start it anew to change"
            )
        elif now != before:
            try:
                self._slots = places_for(now, self.gpus, self.count)
            except GoeError as error:
                self._note(f"{error}\nthe queue goes on with the slots it had")
        if (now.notify, now.notify_on) != (before.notify, before.notify_on):
            self._close_notifier(0.0)
            self._notifier = Notifier(now.notify, now.notify_on)

    def _close_notifier(self, timeout: float) -> None:
        for failure in self._notifier.close(timeout):
            self._note(failure)

    def _take_jobs(self, queue: Queue) -> None:
        """Make all directories first, so that every list shows what is still to come."""
        before, self.seen, self._alive = self.seen, {}, {}
        self.jobs = {job.run_id: job for job in queue.jobs}
        self._refused.clear()
        code = functools.cache(identify_code)
        for run_id, job in self.jobs.items():
            self._keep(run_id, before.pop(run_id) if run_id in before else self._take(run_id, job, code))
        for run_id, seen in before.items():
            if seen.view.is_live:
                self._keep(run_id, seen)
            else:
                self._first.pop(run_id, None)  # if it comes back, somebody asked for it again
        self._changed = True

    def _take(self, run_id: str, job: Job, code: Callable[[], CodeIdentity]) -> Seen:
        try:
            seen = self._look.at(RunDir.create(self.runs, job.config, code))
        except OSError as error:
            run = RunDir(self.runs / run_id)
            problem = f"{error.filename or run.path}: {error.strerror}"
            seen = Seen(RunView(run, RunState.BROKEN, job.config, problem=problem))
        if seen.view.state is RunState.BROKEN:
            self._tell_broken(seen.view)
        live = seen.view.is_live
        self._first[run_id] = max(0, seen.view.attempt - live)
        if live:
            self.report(Event("found", seen.view, _waits(seen.view)))
        return seen

    # The runs

    def _ask(self) -> None:
        """See what became of runs elsewhere; say once if nobody answers there, and when somebody does again."""
        if self._site.ask(seen.view for seen in self.seen.values()):
            self._next_look = 0.0
        if bool(self._site.problem) != bool(self._unanswered):
            away = f"{self._site.problem}; runs go on, nothing is submitted meanwhile"
            self._note(away if self._site.problem else f"{self._site.name} answers again")
        self._unanswered = self._site.problem

    def _look_at(self, run_ids: Collection[str]) -> None:
        if len(run_ids) == len(self.seen):
            self._next_look = time.monotonic() + self._site.look_s
        for run_id in run_ids:
            old = self.seen[run_id]
            if old.view.state is not RunState.DONE:
                self._notice(run_id, old, self._look.at(old.view.run))

    def _notice(self, run_id: str, old: Seen, new: Seen) -> None:
        self._keep(run_id, new)
        if new is old:
            return
        before, after = old.view, new.view
        if (_marks(before), before.lives, old.past) == (_marks(after), after.lives, new.past):
            return
        self._changed = True
        fresh = after.attempt > before.attempt
        if after.is_live and (fresh or not before.is_live):
            self.report(Event("started" if _came_to_it(before, after) else "found", after))
        elif not after.is_live and (fresh or before.is_live):
            self._ended(after)
        if after.lives and not before.lives:
            self._tell_broken(after)

    def _tell_broken(self, view: RunView) -> None:
        self.report(Event("error", view, str(view.problem)))

    def _ended(self, view: RunView) -> None:
        self.report(Event("ended", view))
        if view.state is RunState.DONE:
            self._notifier.tell("done", f"{view.run_id} is done", "", view.run_id)
        if view.run_id not in self.jobs:  # it left the file and is no longer followed
            self.seen.pop(view.run_id, None)

    def _keep(self, run_id: str, seen: Seen) -> None:
        self.seen[run_id] = seen
        if seen.view.is_live:
            self._alive[run_id] = None
            self._refused.pop(run_id, None)
        else:
            self._alive.pop(run_id, None)

    def _supervisors(self) -> list[ProcessId]:
        return [view.launch.supervisor for view in self._live() if view.launch is not None]

    # What is next

    def _replan(self) -> None:
        self._changed = False
        clock = time.monotonic()
        plan = Plan(self.jobs, self.seen, self.queue.options.retry, self._asked(), self._refused, time.time(), clock)
        self.standings, self._planned = plan.standings(), clock
        stands = [(run_id, found.stand) for run_id, found in self.standings.items()]
        self._ready = {run_id: self.jobs[run_id] for run_id, stand in stands if stand is Stand.READY}
        self._to_come = any(stand in {Stand.READY, Stand.BACKOFF} for _, stand in stands)
        waits = (found.wait for found in self.standings.values() if found.stand is Stand.BACKOFF)
        self._next_due = clock + min(waits, default=math.inf)
        for run_id, found in self.standings.items():
            self._say(self.seen[run_id].view, found)

    def _asked(self) -> dict[str, int]:
        """The runs that this queue's start asks for once more, with the attempt they had had."""
        first = {run_id: self._first[run_id] for run_id in self.jobs} if self.again else {}
        return {id_: at for id_, at in first.items() if at and self.seen[id_].view.state is not RunState.DONE}

    def _say(self, view: RunView, found: Standing) -> None:
        """Report a retry to come, and that a run is given up, each once."""
        key = view.run_id, view.attempt, found.stand
        if found.stand not in {Stand.BACKOFF, Stand.OVER} or key in self._said:
            return
        self._said.add(key)
        if found.text:
            self.report(Event("retry" if found.stand is Stand.BACKOFF else "error", view, found.text))
        failed = view.state in {RunState.FAILED, RunState.LOST} and view.attempt > self._first[view.run_id]
        if found.stand is Stand.OVER and failed:
            text = "\n".join(part for part in (view.problem, found.text) if part)
            self._notifier.tell("failed", f"{view.run_id} {view.state}", text, view.run_id)

    def _fill(self) -> None:
        """Start what is ready as far as there are slots. One that has to wait for its slot is never overtaken."""
        self._waits_for_slot = None
        if not self._ready or not self._has_room():
            return
        self._neighbours.refresh()
        first, job = next(iter(self._ready.items()))
        away = self._unanswered or self._site.full
        if away:
            self._waits_for_slot = (first, f"waits for {self._site.name}: {away}")
            return
        if self._must_wait(first, job):
            return
        self._look_around()
        if self._changed:
            self._replan()
        self._start_ready()

    def _start_ready(self) -> None:
        """Those with equal slots that follow each other are started together, as far as the launcher can."""
        begun, most = time.monotonic(), self._launcher.most
        group: dict[str, Slot] = {}
        for run_id, job in self._ready.items():
            if len(group) == most:
                if not self._start(group):
                    return  # one ended at once, and what waited for it may now come first
                group = {}
            if time.monotonic() - begun > FILL_S:
                break  # the rest at the next turn: starting takes its time, and the file may have been saved
            problem = self._slots.problem(job.options)
            if problem:
                self._refuse(run_id, f"not started: {problem}")
                continue
            slot = self._slots.take(job.options, self._live(), len(group))
            if group and slot not in group.values():
                if not self._start(group):
                    return
                group = {}
            if slot is None:
                self._must_wait(run_id, job)
                return  # what follows would take what it waits for, and it would wait for ever
            group[run_id] = slot
        self._start(group)

    def _must_wait(self, run_id: str, job: Job) -> bool:
        """Whether there is no slot for the run now but may be one later; why is kept for whoever watches."""
        if self._slots.problem(job.options):
            return False
        why = self._slots.why(job.options, self._live())
        self._waits_for_slot = (run_id, f"waits for a slot: {why}") if why else None
        return bool(why)

    def _has_room(self) -> bool:
        try:
            said = self._space.look(free_gib(self.runs), self.queue.options.min_free, self.runs)
        except OSError:  # what is wrong with the folder is said of each run
            return True
        if said:
            self._note(said)
        return not self._space.short

    def _live(self) -> list[RunView]:
        return [*(self.seen[run_id].view for run_id in self._alive), *self._neighbours.live]

    def _look_around(self) -> None:
        """See what others started since the last look, in this queue's runs and beside them."""
        self._look_at(list(self.seen))
        self._neighbours.search(self.seen.keys())

    def _start(self, group: Mapping[str, Slot]) -> bool:
        """Start runs together; whether all are live now."""
        planned = [self._as_planned(run_id, slot) for run_id, slot in group.items()]
        starts = [start for start in planned if start is not None]
        try:
            mine = self._launcher.launch(starts) if starts else []
        except (GoeError, OSError) as error:
            self._changed = True
            if not self._site.puts_off(error):
                self._site.started()  # some may have been
                for start in starts:
                    if self._look.at(start.run).view.is_live:
                        self._begun(start.run.run_id, own=True)
                    else:
                        self._refuse(start.run.run_id, str(error))
            elif self._site.full not in {"", self._full}:  # said once, however often it is tried
                self._full = self._site.full
                self._note(self._full)
            return False
        for start, own in zip(starts, mine, strict=True):
            self._changed = True
            self._site.started()
            self._begun(start.run.run_id, own)
        return all(self.seen[run_id].view.is_live for run_id in group)

    def _as_planned(self, run_id: str, slot: Slot) -> Start | None:
        """The start of a run; None if somebody was there since the plan."""
        old = self.seen[run_id]
        self._notice(run_id, old, self._look.at(old.view.run))
        view = self.seen[run_id].view
        return Start(view.run, slot, view.attempt + 1) if _marks(view) == _marks(old.view) else None

    def _begun(self, run_id: str, own: bool) -> None:
        new = self._look.at(self.seen[run_id].view.run)
        self._keep(run_id, new)
        begun: EventKind = "submitted" if new.view.state is RunState.PENDING else "started"
        self.report(Event(begun if own else "found", new.view, _waits(new.view)))
        if new.view.lives:
            self._tell_broken(new.view)
        elif not new.view.is_live:
            self._ended(new.view)

    def _refuse(self, run_id: str, why: str) -> None:
        self._refused[run_id] = why
        self._changed = True
        self.report(Event("error", self.seen[run_id].view, why))

    def _pause(self) -> float:
        turn = self._site.pause(len(self._alive))
        return 0.0 if self._changed else min(turn, max(0.0, self._next_due - time.monotonic()))

    def _note(self, text: str) -> None:
        self.report(Event("note", None, text))

    def _counts(self) -> str:
        states = [self.seen[run_id].view.state for run_id in self.jobs]
        return ", ".join(f"{states.count(state)} {state}" for state in RunState if state in states)


def _came_to_it(before: RunView, after: RunView) -> bool:
    """Whether the job that was waited for makes its attempt."""
    job, launch = before.job, after.launch
    return job is not None and launch is not None and launch.job == job.job


def _waits(view: RunView) -> str:
    """Which job is waited for, and why; empty for a run that doesn't wait for one."""
    return job_text(view.job) if view.job is not None and view.state is RunState.PENDING else ""


def _marks(view: RunView) -> tuple[RunState, int, bool]:
    """What plans are made of."""
    return view.state, view.attempt, view.held
