"""Every screen at three sizes as it is stored in `__snapshots__`: text and styles, so that a change of looks is seen.

To take over what has changed: GOE_SNAPSHOTS=accept pytest tests/tui/test_snapshots.py, then read `git diff`.
"""

import contextlib
import difflib
import os
import string
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.segment import Segment
from rich.style import Style
from runfolder import DEAD, Lab
from textual.widgets import Input
from user import User, Wait

from goe.core.process import myself
from goe.core.records import Launch
from goe.launch.gpu import Gpu
from goe.launch.machine import Machine, Room
from goe.launch.processes import Process
from goe.surface import grid, write_surface
from tui.app import LIGHT, GoeApp
from tui.messages import Disk, Glimpse, GpuFact, Holder, Pulse, SystemFacts
from tui.screens.runs import RunsScreen

STORED = Path(__file__).with_name("__snapshots__")
ACCEPT = os.environ.get("GOE_SNAPSHOTS") == "accept"
NOW = 1_800_000_000.0
GIB = 2**30
SIZES = ((160, 45), (80, 24), (40, 12))
SCREENS: dict[str, tuple[str, ...]] = {
    "runs": ("?running",),
    "folded": ("?running", "v", "space", "j"),
    "filter": ("?running", "slash", "'acc>0.9 method:", "?method"),
    "columns": ("?running", "c", "?usual"),
    "confirm": ("?running", "x", "?Cancel"),
    "help": ("?running", "question_mark", "?Keys"),
    "charts": ("?running", "asterisk", "equals_sign", "b", "?n=2"),
    "run": ("?running", "enter", "?epoch 4", "?ce"),
    "log": ("?running", "enter", "?epoch 4", "2", "?line 9", "slash", "'line 7", "enter", "?in 11 lines"),
    "checkpoints": ("?running", "enter", "?epoch 4", "3", "?2.5 MB"),
    "config": ("?running", "enter", "?epoch 4", "5", "?corrected"),
    "attempts": ("?running", "G k k", "enter", "?signal", "4", "?exit 1"),
    "surface": ("?running", "G", "enter", "?spiral", "7", "?confidence 0.5"),
    "diff": ("?running", "asterisk", "escape", "space", "j j space", "d", "?differ"),
    "results": ("t", "?±"),
    "seeds": ("t", "?±", "enter", "?seed"),
    "queue": ("Q", "?experiments"),
    "form": ("Q", "?experiments", "enter", "?name"),
    "system": ("u", "?system"),
}
LIGHTS = ("runs", "charts", "confirm")
PULSE = Pulse(
    0.0,
    Machine((0.9, 0.4, 0.1, 0.7), (2.5, 1.25, 0.5), Room(64 * GIB, 48 * GIB), Room(0, 0)),
    (Gpu(0, "GPU-aa", "NVIDIA RTX A6000", 48 * GIB, 7 * GIB, 41 * GIB, 0.87, 71, 262.0, 300.0, ()),),
)
ROOM = Room(500 * GIB, 120 * GIB)
RISING = tuple(place / 40 for place in range(40))
FACTS = SystemFacts(
    "lab",
    PULSE,
    (GpuFact(PULSE.gpus[0], RISING, RISING[::-1]),),
    "",
    RISING,
    RISING,
    (Disk(Path("/srv/lab/runs"), ROOM), Disk(Path("/tmp"), ROOM)),
    1.0,
    (
        Holder(Process(4211, Path("r"), "me", "python -m goe.worker train", 1.5, 3 * GIB), "goe-s1", ((0, 6 * GIB),)),
        Holder(Process(77, None, "you", "python train.py --big", 0.5, 512 * 2**20)),
    ),
)


