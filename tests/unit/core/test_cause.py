"""Why a run failed, as a table of exit codes, signals and words."""

import pytest

from goe.core.cause import KERNEL_KILLED, cause_of
from goe.core.jobs import Cause, Retry

CUDA = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB "
    "of which 1.2 GiB is free."
)
CPU = (
    "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
    "to allocate 4398046511104 bytes. Error code 12 (Cannot allocate memory)"
)
NUMPY = "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array with shape (1000, 1000000)"
NCCL = (
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3384, unhandled cuda error (run with "
    "NCCL_DEBUG=INFO for details)\nncclUnhandledCudaError: Call to CUDA function failed."
)
WATCHDOG = (
    "[rank0]:[E ProcessGroupNCCL.cpp:632] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, "
    "OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600023 milliseconds before timing out."
)
FULL = "error: runs/x/checkpoints/epoch-003.safetensors: No space left on device; free some space, then start the run"
SLURM = "slurmstepd: error: *** JOB 4242 ON node3 CANCELLED AT 2026-01-02T03:04:05 DUE TO PREEMPTION ***"
SLURM_TIME = "slurmstepd: error: *** STEP 4242.0 ON node3 CANCELLED AT 2026-01-02T03:04:05 DUE TO TIME LIMIT ***"
BUG = "Traceback (most recent call last):\nZeroDivisionError: division by zero"

CASES: list[tuple[int | None, int | None, str, str | None, Cause]] = [
    # code, signal, log, error, cause
    (None, None, "", None, "lost"),
    (None, None, CUDA, "CUDA out of memory", "lost"),
    (2, None, "error: no data", "no data", "user"),
    (2, None, "", None, "user"),
    (2, None, "", "x.npy: No space left on device; free some space", "disk-full"),
    (2, None, FULL, None, "disk-full"),
    (2, None, CUDA, "lr: must be positive", "user"),
    (3, None, "stopped on request", None, "preempted"),
    (4, None, CUDA, "the loss is nan at step 3", "non-finite"),
    (5, None, "", None, "disk-full"),
    (6, None, "", None, "out-of-memory"),
    (1, None, BUG, "ZeroDivisionError: division by zero", "bug"),
    (1, None, "", None, "bug"),
    (120, None, "", None, "bug"),
    *[(1, None, f"step 1\n{words}\n", None, "out-of-memory") for words in (CUDA, CPU, NUMPY, "MemoryError")],
    *[(1, None, "", words, "out-of-memory") for words in (CUDA, CPU, "MemoryError: ", "OutOfMemoryError: x")],
    (1, None, "", "RuntimeError: CUDA error: out of memory", "out-of-memory"),
    (1, None, "", "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED", "out-of-memory"),
    *[(1, None, words, None, "nccl") for words in (NCCL, WATCHDOG)],
    (1, None, "", "DistBackendError: NCCL error in: x.cpp:1, unhandled system error", "nccl"),
    (1, None, f"{NCCL}\n{CUDA}\n", None, "out-of-memory"),  # the other rank's lack of memory came first
    (1, None, "OSError: [Errno 28] No space left on device", None, "disk-full"),
    (1, None, "OSError: [Errno 122] Disk quota exceeded", None, "disk-full"),
    (1, None, SLURM, None, "preempted"),
    (1, None, "srun: error: node3: task 0: Exited with exit code 1\nsrun: Job step aborted", None, "bug"),
    # the worker's own last word is believed before what else stands in the log
    (1, None, f"warning: {CUDA}; trying again\n{BUG}", "ZeroDivisionError: division by zero", "bug"),
    (1, None, "a class of mine called SomeMemoryErrorHandler", None, "bug"),
    (None, 15, "", None, "preempted"),
    (None, 15, CUDA, None, "preempted"),
    (None, 9, "", None, "signal"),
    (None, 9, "epoch 3\n", "an older word", "signal"),
    (None, 9, CUDA, None, "signal"),  # said, survived and then killed by somebody
    (None, 9, f"epoch 3\n{KERNEL_KILLED}\n", None, "out-of-memory"),
    *[(None, 9, words, None, "preempted") for words in (SLURM, SLURM_TIME)],
    (None, 6, WATCHDOG, None, "nccl"),
    (None, 6, "terminate called after throwing an instance of 'c10::OutOfMemoryError'", None, "out-of-memory"),
    (None, 6, "Fatal Python error: Aborted", None, "signal"),
    (None, 11, CUDA, None, "signal"),
    (None, 1, "", None, "signal"),
]


@pytest.mark.parametrize(("code", "signal", "log", "error", "cause"), CASES)
def test_cause(code: int | None, signal: int | None, log: str, error: str | None, cause: Cause) -> None:
    assert cause_of(code, signal, log, error) == cause


def test_success_has_no_cause() -> None:
    with pytest.raises(ValueError, match="0 is no failure"):
        cause_of(0, None, "", None)


def test_every_cause_stands_in_the_table_and_has_a_limit() -> None:
    causes = {case[-1] for case in CASES}
    assert len(causes) == 9
    assert {cause for cause in causes if Retry().limit(cause) == 0} == {"user", "bug", "non-finite"}
