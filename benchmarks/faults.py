"""SIGKILLs at random over queue, supervisors and workers while short jobs are trained: is anything lost or untrue?

    python benchmarks/faults.py [--jobs 40] [--kills 200] [--seed 0] [--slots 2]

The jobs are real: WRN-10-1 on digits, two epochs, evaluated. Killed queues are started again at once. In the end every
job must be done exactly once, with weights and training state equal byte for byte to an undisturbed run's and each
epoch recorded once; every exit code must be the one that was caused; no process may be left. Exit 1 if anything is not
so.
"""

import argparse
import contextlib
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from goe.core.overview import view_runs
from goe.core.process import ProcessId, identify, is_alive
from goe.core.records import CheckpointIndex, MetricsTail
from goe.core.rundir import Attempt, RunDir, find_runs, read_json
from goe.core.state import RunState

EPOCHS = 2
SEEDS = 8
ORPHAN_S = 60.0
"""A worker whose supervisor was killed before it wrote down who its worker is gives up after 30 s."""
SETUP = """
[queue]
slots = {slots}
min-free = 0
retry = {{ signal = 100000, lost = 100000, preempted = 100000, backoff = 0 }}

[defaults]
dataset = "digits"
model = "wrn-10-1"
batch-size = 100
outlier-batch-size = 16
outliers = {{ size = 64 }}
method = "baseline"
epochs = {epochs}
"""


@dataclass(frozen=True)
class Victim:
    """A process that may be killed; the queue has neither run nor attempt."""

    kind: str
    process: ProcessId
    run_id: str = ""
    attempt: int = 0


@dataclass
class Lab:
    """A folder with a queue file and its runs."""

    folder: Path
    queues: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def write(self, names: list[str], seeds: int, slots: int) -> None:
        self.folder.mkdir()
        text = SETUP.format(slots=slots, epochs=EPOCHS)
        text += "".join(f'[[experiment]]\nname = "{name}"\nseeds = {list(range(1, seeds + 1))}\n' for name in names)
        (self.folder / "experiments.toml").write_text(text, encoding="utf-8")

    def start_queue(self) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TERM": "dumb"}
        with (self.folder / "queue.log").open("ab") as log:
            command = [sys.executable, "-m", "cli", "queue", "run", "--runs", str(self.runs)]
            self.queues.append(subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log))

    def keep_queue(self) -> "subprocess.Popen[bytes]":
        """The queue at work; a new one where the last one has ended."""
        if not self.queues or self.queues[-1].poll() is not None:
            self.start_queue()
        return self.queues[-1]

    def done(self) -> int:
        return sum(view.state is RunState.DONE for view in view_runs(self.runs))

    def victims(self) -> list[Victim]:
        """Every process of ours that lives."""
        found = []
        for view in view_runs(self.runs):
            if view.state.is_live and view.launch is not None:
                pair = (("supervisor", view.launch.supervisor), ("worker", view.launch.worker))
                found += [Victim(kind, who, view.run_id, view.attempt) for kind, who in pair if who and is_alive(who)]
        queue = identify(self.keep_queue().pid)
        return [*found, Victim("queue", queue)] if queue is not None else found

    def left(self) -> list[str]:
        """Command lines of every process that speaks of this folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(self.runs) in line and path.parent.name != str(os.getpid()):
                    found.append(f"{path.parent.name} {line}")
        return found


def kill(victim: Victim) -> bool:
    """SIGKILL to exactly this process; False if it is gone already."""
    try:
        handle = os.pidfd_open(victim.process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(victim.process):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def disturb(lab: Lab, options: argparse.Namespace, undisturbed: float, deadline: float) -> list[Victim]:
    """Work through the queue, killing at random; kills and jobs done keep step, so that each stage is hit.

    `undisturbed` is how many seconds all jobs would take; what kills cost comes on top, so half of it is enough.
    """
    jobs, kills, rng = options.jobs, options.kills, random.Random(options.seed)
    pause = undisturbed / kills / 2
    killed: list[Victim] = []
    done = 0
    while done < jobs:
        lab.keep_queue()
        if time.monotonic() > deadline:
            break
        ahead = len(killed) / kills - done / jobs
        time.sleep(0.5 if len(killed) >= kills else pause * rng.uniform(0, 2) * min(2.0, max(0.1, 2 ** (8 * ahead))))
        if len(killed) < kills:
            victims = lab.victims()
            kind = rng.choice(sorted({victim.kind for victim in victims})) if victims else ""
            some = [victim for victim in victims if victim.kind == kind]
            if some and kill(victim := rng.choice(some)):
                killed.append(victim)
                say(f"kill {len(killed)}: {kind} {victim.run_id} attempt {victim.attempt}, {done} done")
        done = lab.done()
    return killed


def audit(lab: Lab, calm: Lab, killed: list[Victim]) -> Iterator[str]:
    """Everything that is not as it should be."""
    truth = {run.config().seed: last(run) for run in find_runs(calm.runs)}
    hit = {(victim.kind, victim.run_id, victim.attempt) for victim in killed}
    for run in find_runs(lab.runs):
        attempts = [Attempt(run.attempts_dir / str(number)) for number in range(1, run.attempt_count() + 1)]
        ends = [finished(attempt) for attempt in attempts]
        if ends.count(True) != 1 or not ends[-1]:
            yield f"{run.run_id}: done {ends.count(True)} times in {len(attempts)} attempts"
        for attempt in attempts:
            yield from wrong_end(run, attempt, hit)
        mine, other = last(run), truth[run.config().seed]
        if (mine.weights_sha256, mine.state_sha256) != (other.weights_sha256, other.state_sha256):
            yield f"{run.run_id}: its weights or its training state differ from the undisturbed run's"
        tail = MetricsTail(run.metrics_file)
        tail.poll()
        epochs = [record.epoch for record in tail.records if record.kind == "epoch"]
        if epochs != list(range(1, EPOCHS + 1)):
            yield f"{run.run_id}: records of the epochs {epochs}"
        workers = sum(kind == "worker" and run_id == run.run_id for kind, run_id, _ in hit)
        if tail.bad > workers:
            yield f"{run.run_id}: {tail.bad} bad records after {workers} kills"


def wrong_end(run: RunDir, attempt: Attempt, hit: set[tuple[str, str, int]]) -> Iterator[str]:
    """Whether the attempt's end is told otherwise than it was."""
    shot = {kind for kind in ("worker", "supervisor") if (kind, run.run_id, attempt.number) in hit}
    ended = attempt.exit()
    if ended is None:
        if "supervisor" not in shot:
            yield f"{run.run_id}/{attempt.number}: no exit.json though its supervisor was not killed"
        return
    told = (ended.code, ended.signal, ended.cause)
    # A kill can come between the worker's last word and its end.
    right = told == (0, None, "") if finished(attempt) or "worker" not in shot else told == (None, 9, "signal")
    if not right:
        yield f"{run.run_id}/{attempt.number}: told {told}, killed were {sorted(shot) or 'none'}"


