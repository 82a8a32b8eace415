"""Submission through submitit: runs that ask for the same are one array, one call of sbatch for all of them.

Imported where something is submitted and nowhere else: submitit takes 0.15 s.
"""

import contextlib
import io
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from submitit import SlurmExecutor
from submitit.core.core import Job
from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError
from submitit.slurm.slurm import SlurmJobEnvironment

from goe.launch.slurmclient import TIMEOUT_S, UnansweredError, client, foreign, no_answer, refusal
from goe.launch.slurmnode import Turn

Options: TypeAlias = Mapping[str, str | int | bool]
_TIMED_OUT = 124
"""Exit code of `timeout`."""
_OFTEN = 10**9
"""submitit counts the turns that a time limit ended; goe decides by what they got done (slurmnode.goes_on)."""


class Executor(SlurmExecutor):
    """submitit's, but for what its parameters can't say.

    * Pickles lie there before sbatch is called, and each job takes its own. submitit moves them when sbatch has
      answered, so that who is killed in between leaves jobs that wait in vain for theirs and fail.
    * What nobody asked for is left to the cluster: submitit always writes a time limit (5 minutes), a wckey, which
      clusters that check them refuse, and a signal.
    * sbatch has a time limit.
    """

    called = False
    """Whether sbatch was, so that the batch may be in Slurm's queue whatever went wrong since."""

    def _internal_process_submissions(self, delayed_submissions: list[DelayedSubmission]) -> list[Job[Any]]:
        for task, delayed in enumerate(delayed_submissions):
            delayed.set_timeout(0, self.max_num_timeout)
            delayed.dump(self.folder / f"{task}.pkl")
        count = len(delayed_submissions)
        if count > 1:
            self.parameters["map_count"] = count
        whole: Job[Any] = self._submit_command(self._submitit_command_str)
        if count == 1:
            return [whole]
        return [self.job_class(self.folder, f"{whole.job_id}_{task}") for task in range(count)]

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        asked = self.parameters["additional_parameters"]
        unasked = tuple(f"#SBATCH --{name}=" for name in ("signal", "time", "wckey") if name not in asked)
        lines = super()._make_submission_file_text(command, uid).splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(unasked))

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        self.called = True
        unseen = [part for name in sorted(foreign()) for part in ("-u", name)]
        return ["timeout", f"{TIMEOUT_S:g}", "env", *unseen, client("sbatch"), str(submission_file_path)]


def submit(
    folder: Path, turns: Sequence[Turn], options: Options, *, at_once: int, lead: int, setup: Sequence[str]
) -> list[str]:
    """Submit a batch, with `options` of sbatch by long name; the job of each turn.

    `at_once`: jobs of the array that may run at the same time; `lead`: seconds ahead of the time limit at which
    submitit is signalled on the node, 0 for never. Raises SlurmError with sbatch's words, OSError where the folder
    can't be written to, and UnansweredError where sbatch can't be asked at the moment or may have submitted the batch
    though its answer is not known: only its exit code says that it did not.
    """
    executor = Executor(folder, max_num_timeout=_OFTEN, python=f"exec {shlex.quote(sys.executable)} -P")
    # To the batch process, which is submitit's: it takes the shell's place.
    signal = {"signal": f"B:{SlurmJobEnvironment.USR_SIG}@{lead}"} if lead else {}
    executor.update_parameters(
        use_srun=False,  # the one process of the job is its batch process
        stderr_to_stdout=True,
        array_parallelism=at_once,
        additional_parameters={**signal, **options},
        setup=[*_prelude(folder), *setup],
    )
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # submitit prints sbatch's words and raises them too
            return [job.job_id for job in executor.submit_array(turns)]
    except FailedJobError as error:
        code = getattr(error.__cause__, "returncode", None)
        if code is None:
            raise UnansweredError(f"sbatch: its answer can't be read: {error.__cause__}") from None
        raise (no_answer("sbatch") if code == _TIMED_OUT else refusal("sbatch", str(error), code)) from None
    except FailedSubmissionError as error:
        raise UnansweredError(f"sbatch: no job id in its answer: {str(error).splitlines()[0]}") from None
    except OSError as error:
        if executor.called:
            raise UnansweredError(f"sbatch: its answer can't be kept: {error}") from None
        raise


def _prelude(folder: Path) -> list[str]:
    """What comes before the user's own lines.

    A signal that comes before there is somebody to take it must not end the job; and each job takes its pickle.
    """
    pickles = shlex.quote(str(folder))
    return [
        f"trap '' {SlurmJobEnvironment.USR_SIG}",
        "export SUBMITIT_LOG_LEVEL=ERROR",
        "goe_job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}",
        f"goe_pickle={pickles}/${{goe_job:-$SLURM_JOB_ID}}_submitted.pkl",
        f'[ -e "$goe_pickle" ] || cp {pickles}/${{SLURM_ARRAY_TASK_ID:-0}}.pkl "$goe_pickle"',
    ]
