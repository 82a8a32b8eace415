"""What jobs of Slurm are submitted with: a hidden folder beside the runs for each array, gone when its jobs are over.

    .slurm/<batch>/batch.json            which run's attempt each task is to make, in the order of the tasks
                   <task>.pkl            what the task is to call, as submitit pickled it; there before sbatch is called
                   <job>_submitted.pkl   the job's own copy, and what it goes on with when it is put back
                   <array>_submission.sh
                   <job>.out             what the job printed; the rest of it goes to the run's folder in the end

The jobs' names end with the batch's and their comment is the folder, so that a queue that is killed at any moment is
followed by one that knows which job belongs to which run.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from goe.core.errors import RunError
from goe.core.overview import RunView, view_run
from goe.core.rundir import RunDir, read_json, write_json
from goe.launch.base import Start

FOLDER = ".slurm"
_MARK = "goe:"


class Task(Struct, frozen=True):
    """What one job is to make."""

    run: str
    """The run's id."""
    attempt: int


class Batch(Struct, frozen=True):
    """`batch.json`."""

    tasks: tuple[Task, ...]


def open_batch(runs: Path, starts: Sequence[Start]) -> Path:
    """A new batch's folder, its `batch.json` in it."""
    folder = runs.resolve() / FOLDER / secrets.token_hex(4)
    folder.mkdir(parents=True)
    tasks = tuple(Task(start.run.run_id, start.attempt) for start in starts)
    write_json(folder / "batch.json", Batch(tasks))
    return folder


def job_name(folder: Path, run_ids: Sequence[str]) -> str:
    """`base-s1-0123abcd.<batch>`, `base-s1-0123abcd+9.<batch>`: the first run and how many more."""
    more = f"+{len(run_ids) - 1}" if len(run_ids) > 1 else ""
    return f"{run_ids[0]}{more}.{folder.name}"


def batch_of(name: str) -> str:
    """The batch in a job's name."""
    return name.rpartition(".")[2]


def comment(folder: Path) -> str:
    """By which a job is known also to queues that did not submit it."""
    return f"{_MARK}{folder}"


def read_comment(text: str) -> Path | None:
    """The batch's folder; None for a job that is none of goe's."""
    path = Path(text.removeprefix(_MARK))
    return path if text.startswith(_MARK) and path.parent.name == FOLDER else None


def read_task(folder: Path, job: str) -> Task | None:
    """What a job of the batch is to make; None where nobody can say any more."""
    with contextlib.suppress(RunError, IndexError):
        batch = read_json(folder / "batch.json", Batch)
        return batch.tasks[task_of(job)] if batch is not None else None
    return None


def task_of(job: str) -> int:
    """Its index in the array: 3 of `12_3`; 0 of a job that is none's."""
    return int(job.partition("_")[2] or 0)


def output_file(runs: Path, batch: str, job: str) -> Path:
    """Where what the job prints goes."""
    return runs / FOLDER / batch / f"{job}.out"


def batches(runs: Path) -> list[str]:
    """The batches that are there."""
    with contextlib.suppress(OSError), os.scandir(runs / FOLDER) as entries:
        return [entry.name for entry in entries if entry.is_dir()]
    return []


def discard(folder: Path) -> None:
    """Remove a batch that came to nothing, or is over."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # others are there
        folder.parent.rmdir()


def release(runs: Path, batch: str) -> bool:
    """Discard the batch unless one of its jobs may still be needed; whether that was done.

    What jobs printed is left in their runs' folders as `slurm-<job>.out`.
    """
    folder = runs / FOLDER / batch
    try:
        found = read_json(folder / "batch.json", Batch)
    except RunError:
        found = None
    tasks = found.tasks if found is not None else ()
    if any(_is_needed(runs / task.run, batch) for task in tasks):
        return False
    for path in folder.glob("*.out"):
        with contextlib.suppress(OSError, IndexError):
            if path.stat().st_size:
                path.rename(runs / tasks[task_of(path.stem)].run / f"slurm-{path.name}")
    discard(folder)
    return True


def needed(views: Iterable[RunView]) -> set[str]:
    """The batches of runs whose job is still to come to something."""
    return {view.job.batch for view in views if view.job is not None and not view.job.over and view.is_live}


def _is_needed(run: Path, batch: str) -> bool:
    return batch in needed([view_run(RunDir(run))])
