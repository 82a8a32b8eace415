"""What became of a queue's jobs: asked of Slurm in one call for all, seldom, and written into the runs' directories.

    squeue ──► slurm.json of each job that changed ──► who waits why, where a run is, when it is to start
           ├─► a job that is over and left no word ──► its attempt's exit.json, in the supervisor's stead
           └─► batches without such a job ──► their folders are removed

Whether a run goes on is seen in its directory; Slurm only has to be asked about jobs that wait, and about those that
say nothing more. A job is buried only some time after Slurm called it over, because the word of its supervisor may
reach this machine late over a shared file system, and never while its heartbeat goes on. All waiting is measured by
this machine's monotonic clock, so that no two clocks are compared.
"""

import contextlib
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from goe.core.cause import job_cause
from goe.core.errors import EXIT_STOPPED, RunError
from goe.core.overview import RunView
from goe.core.records import Exit
from goe.core.rundir import Attempt, RunDir, write_json
from goe.core.slurm import ENDED, VANISHED, SlurmJob
from goe.core.stamp import Stamp, stamp_of
from goe.core.state import RunState
from goe.launch.slurm import close
from goe.launch.slurmbatch import batch_of, batches, needed, output_file, read_comment, read_task, release
from goe.launch.slurmclient import Listed, SlurmError, UnansweredError, ended_jobs, list_jobs

SOON_S, SELDOM_S = 10.0, 30.0
"""Between two calls: while things change, and at most while nothing does."""
PATIENCE_S = 120.0
"""At most between two calls while Slurm doesn't answer."""
SETTLE_S = 90.0
"""From when Slurm calls a job over to its burial: longer than a file system's attribute cache (NFS: 60 s)."""
RENEW_S = 300.0
"""Age at which what Slurm says of a job at work is written again, though nothing changed."""
_GROWTH = 1.5
_LOG_TAIL = 4096


class _Silent(Struct):
    """A job that is over, or that nobody knows any more, and what its run shows meanwhile."""

    since: float
    beat: Stamp | None
    missing: bool


class _Open(Struct, frozen=True):
    """A run with a job that is not over."""

    run: RunDir
    job: SlurmJob
    claimed: int
    """Its attempts before Slurm was asked: one that waits in the answer and had begun by then was put back."""


