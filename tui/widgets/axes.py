"""The axes of a chart as text: round ticks, their labels, and the ends of the x axis. Pure functions."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from rich.cells import cell_len, set_cell_size

from goe.core.report import duration
from tui.widgets.dots import dot_row, printable

_PARTS = (0, 1), (0, 2), (1, 2), (0, 3)
"""Of ticks that are no whole number of rows apart, those that may still be shown: the first, and every how many."""
LOG_LIMITS = -300.0, 300.0
"""Powers of ten that are still numbers."""


def gutter(y_range: tuple[float, float], height: int, *, log: bool = False) -> list[str]:
    """The y axis: one string a row, equally wide, tick labels right-aligned. `log`: the range is in powers of ten."""
    most = 5 if height >= 8 else 3
    choices = [_labels(y_range, height, count, log=log) for count in range(most, 1, -1)]
    if log and len(_powers(*y_range)) < 2:  # round numbers between two powers are nowhere equally far apart
        choices = choices[:1]
    parts = [dict(list(each.items())[start::every]) for each in choices for start, every in _PARTS]
    labels = next((each for each in sorted(parts, key=len, reverse=True) if _even(list(each))), choices[0])
    width = max(map(len, labels.values()))
    return [f"{labels[row]:>{width}}┤" if row in labels else " " * width + "│" for row in range(height)]


def _labels(y_range: tuple[float, float], height: int, most: int, *, log: bool) -> dict[int, str]:
    found = (log_ticks if log else ticks)(*y_range, most)
    return {height - 1 - dot_row(value, y_range, 4 * height) // 4: label for value, label in found}


def _even(rows: Sequence[int]) -> bool:
    """Whether ticks seem equally far apart: a row more or less is seen where it is over a third of the distance."""
    apart = [below - above for below, above in pairwise(rows)]
    return bool(apart) and 3 * (max(apart) - min(apart)) <= min(apart)


def log_ticks(lo: float, hi: float, most: int) -> list[tuple[float, str]]:
    """Whole powers of ten where there are two of them, else round values between; places in powers of ten."""
    powers = _powers(lo, hi)
    if len(powers) > 1:
        return [(float(power), _power(power)) for power in powers[:: math.ceil(len(powers) / most)]]
    low, high = (10 ** min(max(end, LOG_LIMITS[0]), LOG_LIMITS[1]) for end in (lo, hi))
    if flat(low, high):
        return [((lo + hi) / 2, f"1e{(lo + hi) / 2:.1f}")]
    return [(math.log10(value), label) for value, label in ticks(low, high, most) if value > 0]


def _powers(lo: float, hi: float) -> range:
    return range(math.ceil(lo - 1e-9), math.floor(hi + 1e-9) + 1)


def _power(power: int) -> str:
    return f"{10.0**power:.{max(0, -power)}f}" if -3 <= power <= 5 else f"1e{power}"


def ticks(lo: float, hi: float, most: int) -> list[tuple[float, str]]:
    """Round values in [lo, hi] with their labels: at most `most`, and at least 3 when `most` is 5."""
    mantissa, power = _nice_step(lo, hi, most)
    step = mantissa * 10.0**power
    first, last = _multiples(lo, hi, step)
    values = [k * step for k in range(first, last + 1)]
    digits = int(mantissa == 2.5) - power
    largest = max(map(abs, values))
    if largest < 1e6 and power >= -4:
        return [(value, f"{value:.{max(0, digits)}f}") for value in values]
    digits = max(0, digits + math.floor(math.log10(largest)))
    return [(value, _scientific(value, digits)) for value in values]


def _nice_step(lo: float, hi: float, most: int) -> tuple[float, int]:
    """The smallest step, as (mantissa, power of ten), with at most `most` multiples in [lo, hi].

    Neighbours among 1, 2, 2.5, 5 are at most a factor of two apart, so the first step that is not too fine is
    not too coarse either: six multiples of one hold three of the next.
    """
    power = math.floor(math.log10((hi - lo) / most))
    for exponent in (power, power + 1):
        for mantissa in (1.0, 2.0, 2.5, 5.0):
            first, last = _multiples(lo, hi, mantissa * 10.0**exponent)
            if last - first < most:
                return mantissa, exponent
    return 1.0, power + 2


def _multiples(lo: float, hi: float, step: float) -> tuple[int, int]:
    """First and last k with k × step in [lo, hi], forgiving rounding: 0.3 / 0.1 is 2.9999999999999996."""
    return math.ceil(lo / step - 1e-6), math.floor(hi / step + 1e-6)


def _scientific(value: float, digits: int) -> str:
    """A short form such as 1.5e6."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def number_text(value: float) -> str:
    """An epoch, a step or a last value: whole numbers in full, others with 4 significant digits."""
    return str(int(value)) if value == int(value) and abs(value) < 1e9 else f"{value:.4g}"


def x_labels(x_range: tuple[float, float], x_label: str, width: int, text: Callable[[float], str] | None = None) -> str:
    """First and last x at the ends, the axis name between them where there is room."""
    first, last = map(text or number_text, x_range)
    room = width - len(first) - len(last)
    if first == last or room < 1:
        return first
    name = printable(x_label)
    middle = set_cell_size(" " * ((room - cell_len(name)) // 2) + name, room)
    return first + (middle if cell_len(name) + 2 <= room else " " * room) + last


def step_text(step: float) -> str:
    """A place among steps, also one between two."""
    return str(round(step)) if abs(step) < 1e9 else number_text(step)


def epoch_text(epoch: float) -> str:
    """Epochs done, to hundredths."""
    return number_text(round(epoch, 2))


def time_text(seconds: float) -> str:
    """A time since the start of a run."""
    return duration(round(seconds))


def room_around(lo: float, hi: float) -> tuple[float, float]:
    """The range itself; a constant gets room on both sides so that it runs through the middle."""
    if not flat(lo, hi):
        return lo, hi
    room = abs(lo) * 0.1 if abs(lo) > 1e-12 else 1.0
    return lo - room, hi + room


def flat(lo: float, hi: float) -> bool:
    """Whether the difference is rounding noise, which must not be blown up to the full height."""
    return hi - lo <= max(1e-9 * max(abs(lo), abs(hi)), 1e-300)
