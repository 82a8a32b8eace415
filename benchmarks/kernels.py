"""What limits a step on a GPU: its time over the least possible, and which kinds of kernels it goes to."""

import time
from collections import Counter
from collections.abc import Callable

import torch
from harness import Report, finish
from tables import Row, Table
from torch.profiler import ProfilerActivity, profile

FLOORS = {
    "wrn-40-2": (1.43, 27.6, 14.6, 6.7),
    "resnet-34": (5.04, 33.5, 21.1, 9.6),
    "densenet-bc-100-12": (1.25, 128.0, 73.0, 24.9),
}
"""TFLOP of a step of 128 + 256 + 256 images with its filter forward, and GB in bfloat16 that it moves: operation by
operation, with what lies between convolutions fused, and at the very least. Counted from the graphs."""
KINDS = {
    "compiled, fused": ("triton",),
    "batch norm": ("batch_norm", "bn_", "batchnorm"),
    "dropout": ("dropout", "bernoulli"),
    "the optimiser": ("multi_tensor", "foreach", "sgd"),
    "concatenation and copies": ("catarray", "memcpy", "copy", "memset", "index", "nchwtonhwc", "nhwctonchw"),
    "convolutions and matrix products": ("conv", "gemm", "xmma", "cutlass", "cudnn", "winograd", "fprop", "dgrad"),
    "elementwise": ("elementwise", "threshold"),
    "reductions and sorting": ("reduce", "softmax", "sort"),
}
"""Parts of kernels' names; the first kind that fits counts."""
PROFILED = 5
"""Steps."""


def chip(device: torch.device) -> tuple[float, float]:
    """TFLOP/s of a large product in bfloat16, and GB/s of a large copy, both as this GPU does them."""
    side, count = 8192, 10
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    source = torch.empty(2**31, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    product = _seconds(lambda: a @ a, count, device)
    copy = _seconds(lambda: target.copy_(source), count, device)
    return 2 * side**3 / product / 1e12, 2 * source.numel() / copy / 1e9


def against_floor(report: Report, model: str, table: Table, device: torch.device) -> None:
    """Each side's time over the least that arithmetic and memory traffic of the step allow on this GPU."""
    product, copy = chip(device)
    flop, eager, fused, least = FLOORS[model]
    report.title(f"{model}: floors on this GPU, {product:,.0f} TFLOP/s of products and {copy:,.0f} GB/s of copies")
    bounds = {"operation by operation": eager, "fused": fused, "at the very least": least}
    report.say("arithmetic, bfloat16", f"{flop / product * 1e3:.2f} ms")
    for name, traffic in bounds.items():
        report.say(f"memory traffic in bfloat16, {name}", f"{traffic / copy * 1e3:.2f} ms")
    floor = max(flop / product, least / copy) * 1e3
    for row in table.rows:
        report.say(f"{row.name}: time over the floor", f"{row.middle / floor:.1f} ×")


def where_it_goes(report: Report, title: str, step: Callable[[], None], device: torch.device) -> None:
    """The kinds of kernels by GPU time a step, and the time in which none runs."""
    step()
    finish(device)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        begun = time.perf_counter()
        for _ in range(PROFILED):
            step()
        finish(device)
        wall = (time.perf_counter() - begun) / PROFILED * 1e3
    spent: Counter[str] = Counter()
    count = 0
    for event in found.events():
        # Ranges that torch marks on the GPU, such as the optimiser's, lie over the kernels themselves.
        if str(event.device_type).endswith("CUDA") and not getattr(event, "is_user_annotation", False):
            spent[kind_of(event.name)] += event.time_range.elapsed_us()
            count += 1
    each = {kind: micros / PROFILED / 1e3 for kind, micros in spent.most_common()}
    busy = sum(each.values())
    rows = [Row(kind, (ms,), f"{ms / busy:.0%}") for kind, ms in each.items()]
    rows.append(Row("no kernel, under the profiler", (max(0.0, wall - busy),)))
    report.add(Table(f"Where a step of {title} goes, {count // PROFILED} kernels", "ms", tuple(rows)))


def kind_of(kernel: str) -> str:
    """The kind of a kernel by its name."""
    name = kernel.lower()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "others")


def _seconds(work: Callable[[], object], count: int, device: torch.device) -> float:
    work()
    finish(device)
    begun = time.perf_counter()
    for _ in range(count):
        work()
    finish(device)
    return (time.perf_counter() - begun) / count
