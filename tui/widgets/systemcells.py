"""The machine and its processes as words and columns: pure functions from what was read to text."""

from collections.abc import Sequence
from pathlib import PurePath

from rich.text import Text

from goe.core.logfile import clean_line
from goe.core.report import NOTHING
from goe.launch.gpu import Gpu
from goe.launch.machine import Room
from goe.launch.occupancy import GIB
from tui.messages import Disk, Glimpse, GpuFact, Holder, SystemFacts, Trace
from tui.widgets.keytable import Cell, Heading
from tui.widgets.runcells import cut

BLOCKS = "▁▂▃▄▅▆▇█"
_LABEL = 8
_NARROW, _ROOMY, _WIDE = 60, 100, 150
_CORES = 64
_GAP = 2
_WHO_LEAST, _WHO_MAX, _COMMAND = 11, 40, 12
ORDERS = ("run", "cores", "memory")
UNSEEN = "not seen from here"


def bars(trace: Trace, width: int) -> str:
    """The newest `width` shares of a trace as bars; a gap where nobody looked."""
    return "".join(" " if share is None else _bar(share) for share in trace[-width:]) if width else ""


def _bar(share: float) -> str:
    return BLOCKS[min(len(BLOCKS) - 1, max(0, int(share * len(BLOCKS))))]


def trace_cells(width: int) -> int:
    """How long the curves are on a screen of this width."""
    return 0 if width < _NARROW else 12 if width < _ROOMY else 24 if width < _WIDE else 36


def head_text(facts: SystemFacts, width: int) -> Text:
    """GPUs, cores, memory, disks: a line each."""
    lines = [_gpu_line(each, width) for each in facts.gpus] or [_line("GPU", Text(facts.no_gpu))]
    lines += [_cpu_line(facts, width), _memory_line(facts, width)]
    for place, disk in enumerate(facts.disks):
        lines.append(_line("" if place else "disk", _disk(disk, None if place else facts.min_free)))
    return Text("\n", no_wrap=True, overflow="ellipsis", end="").join(lines)


def _line(label: str, *parts: Text) -> Text:
    found = Text(no_wrap=True, overflow="ellipsis", end="").append(label.ljust(_LABEL), "dim")
    found.append_text(Text("  ").join(part for part in parts if part.plain))
    return found


def _curve(trace: Trace, width: int) -> Text:
    return Text(bars(trace, trace_cells(width)), "dim")


def _gpu_line(fact: GpuFact, width: int) -> Text:
    gpu = fact.gpu
    label = f"GPU {gpu.index}"
    heat = NOTHING if gpu.temperature is None else str(gpu.temperature)
    if width < _NARROW:
        memory = _of(gpu.memory_used, gpu.memory_total, "G")
        return _line(label, Text(f"{_percent(gpu.utilisation)} {memory} {heat}° {_power(gpu).replace(' ', '')}"))
    return _line(
        label,
        _curve(fact.busy, width),
        Text(_percent(gpu.utilisation)),
        _curve(fact.memory, width) if width >= _ROOMY else Text(),
        Text(_of(gpu.memory_used, gpu.memory_total, " GiB").rjust(14)),
        Text(f"{heat.rjust(3)} °C"),
        Text(_power(gpu).rjust(9)),
        Text(clean_line(gpu.name) or NOTHING, "dim"),
    )


def _cpu_line(facts: SystemFacts, width: int) -> Text:
    machine = facts.pulse.machine
    load = NOTHING if machine.load is None else " ".join(f"{value:.2f}" for value in machine.load)
    cores = machine.cores or ()
    each = f"{len(cores)} cores" if cores else ""
    if width >= _NARROW and cores:
        each += f" {''.join(map(_bar, cores[:_CORES]))}"
    return _line("CPU", _curve(facts.cpu, width), Text(_percent(machine.busy)), Text(f"load {load}"), Text(each, "dim"))


def _memory_line(facts: SystemFacts, width: int) -> Text:
    memory, swap = facts.pulse.machine.memory, facts.pulse.machine.swap
    return _line(
        "memory",
        _curve(facts.memory, width),
        Text(_room(memory)),
        Text(f"swap {_room(swap)}" if swap is None or swap.total else "no swap"),
    )


def _disk(disk: Disk, min_free: float | None) -> Text:
    room = disk.room
    if room is None:
        return Text(f"{NOTHING}  {clean_line(str(disk.path))}")
    short = min_free is not None and room.free / GIB < min_free
    found = Text(f"{'! ' if short else ''}{_gib(room.free)} of {_gib(room.total)} GiB free")
    if min_free:
        found.append(f", {'less than' if short else 'at least'} {min_free:g} wanted", "" if short else "dim")
    return found.append(f"  {clean_line(str(disk.path))}", "dim")


def _percent(share: float | None) -> str:
    return f"{NOTHING if share is None else round(share * 100):>3} %"


def _of(used: int | None, total: int | None, unit: str) -> str:
    return NOTHING if used is None and total is None else f"{_gib(used)}/{_gib(total)}{unit}"


def _room(room: Room | None) -> str:
    return NOTHING if room is None else _of(room.used, room.total, " GiB")