def finished(attempt: Attempt) -> bool:
    """Whether this attempt did the run's last work."""
    ended, status = attempt.exit(), attempt.status()
    if ended is not None:
        return ended.code == 0
    return status is not None and status.phase == "finished"


def last(run: RunDir) -> CheckpointIndex:
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None, f"{run.path}: no checkpoint"
    return index


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=4 * 3600.0)
    options = parser.parse_args()
    seeds = SEEDS if options.jobs % SEEDS == 0 else options.jobs
    with tempfile.TemporaryDirectory(prefix="goe-faults-") as place:
        calm, lab = Lab(Path(place) / "calm"), Lab(Path(place) / "wild")
        calm.write(["calm"], seeds, options.slots)
        lab.write([f"job{number}" for number in range(options.jobs // seeds)], seeds, options.slots)
        try:
            return campaign(calm, lab, options)
        finally:
            for queue in (*calm.queues, *lab.queues):
                queue.kill()
                queue.wait()


def campaign(calm: Lab, lab: Lab, options: argparse.Namespace) -> int:
    begun = time.monotonic()
    calm.start_queue()
    assert calm.queues[0].wait() == 0, (calm.folder / "queue.log").read_text(encoding="utf-8")
    undisturbed = time.monotonic() - begun
    begun = time.monotonic()
    every = undisturbed * options.jobs / len(find_runs(calm.runs))
    killed = disturb(lab, options, every, begun + options.timeout)
    took = time.monotonic() - begun
    lab.queues[-1].wait(60)
    while lab.left() and time.monotonic() < begun + took + ORPHAN_S:
        time.sleep(0.2)
    found = [*audit(lab, calm, killed), *(f"left running: {line}" for line in lab.left())]
    if len(killed) < options.kills or lab.done() < options.jobs:
        found.append(f"only {len(killed)} kills, {lab.done()} jobs done")
    attempts = Counter(run.attempt_count() for run in find_runs(lab.runs))
    kinds = Counter(victim.kind for victim in killed)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{options.jobs} jobs, {options.slots} at once, seed {options.seed}: {took:.0f} s under fire")
    print(f"{len(list(find_runs(calm.runs)))} undisturbed runs to compare with: {undisturbed:.0f} s")
    print(f"{len(killed)} kills: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    print("attempts a job: " + ", ".join(f"{number} ({count} jobs)" for number, count in sorted(attempts.items())))
    print(f"{lab.done()} jobs done; {len(found)} faults")
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
