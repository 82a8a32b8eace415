"""The process that imports torch: trains or evaluates runs, by command line only.

    python -m goe.worker train RUNDIR
    python -m goe.worker rank RUNDIR ATTEMPT
    python -m goe.worker eval REQUEST RUNDIR...
    python -m goe.worker score REQUEST RUNDIR
    python -m goe.worker import FILE RUNS CONFIG
    python -m goe.worker export RUNDIR FORMAT CHECKPOINT SCORE OUT

Exit codes are those of goe.core.errors. What it has to say goes to stdout and stderr, which the supervisor keeps in
`train.log`.
"""

import contextlib
import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from goe.core.cause import cause_of
from goe.core.code import identify_code
from goe.core.config import RunConfig
from goe.core.errors import (
    EXIT_BUG,
    EXIT_DISK_FULL,
    EXIT_MEMORY,
    EXIT_OK,
    EXIT_STOPPED,
    EXIT_USER,
    GoeError,
    RunError,
    ScoreError,
    UserError,
)
from goe.core.evaljob import EvalProgress, EvalRequest, ScoreRequest
from goe.core.provenance import code_warning
from goe.core.rundir import Attempt, RunDir
from goe.journal import Journal, Silence

if TYPE_CHECKING:
    from goe.parallel import Team

RECORDED_TIMEOUT_S = 30.0


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit code says how it ended."""
    try:
        return dispatch(argv)
    except GoeError as error:
        _complain(str(error))
        return error.exit_code
    except OSError as error:
        _complain(describe_os_error(error))
        return os_error_code(error)


def dispatch(argv: Sequence[str]) -> int:
    """The command named first, with the rest as its arguments."""
    command, *rest = argv
    match command:
        case "train":
            return train_command(RunDir(Path(rest[0])))
        case "rank":
            return rank_command(RunDir(Path(rest[0])), int(rest[1]))
        case "eval":
            return eval_command(msgspec.json.decode(rest[0], type=EvalRequest), rest[1:])
        case "score":
            return score_command(msgspec.json.decode(rest[0], type=ScoreRequest), RunDir(Path(rest[1])))
        case "import":
            return import_command(Path(rest[0]), Path(rest[1]), config=rest[2])
        case "export":
            path, form, checkpoint, score, out = rest
            return export_command(RunDir(Path(path)), form=form, checkpoint=checkpoint, score=score, out=out)
        case _:
            raise ValueError(f"unknown worker command {command!r}")


def describe_os_error(error: OSError) -> str:
    """Which file, what the system said, and for a full disk what to do."""
    advice = "; free some space, then start the run again: it goes on from its last checkpoint"
    full = os_error_code(error) == EXIT_DISK_FULL
    return f"{error.filename or 'disk'}: {error.strerror or error}{advice if full else ''}"


def os_error_code(error: OSError) -> int:
    """The exit code for what the system refused. Where the disk is full, it alone can tell the supervisor."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EXIT_DISK_FULL
    return EXIT_MEMORY if error.errno == errno.ENOMEM else EXIT_USER


def train_command(run: RunDir) -> int:
    """Train a run from where it stands, then evaluate it; or have it trained by several processes."""
    attempt = _recorded(run)
    terminated: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: terminated.append(number))
    if attempt.launch().processes > 1:
        from goe.ranks import lead

        return lead(run, attempt, terminated)
    with Journal(run, attempt, epochs=run.config().epochs) as journal:
        journal.phase("starting")
        ending = Ending(run, attempt, lambda: bool(terminated))
        return _reporting(journal, lambda: _train_and_evaluate(run, journal, ending))


def rank_command(run: RunDir, number: int) -> int:
    """Train a run with the other ranks of its attempt `number`; the first of them then evaluates it."""
    from goe.parallel import last_words

    attempt = run.numbered(number)
    if os.environ["RANK"] == "0":
        with Journal(run, attempt, epochs=run.config().epochs) as journal:
            journal.phase("starting")
            code, error = _as_rank(run, attempt, journal), journal.status.error
    else:
        silence = Silence()
        code, error = _as_rank(run, attempt, silence), silence.error
    if code != EXIT_OK:
        last_words(error)
        sys.stdout.flush()
        os._exit(code)  # a group that others left already can't be taken down in order
    return code