def _gib(size: int | None) -> str:
    return NOTHING if size is None else f"{size / GIB:.1f}" if size < 100 * GIB else f"{size / GIB:.0f}"


def _power(gpu: Gpu) -> str:
    if gpu.power is None and gpu.power_limit is None:
        return f"{NOTHING} W"
    return "/".join(NOTHING if watts is None else f"{watts:.0f}" for watts in (gpu.power, gpu.power_limit)) + " W"


def row_key(holder: Holder) -> str:
    """A row's name: the process, or the GPU whose memory nobody visible holds."""
    return str(holder.process.pid) if holder.process else f"gpu {holder.gpus[0][0]}"


def ordered(holders: Sequence[Holder], order: str) -> list[Holder]:
    """The rows by one of ORDERS: by run as they come; those that take most first otherwise."""
    if order == "run":
        return list(holders)
    return sorted(holders, key=lambda each: -_taken(each, order))


def _taken(holder: Holder, order: str) -> float:
    process = holder.process
    return 0.0 if process is None else (process.cpu if order == "cores" else process.memory) or 0.0


def headings_for(facts: SystemFacts, width: int) -> tuple[Heading, ...]:
    """The columns for a table `width` cells wide: what doesn't fit is left out, the command gets the rest."""
    wanted = [Heading("GPU", 4), Heading("GPU mem", 8, right=True)] if facts.gpus else []
    wanted += [Heading("CPU", 6, right=True), Heading("memory", 8, right=True), Heading("pid", 8, right=True)]
    longest = max((len(_who(each)) for each in facts.holders), default=0)
    who = max(_WHO_LEAST, min(longest, _WHO_MAX, width // 3))
    chosen, free = [], width - who - _GAP
    for heading in wanted:
        if free < heading.width + _GAP:
            break
        chosen.append(heading)
        free -= heading.width + _GAP
    if len(chosen) == len(wanted) and free >= _COMMAND + _GAP:
        chosen.append(Heading("command", free - _GAP))
    else:
        who += free
    return (Heading("run or user", who), *chosen)


def cells_of(holder: Holder, headings: Sequence[Heading]) -> tuple[Cell, ...]:
    """A process under these headings."""
    process = holder.process
    taken = [size for _, size in holder.gpus]
    known = [size for size in taken if size is not None]
    cells: dict[str, Cell] = {
        "run or user": (cut(_who(holder), headings[0].width), "" if holder.run_id else "dim"),
        "GPU": (",".join(str(index) for index, _ in holder.gpus) or NOTHING, "" if holder.gpus else "dim"),
        "GPU mem": (f"{sum(known) / GIB:.1f} GiB" if known else NOTHING, "" if known else "dim"),
        "CPU": (_percent(process.cpu if process else None), ""),
        "memory": (_small(process.memory if process else None), ""),
        "pid": (str(process.pid) if process else NOTHING, "dim"),
        "command": (clean_line(process.command) if process else "", "dim"),
    }
    return tuple(cells[heading.title] for heading in headings)


def _who(holder: Holder) -> str:
    if holder.run_id:
        name = clean_line(PurePath(holder.run_id).name)
        return name if name == holder.run_id else f"{name} elsewhere"
    return UNSEEN if holder.process is None else clean_line(holder.process.user) or UNSEEN


def _small(size: int | None) -> str:
    return NOTHING if size is None else f"{size / 2**20:.0f} MiB" if size < GIB else f"{size / GIB:.1f} GiB"


def detail_text(holder: Holder) -> str:
    """A row to its end."""
    process = holder.process
    if process is None:
        return f"GPU {holder.gpus[0][0]}: {_small(holder.gpus[0][1])} held by programs that can't be seen from here"
    parts = [
        clean_line(holder.run_id) or _who(holder),
        f"pid {process.pid}",
        clean_line(process.user) if holder.run_id else "",
        clean_line(process.command),
    ]
    return " · ".join(part for part in parts if part)


def glimpse_text(glimpse: Glimpse) -> str:
    """The machine in some sixty cells, in steps that leave an idle screen at rest."""
    pulse = glimpse.pulse
    parts = [_gpus_at_a_glance(pulse.gpus)] if pulse.gpus else ["GPU driver fails"] if pulse.problem else []
    memory = pulse.machine.memory
    parts.append(f"memory {NOTHING if memory is None else round(100 * (memory.share or 0) / 5) * 5} %")
    parts.append(f"disk {NOTHING if glimpse.room is None else f'{glimpse.room.free / GIB:.0f}'} GiB free")
    return " · ".join(parts)


def _gpus_at_a_glance(gpus: Sequence[Gpu]) -> str:
    busy = [gpu.utilisation for gpu in gpus if gpu.utilisation is not None]
    used, total = (
        sum(size or 0 for size in sizes) for sizes in zip(*((g.memory_used, g.memory_total) for g in gpus), strict=True)
    )
    name = "GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
    return f"{name} {_percent(sum(busy) / len(busy) if busy else None).strip()} {used / GIB:.0f}/{total / GIB:.0f} GiB"
