"""Which GPUs this machine has, through NVML."""

import os


def gpu_indices() -> tuple[int, ...]:
    """Numbers of the GPUs in PCI bus order, within CUDA_VISIBLE_DEVICES if that is set; empty without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        present = range(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return tuple(present)
    return tuple(index for index in present if str(index) in allowed.split(","))