@pytest.fixture
def still(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab in which no time goes by, in the present folder."""
    for name, value in (("TZ", "UTC"), ("TERM", "xterm-256color"), ("COLORTERM", "truecolor")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.chdir(lab.runs.parent)
    lab.runs, lab.queue = Path("runs"), Path("experiments.toml")
    fill(lab)
    yield lab
    monkeypatch.undo()
    time.tzset()


def fill(lab: Lab) -> None:
    """Runs in most states, with what the pages show of them."""
    first = lab.running(filter__rate=0.156)
    lab.metrics(first)
    lab.checkpoint(first, "last", 4)
    first.log_file.write_text("".join(f"line {number}\n" for number in range(1, 100)))
    for name, seed, auroc in (("goe", 2, 0.99), ("baseline", 1, 0.9), ("baseline", 2, 0.85)):
        run = lab.done(name, seed, name)
        lab.metrics(run, filtering=name == "goe")
        lab.result(run, auroc)
    failed = lab.started("hot", 1)
    lab.status(failed, {"loss": None}, epoch=1)
    lab.ended(failed, code=1)
    killed = lab.started("hot", 1)
    lab.ended(killed, code=None, signal=9)
    lab.queued("next", 1)
    spiral = lab.spiral()
    assert spiral.claim(Launch(attempt=1, launcher="local", supervisor=DEAD, started=NOW - 100))
    lab.ended(spiral)
    write_surface(spiral, "last", (np.linalg.norm(grid(), axis=1) < 1).astype(np.float32) / 2 + 0.5)


def picture(app: GoeApp) -> str:
    """The screen as text, then the same with a letter for each style, then what the letters stand for."""
    strips = app.screen._compositor.render_strips()
    letters: dict[str, str] = {}
    rows, styles = [], []
    for strip in strips:
        rows.append("".join(segment.text for segment in strip).rstrip())
        styles.append("".join(_letter(segment, letters) * segment.cell_length for segment in strip).rstrip())
    legend = [f"{sign} {style}" for style, sign in letters.items()]
    host = myself().host
    return "\n".join(["\n".join(rows).replace(f"CPU · {host}", "CPU · host"), "", *styles, "", *legend, ""])


def _letter(segment: Segment, letters: dict[str, str]) -> str:
    signs = string.ascii_letters + string.digits + string.punctuation
    style = segment.style
    if style is not None and not segment.text.strip() and not (style.reverse or style.underline):
        style = Style(bgcolor=style.bgcolor)  # the colour of letters that are not there is nothing to see
    return letters.setdefault(str(style), signs[len(letters) % len(signs)])


async def compare(user: User, name: str, wait: Callable[..., Awaitable[None]]) -> None:
    """Wait until the screen looks as stored; if it never does, fail with what differs, or accept it."""
    file = STORED / f"{name}.txt"
    known = file.read_text(encoding="utf-8") if file.exists() else ""
    before: list[str] = []

    def settled() -> bool:
        for line in user.app.screen.query(Input):
            line.cursor_blink = False
        seen = picture(user.app)
        before.append(seen)
        if seen == known:
            return True
        for screen in user.app._screens():  # the machine as it never changes, whatever is read of this one
            screen.take(Glimpse(PULSE, ROOM))
            screen.take(FACTS)
            if isinstance(screen, RunsScreen):
                screen._show_machine()  # also below another screen
        return ACCEPT and before[-9:] == [seen] * 9

    with contextlib.suppress(AssertionError):
        await wait(settled, 3.0)
    if before[-1] != known:
        accept(file, known, before[-1])


def accept(file: Path, known: str, seen: str) -> None:
    """Store it, if that was asked for."""
    if ACCEPT:
        STORED.mkdir(exist_ok=True)
        file.write_text(seen, encoding="utf-8")
        return
    lines = list(difflib.unified_diff(known.splitlines(), seen.splitlines(), "stored", "seen", lineterm="", n=0))
    shown = "\n".join([*lines[:40], *([f"and {len(lines) - 40} lines more"] if len(lines) > 40 else [])])
    how = "GOE_SNAPSHOTS=accept pytest tests/tui/test_snapshots.py"
    pytest.fail(f"{file.stem} looks otherwise than {file}\n{shown}\nIf it should: {how}", pytrace=False)


@pytest.mark.parametrize("name", SCREENS)
async def test_a_screen_looks_as_before(still: Lab, wait_until: Wait, name: str) -> None:
    app = GoeApp(still.runs, still.queue)
    async with app.run_test(size=SIZES[0]) as pilot:
        user = User(app, pilot, wait_until)
        await user.follow(*SCREENS[name])
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await compare(user, f"{name}-{width}x{height}", wait_until)


@pytest.mark.parametrize("name", LIGHTS)
async def test_a_light_screen_looks_as_before(still: Lab, wait_until: Wait, name: str) -> None:
    app = GoeApp(still.runs, still.queue)
    app.theme = LIGHT.name
    async with app.run_test(size=(80, 24)) as pilot:
        user = User(app, pilot, wait_until)
        await user.follow(*SCREENS[name])
        await compare(user, f"{name}-light-80x24", wait_until)


def test_nothing_is_stored_of_screens_that_are_gone() -> None:
    wanted = {f"{name}-{width}x{height}" for name in SCREENS for width, height in SIZES}
    wanted |= {f"{name}-light-80x24" for name in LIGHTS}
    assert {file.stem for file in STORED.glob("*")} == wanted