def _as_rank(run: RunDir, attempt: Attempt, journal: Journal | Silence) -> int:
    from goe.parallel import EXIT_LOST, LOST_S, TERMINATED, LostRankError, company, join, last_words

    terminated = Path(os.environ[TERMINATED])

    def work() -> None:
        try:
            with company():
                team = join(run.config().device)
            _train_and_evaluate(run, journal, Ending(run, attempt, terminated.exists), team)
        except LostRankError as error:
            last_words(str(error))
            time.sleep(LOST_S)
            os._exit(EXIT_LOST)

    return _reporting(journal, work)


def _train_and_evaluate(run: RunDir, journal: Journal | Silence, ending: "Ending", team: "Team | None" = None) -> None:
    import torch

    from goe.data.store import data_root
    from goe.parallel import ALONE, leave
    from goe.train import train

    team = team or ALONE
    if not team.leads:
        train(run, journal, root=data_root(), should_stop=lambda: False, team=team)
        leave()
        return
    _begin(run, journal, team)
    train(run, journal, root=data_root(), should_stop=ending.now, wind_down=ending.before, say=print, team=team)
    if team.size > 1:
        leave()
        torch.set_num_threads(torch.get_num_threads() * team.size)  # those of the others too
    _evaluate(run, journal)


def _begin(run: RunDir, journal: Journal | Silence, team: "Team") -> None:
    from goe.data.store import data_root
    from goe.environment import write_environment

    code = identify_code()
    warning = code_warning(run, code)
    if warning:
        print(f"warning: {warning}")  # noqa: T201
    journal.update(code=code.digest, warning=warning)
    write_environment(run, code, data=data_root(), processes=team.size)


def _evaluate(run: RunDir, journal: Journal | Silence) -> None:
    from goe.data.store import data_root
    from goe.evaluate import evaluate

    config = run.config()
    journal.phase("evaluating")

    def progress(now: EvalProgress) -> None:
        journal.update(eta_s=0.0)
        if now.done == now.total:
            print(f"evaluating: {now.note or now.part}")  # noqa: T201

    done = evaluate(
        run,
        checkpoint_name=config.evaluate,
        scores=config.scores,
        root=data_root(),
        progress=progress,
    )
    if done.problems:
        raise ScoreError("; ".join(done.problems))
    journal.phase("finished")


class Ending:
    """Whether a worker has to end before its work is done."""

    def __init__(self, run: RunDir, attempt: Attempt, terminated: Callable[[], bool]) -> None:
        self._run, self._attempt, self._terminated = run, attempt, terminated

    def now(self) -> bool:
        """Whether it was asked to, by file or by signal; or somebody else makes the run's next attempt already."""
        asked = self._attempt.stop_requested or self._terminated()
        return asked or self._run.attempt_count() > self._attempt.number

    def before(self, seconds: float) -> bool:
        """Whether the node has to be left before something is done that takes so long, with a fifth to spare."""
        notice = self._attempt.notice()
        return notice is not None and time.time() + 1.2 * seconds > notice.until


def _recorded(run: RunDir) -> Attempt:
    """The attempt this process was started for, once its supervisor has recorded it there.

    A supervisor killed before that leaves a worker nobody could find; such a worker must not train.
    """
    deadline = time.monotonic() + RECORDED_TIMEOUT_S
    while time.monotonic() < deadline:
        attempt = run.attempt()
        worker = attempt.launch().worker if attempt is not None else None
        if attempt is not None and worker is not None and worker.pid == os.getpid():
            return attempt
        time.sleep(0.01)
    raise RunError(f"{run.path}: a worker is started by its supervisor; use `goe train` or `goe queue run`")


