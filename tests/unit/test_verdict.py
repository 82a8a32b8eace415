"""Which of several ranks' failures is the run's."""

import json
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from goe.core.process import myself
from goe.core.records import Launch
from goe.parallel import EXIT_LOST
from goe.ranks import rank_environment, verdict

KILLED, TERMINATED, CRASHED = -9, -15, -11


def failure(folder: Path, rank: int, code: int, said: str | None) -> ProcessFailure:
    file = folder / f"{rank}.json"
    if said is not None:
        file.write_text(json.dumps({"message": said, "timestamp": 100 + rank}))
    return ProcessFailure(local_rank=rank, pid=1, exitcode=code, error_file=str(file))


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        ([(TERMINATED, None), (KILLED, None)], KILLED, "rank 1 ended by SIGKILL"),
        ([(EXIT_LOST, "lost another rank"), (CRASHED, None)], CRASHED, "rank 1 ended by SIGSEGV"),
        ([(4, "the loss is nan at step 3"), (-6, None)], 4, "the loss is nan at step 3"),
        ([(TERMINATED, None), (2, "no such data")], 2, "no such data"),
        ([(1, "ValueError: x"), (1, "ValueError: y")], 1, "ValueError: x"),
        ([(1, None), (TERMINATED, None)], 1, "rank 0 ended without a word"),
        ([(EXIT_LOST, "lost another rank: gone"), (TERMINATED, None)], 1, "rank 0 lost another rank: gone"),
        ([(TERMINATED, None), (TERMINATED, None)], TERMINATED, "rank 0 ended by SIGTERM"),
    ],
)
def test_the_first_cause_is_told(ends: list[tuple[int, str | None]], code: int, said: str, tmp_path: Path) -> None:
    found = verdict([failure(tmp_path, rank, end, words) for rank, (end, words) in enumerate(ends)])
    assert (found.code, str(found)) == (code, said)


@pytest.mark.parametrize(
    ("threads", "named", "each"), [(8, "", "4"), (None, "6", "3"), (3, "6", "1"), (1, "", "1"), (None, "1", "1")]
)
def test_threads_are_shared_out(threads: int | None, named: str, each: str) -> None:
    launch = Launch(attempt=1, launcher="test", supervisor=myself(), threads=threads, processes=2, started=0.0)
    assert rank_environment(launch, {"OMP_NUM_THREADS": named} if named else {})["OMP_NUM_THREADS"] == each