class SlurmWatch:
    """Follows the jobs of one folder of runs."""

    def __init__(
        self,
        runs: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.runs = runs
        self._clock, self._now = clock, now
        self._pause = SOON_S
        self._next = 0.0
        self._adopted = False  # whether every job that was found is written down
        self._silent: dict[str, _Silent] = {}
        self._strays: dict[str, float] = {}  # batches that nobody seems to need, and since when
        self.problem = ""
        """Why Slurm could not be asked the last time; empty if it could."""

    def hurry(self) -> None:
        """Something was submitted: ask soon, also if none of it could be written down."""
        self._adopted = False
        self._pause = SOON_S
        self._next = min(self._next, self._clock() + SOON_S)

    def back_off(self, problem: str) -> None:
        """Slurm doesn't answer: leave it alone for a while."""
        self.problem = problem
        self._pause = min(PATIENCE_S, self._pause * 2)
        self._next = self._clock() + self._pause * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    def poll(self, views: Iterable[RunView]) -> bool:
        """Ask if it is time to and there is something to ask; whether Slurm was asked and answered.

        `views` are the runs as they were seen last. The first call also finds jobs that a queue submitted and was
        killed before it could write them down.
        """
        if self._clock() < self._next:
            return False
        views = list(views)
        open_jobs = dict(_open(views))
        if not open_jobs and self._adopted and not self.problem:
            self._next = self._clock() + SELDOM_S
            self._tidy(views)
            return False
        try:
            listed = list_jobs()
            changed = self._take(open_jobs, listed)
        except SlurmError as error:
            self.back_off(str(error))
            return False
        self.problem = ""
        self._pause = SOON_S if changed else min(SELDOM_S, self._pause * _GROWTH)
        self._next = self._clock() + self._pause
        self._tidy(views, {batch_of(one.name) for one in listed if one.state not in ENDED})
        return True

    def leave(self, views: Iterable[RunView]) -> None:
        """Remove what the jobs of these runs were submitted with, as far as they are over."""
        self._tidy(list(views))

    def _tidy(self, views: Sequence[RunView], live: Collection[str] = ()) -> None:
        """Remove the folders of batches that are over: those of these runs at once, others after a while.

        Another queue may be submitting one at this moment. `live`: batches that Slurm knows.
        """
        in_use, now = needed(views).union(live), self._clock()
        known = {view.job.batch for view in views if view.job is not None}
        strays = [batch for batch in batches(self.runs) if batch not in in_use]
        self._strays = {batch: self._strays.get(batch, now) for batch in strays}
        for batch, since in self._strays.items():
            if batch in known or now - since > SETTLE_S:
                release(self.runs, batch)

    def _take(self, open_jobs: Mapping[str, _Open], listed: list[Listed]) -> bool:
        changed = False
        known = {one.job: one for one in listed}
        adopted = {run.run_id: (run, job) for run, job in self._adopt(open_jobs, listed)}
        self._adopted = True
        for run, job in adopted.values():
            try:
                write_json(run.slurm_file, job, durable=False)
            except OSError:  # of one run; tried again with the next answer
                self._adopted = False
        left = {run_id: found for run_id, found in open_jobs.items() if run_id not in adopted}
        told = {run_id: _mine(each.job, known.get(each.job.job)) for run_id, each in left.items()}
        missing = [left[run_id].job.job for run_id, one in told.items() if one is None]
        try:
            accounts, undecided = ended_jobs(missing), False
        except UnansweredError:  # of the missing they may tell more later
            accounts, undecided = {}, True
        for run_id, each in left.items():
            one = told[run_id] or _mine(each.job, accounts.get(each.job.job))
            if one is None and undecided:
                continue
            with contextlib.suppress(RunError, OSError):  # of one run; it is shown as broken
                changed |= self._follow(each, one)
        for gone in self._silent.keys() - {each.job.job for each in left.values()}:
            del self._silent[gone]
        return changed or bool(adopted)

    def _adopt(self, open_jobs: Mapping[str, _Open], listed: list[Listed]) -> Iterator[tuple[RunDir, SlurmJob]]:
        """Jobs of runs of this folder that nobody wrote down, unless the one that was is still to come to something."""
        folder = self.runs.resolve()
        live = {one.job for one in listed if one.state not in ENDED}
        written = {(each.job.job, each.job.batch) for each in open_jobs.values()}
        for one in listed:
            batch = read_comment(one.comment)
            if one.job not in live or batch is None or batch.parent.parent != folder:
                continue
            task = None if (one.job, batch.name) in written else read_task(batch, one.job)
            if task is None:
                continue
            number, run = task.attempt, RunDir(self.runs / task.run)
            old = open_jobs.get(run.run_id)
            if (old is None or old.job.job not in live) and self._is_unknown(run, one, number):
                now = self._now()
                new = SlurmJob(job=one.job, batch=batch.name, attempt=number, submitted=now, seen=now)
                yield run, _told(new, one, now)

    def _is_unknown(self, run: RunDir, one: Listed, number: int) -> bool:
        """Whether a job is to make a run's attempt, or makes it, and isn't the one that is written down."""
        try:
            written, newest = run.job(), run.attempt()
            if not run.path.is_dir() or (written is not None and written.job == one.job):
                return False
            return newest is None or newest.number < number or newest.launch().job == one.job
        except (RunError, OSError):
            return False

    def _follow(self, each: _Open, one: Listed | None) -> bool:
        """Write down what is new of one job; whether anything was."""
        run, job = each.run, each.job
        if one is None or one.state in ENDED:
            return self._end(run, job, one)
        self._silent.pop(job.job, None)
        now = self._now()
        new = _told(job, one, now)
        if each.claimed >= job.attempt and run.numbered(each.claimed).launch().job == job.job:
            new = replace(new, attempt=each.claimed + 1 if new.waits else each.claimed)
        same = replace(new, seen=job.seen) == job
        if not same or (not new.waits and now - job.seen > RENEW_S):
            write_json(run.slurm_file, new, durable=False)
        return not same

    def _end(self, run: RunDir, job: SlurmJob, one: Listed | None) -> bool:
        """See to a job that is over, or that Slurm doesn't know: nothing is decided before the word had its time."""
        attempt = _begun(run, job)
        ended = attempt.exit() if attempt is not None else None
        cancelled = one is not None and one.state == "CANCELLED" and (ended is None or ended.cause != "")
        silent = self._silent.get(job.job)
        if cancelled and (silent is None or silent.missing):  # once, or a `goe resume` meanwhile would be undone
            run.held_file.touch()  # somebody's wish, as `goe cancel` is
        if ended is not None and (one is not None or ended.cause != "preempted"):
            return self._close(run, job, one)
        beat = stamp_of(attempt.status_file) if attempt is not None else None
        if silent is None or silent.beat != beat or silent.missing != (one is None):
            if silent is not None and one is not None and attempt is not None:
                attempt.request_stop()  # Slurm gave it up, perhaps with its node, but it goes on
            self._silent[job.job] = _Silent(self._clock(), beat, one is None)
            return True
        if self._clock() - silent.since < SETTLE_S:
            return True
        if ended is None:
            self._bury(run, job, one, attempt)
        return self._close(run, job, one)

    def _close(self, run: RunDir, job: SlurmJob, one: Listed | None) -> bool:
        self._silent.pop(job.job, None)
        last = _told(job, one, self._now()) if one is not None else replace(job, state=VANISHED, reason="")
        write_json(run.slurm_file, replace(last, over=True), durable=False)
        return True

    def _bury(self, run: RunDir, job: SlurmJob, one: Listed | None, attempt: Attempt | None) -> None:
        """Write the exit of an attempt whose supervisor can't any more, or never could."""
        now = self._now()
        state = one.state if one is not None else VANISHED
        idle = state == "COMPLETED" and attempt is None and _unwanted(run, job)
        words = _last_words(run, job) if attempt is None else ""
        cause = None if idle else job_cause(state, started=attempt is not None, words=words)
        told = _epitaph(run, job, one, words, started=attempt is not None)
        said = f"job {job.job} had nothing to do" if idle else told
        ended = Exit(
            code=EXIT_STOPPED if cause is None else None,
            signal=None,
            started=attempt.launch().started if attempt is not None else now,
            ended=now,
            peak_memory=0,
            cause=cause or "",
            said=said,
        )
        if attempt is not None:
            attempt.bury(ended)
        else:
            close(run, job, job.attempt, ended)  # unless another job made it, or this machine sees that only now


def _open(views: Iterable[RunView]) -> Iterator[tuple[str, _Open]]:
    for view in views:
        if view.job is not None and not view.job.over and view.state is not RunState.DONE:
            with contextlib.suppress(RunError):
                yield view.run_id, _Open(view.run, view.job, view.run.attempt_count())


def _told(job: SlurmJob, one: Listed, now: float) -> SlurmJob:
    new = replace(job, state=one.state, reason=one.reason, nodes=one.nodes, seen=now)
    return replace(new, start=one.start if new.waits else None)


def _mine(job: SlurmJob, one: Listed | None) -> Listed | None:
    """The job, unless it is somebody else's: on a cluster that was set up anew, ids begin again."""
    return one if one is not None and batch_of(one.name) == job.batch else None


def _begun(run: RunDir, job: SlurmJob) -> Attempt | None:
    """The attempt that the job is at, or was; None if it has yet to begin the one that it is to make."""
    attempt = run.attempt()
    if attempt is None or attempt.number < job.attempt or attempt.launch().job != job.job:
        return None
    return attempt


def _unwanted(run: RunDir, job: SlurmJob) -> bool:
    """Whether somebody wants no further attempt, so that a job that Slurm begins anew does nothing."""
    newest = run.attempt()
    return run.held or (newest is not None and newest.stop_requested and newest.launch().job == job.job)


def _epitaph(run: RunDir, job: SlurmJob, one: Listed | None, words: str, *, started: bool) -> str:
    """What is known of the end, and what to do."""
    if one is None:
        when = "while it was at work" if started else "before it had started"
        return (
            f"Slurm doesn't know job {job.job} any more, {when}; a queue starts the run again while it has retries left"
        )
    reason = f" ({one.reason})" if one.reason else ""
    ended = f"job {job.job} ended as {one.state}{reason}"
    if started:
        return f"{ended} on {one.nodes or 'its node'} and left no exit code"
    if one.state in {"COMPLETED", "FAILED"}:
        seen = f": {words}" if words else f"; is {run.path.resolve()} there, and may it be written?"
        return f"{ended} on {one.nodes or 'its node'} before goe had started there{seen}"
    return f"{ended} before it had started"


def _last_words(run: RunDir, job: SlurmJob) -> str:
    """The last line that a job printed before goe came so far as to write the run's log."""
    with contextlib.suppress(OSError):
        text = (
            output_file(run.path.parent, job.batch, job.job).read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
        )
        return text.splitlines()[-1] if text else ""
    return ""