def _reporting(journal: Journal | Silence, work: Callable[[], None]) -> int:
    """Do the work; whatever goes wrong ends in the status, the log and the exit code."""
    from goe.train import StopRequestedError

    try:
        work()
    except StopRequestedError:
        with contextlib.suppress(OSError):
            print("stopped on request; the same command or the next queue resumes it")  # noqa: T201
        _last_word(journal, "stopped", None)
        return EXIT_STOPPED
    except OSError as error:
        return _failed(journal, describe_os_error(error), os_error_code(error))
    except GoeError as error:
        return _failed(journal, str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 -- the worker's border: a bug of ours, or a lack of memory
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return _failed(journal, *_unforeseen(error))
    return EXIT_OK


def _unforeseen(error: Exception) -> tuple[str, int]:
    """One message and the exit code for what nobody raised on purpose; its traceback is in the log."""
    found = f"{type(error).__name__}: {error}"
    if cause_of(EXIT_BUG, None, "", found) == "out-of-memory":
        said = f": {str(error).splitlines()[0]}" if str(error) else ""
        remedy = "a smaller batch-size needs less; the last checkpoint stands, and train.log has the traceback"
        return f"out of memory{said}; {remedy}", EXIT_MEMORY
    return f"{found}; train.log has the traceback", EXIT_BUG


def _failed(journal: Journal | Silence, message: str, code: int) -> int:
    if isinstance(journal, Journal):  # of a rank that is not the first, the worker tells if it matters
        _complain(message)
    _last_word(journal, "failed", message)
    return code


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):  # a full disk must not hide the exit code
        print(f"error: {message}", file=sys.stderr)  # noqa: T201


def _last_word(journal: Journal | Silence, phase: str, error: str | None) -> None:
    try:
        journal.phase(phase, error)  # type: ignore[arg-type]
    except OSError as problem:
        _complain(f"status.json: {problem}")


def eval_command(request: EvalRequest, paths: Sequence[str]) -> int:
    """Evaluate runs one after another; one that fails does not keep the others from being evaluated.

    stdout has a line of JSON for each step, an EvalProgress.
    """
    from goe.data.store import data_root
    from goe.evaluate import evaluate

    worst = EXIT_OK
    for path in paths:
        run = RunDir(Path(path))

        def say(now: EvalProgress, run: RunDir = run) -> None:
            line = msgspec.json.encode(msgspec.structs.replace(now, run_id=run.run_id))
            print(line.decode(), flush=True)  # noqa: T201

        try:
            config = run.config()
            done = evaluate(
                run,
                checkpoint_name=request.checkpoint or config.evaluate,
                scores=request.scores or config.scores,
                root=data_root(),
                force=request.force,
                tests=request.tests,
                keep_outputs=request.keep_outputs,
                progress=say,
            )
            problems = done.problems
            for written in done.paths:
                say(EvalProgress(result=written.stem))
        except (UserError, OSError) as error:
            problems = [describe_os_error(error) if isinstance(error, OSError) else str(error)]
        for problem in problems:
            print(f"error: {run.run_id}: {problem}", file=sys.stderr)  # noqa: T201
            worst = EXIT_USER
    return worst


def score_command(request: ScoreRequest, run: RunDir) -> int:
    """Score image files. stdout has a line of JSON for each, a ScoredImage."""
    from goe.data.store import data_root
    from goe.predicting import score_images

    def say(now: EvalProgress) -> None:
        if now.note:
            print(f"{run.run_id}: {now.note}", file=sys.stderr)  # noqa: T201

    code = EXIT_OK
    for found in score_images(run, request, data_root(), say):
        print(msgspec.json.encode(found).decode(), flush=True)  # noqa: T201
        code = EXIT_OK if code == EXIT_OK and found.problem is None else EXIT_USER
    return code


def import_command(file: Path, runs: Path, *, config: str) -> int:
    """Make a run of weights trained elsewhere. `config` is its configuration as JSON."""
    from goe.importing import import_weights

    run = import_weights(file, runs, msgspec.json.decode(config, type=RunConfig))
    print(f"imported {file}; `goe eval {run.run_id}` evaluates it", file=sys.stderr)  # noqa: T201
    print(run.run_id)  # noqa: T201
    return EXIT_OK


def export_command(run: RunDir, *, form: str, checkpoint: str, score: str, out: str) -> int:
    """Write a run's classifier as a file for other programs. What is empty is as usual."""
    from goe.data.store import data_root
    from goe.exporting import export_detector

    def say(line: str) -> None:
        print(line, file=sys.stderr)  # noqa: T201

    place = Path(out) if out else None
    print(  # noqa: T201
        export_detector(run, form, checkpoint_name=checkpoint, score=score, out=place, root=data_root(), say=say)
    )
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
