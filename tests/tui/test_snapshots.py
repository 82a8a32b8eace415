"""Every screen at three sizes as it is stored in `__snapshots__`: text and styles, so that a change of looks is seen.

To take over what has changed: GOE_SNAPSHOTS=accept pytest tests/tui/test_snapshots.py, then read `git diff`.
"""

import asyncio
import difflib
import os
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.style import Style
from runfolder import Lab
from stilllab import MISTAKEN, cluster, still
from user import User, Wait

from tui.app import DARK, LIGHT, GoeApp

STORED = Path(__file__).with_name("__snapshots__")
ACCEPT = os.environ.get("GOE_SNAPSHOTS") == "accept"
QUIET_S = 1.5 if ACCEPT else 5.0
"""A screen that has not changed for so long is as it will be."""
LONGEST_S = 30.0
SIZES = ((160, 45), (80, 24), (40, 12))
RUN = ("?running", "enter", "?epoch 4")
MARKED = ("?running", "asterisk")
SCREENS: dict[str, tuple[str, ...]] = {
    "runs": ("?running",),
    "folded": ("?running", "v", "space", "j"),
    "filter": ("?running", "slash", "'acc>0.9 method:", "?method"),
    "columns": ("?running", "c", "?usual"),
    "choose": ("?running", "o", "?Sort"),
    "confirm": ("?running", "x", "?Cancel"),
    "help": ("?running", "question_mark", "?Keys"),
    "palette": ("?running", "colon", "'theme", "?theme goe-light"),
    "charts": (*MARKED, "equals_sign", "?val/loss", "b", "?n=2"),
    "chart": (*MARKED, "equals_sign", "?val/loss", "enter", "s", "i", "h h h"),
    "diff": (*MARKED, "escape", "space", "j j space", "d", "?differ"),
    "run": (*RUN, "?ce"),
    "log": (*RUN, "2", "?line 9", "slash", "'line 7", "enter", "?in 11 lines"),
    "checkpoints": (*RUN, "3", "?2.5 MB"),
    "deeds": (*RUN, "3", "?2.5 MB", "enter", "?T  evaluate"),
    "export": (*RUN, "3", "?2.5 MB", "E", "?onnx", "enter", "?absolute"),
    "delete": (*RUN, "3", "?2.5 MB", "D", "?not deleted"),
    "attempts": ("?running", "G k", "enter", "?signal", "4", "?exit 1"),
    "config": (*RUN, "5", "?corrected"),
    "environment": (*RUN, "6", "?torch"),
    "surface": ("?running", "G", "enter", "?spiral", "7", "?confidence 0.5"),
    "histogram": ("?running", "j", "enter", "?✓ done", "a", "?noise"),
    "results": ("t", "?±"),
    "metrics": ("t", "?±", "m", "?every metric"),
    "table-file": ("t", "?±", "E", "?Write the table"),
    "seeds": ("t", "?±", "enter", "?seed"),
    "queue": ("Q", "?at work"),
    "mistakes": ("Q", "?baselin"),
    "editor": ("Q", "?baselin", "e", "?Edit again"),
    "form": ("Q", "?at work", "enter", "?name"),
    "queue-log": ("Q", "?at work", "L", "?07:59"),
    "system": ("u", "?A6000"),
    "cluster": ("?pending", "G", "k", "k", "?expected"),
    "cluster-run": ("?pending", "slash", "'job:4711_1", "enter", "? of 1", "enter", "?expected"),
    "welcome": ("?No runs",),
}
LETTERS = [letter for letter in map(chr, range(0x250)) if letter.isalnum()]
"""What stands for styles; the first 62 are plain."""
MISTAKES = ("mistakes", "editor")
CLUSTER = ("cluster", "cluster-run")
LOOKS = ("light", "sixteen", "no-color")
LOOKED_AT = ("runs", "charts", "choose", "confirm", "form", "results")


@pytest.fixture
def there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with still(lab, monkeypatch) as filled:
        yield filled


def picture(user: User) -> str:
    """The screen as text, then a sign for each cell's style, blank for the commonest, then what the signs stand for."""
    system = user.app.console._color_system or ColorSystem.TRUECOLOR
    rows = [
        [spelled(segment.style, system, blank=letter == " ") for segment in strip for letter in segment.text
         for _ in range(cell_len(letter))]
        for strip in user.strips()
    ]  # fmt: skip
    signs = signs_for(Counter(style for row in rows for style in row))
    styles = ["".join(signs[style] for style in row).rstrip() for row in rows]
    legend = sorted(f"{sign} {style}" for style, sign in signs.items())
    return "\n".join([user.screen(), "", *styles, "", *legend, ""])


@cache
def spelled(style: Style | None, system: ColorSystem, *, blank: bool) -> str:
    """What is seen of a style; of a blank, not the colour of the letter that is not there."""
    style = style or Style()
    seen = not blank or style.reverse or style.underline
    words = [name for name in ("bold", "dim", "italic", "underline", "strike", "reverse") if getattr(style, name)]
    return " ".join([*words, shade(style.color, system)] * bool(seen) + ["on", shade(style.bgcolor, system)])


def shade(color: Color | None, system: ColorSystem) -> str:
    """As a terminal with so many colours shows it."""
    found = (color or Color.default()).downgrade(system)
    return Color.from_ansi(found.number).name if found.number is not None else found.name


def signs_for(counted: Counter[str]) -> dict[str, str]:
    """A sign for each style, mostly the same whatever else is on the screen."""
    (ground, _), *_ = counted.most_common(1)
    signs = {ground: " "}
    for style in sorted(counted.keys() - {ground}):
        place = zlib.crc32(style.encode()) % 62
        while LETTERS[place] in signs.values():
            place += 1
        signs[style] = LETTERS[place]
    return signs


async def settled(user: User, known: str) -> str:
    """The screen once it looks as known, or doesn't change any more."""
    app, strips, seen = user.app, user.strips(), picture(user)
    since = begun = time.monotonic()
    while seen != known and time.monotonic() - since < QUIET_S:
        assert time.monotonic() - begun < LONGEST_S, f"it never stands still:\n{seen}"
        await user.pilot.pause()
        before, strips = strips, user.strips()
        if strips != before or app.screen._compositor.size != app.size:
            since, seen = time.monotonic(), picture(user)
        await asyncio.sleep(0.02)
    return seen


async def compare(user: User, name: str) -> None:
    """The screen is as stored, or is stored."""
    file = STORED / f"{name}.txt"
    known = file.read_text(encoding="utf-8") if file.exists() and not ACCEPT else ""
    seen = await settled(user, known)
    if ACCEPT:
        STORED.mkdir(exist_ok=True)
        file.write_text(seen, encoding="utf-8")
    elif seen != known:
        lines = list(difflib.unified_diff(known.splitlines(), seen.splitlines(), "stored", "seen", lineterm="", n=0))
        how = "GOE_SNAPSHOTS=accept pytest tests/tui/test_snapshots.py"
        pytest.fail("\n".join([f"{file.name}:", *lines[:80], f"If it should look so: {how}"]), pytrace=False)


@pytest.mark.parametrize("name", SCREENS)
async def test_a_screen_looks_as_before(there: Lab, wait_until: Wait, name: str) -> None:
    if name in MISTAKES:
        there.queue.write_text(MISTAKEN)
    if name in CLUSTER:
        cluster(there)
    app = GoeApp(Path("none") if name == "welcome" else there.runs, there.queue)
    async with app.run_test(size=SIZES[0]) as pilot:
        user = User(app, pilot, wait_until)
        await user.follow(*SCREENS[name])
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await compare(user, f"{name}-{width}x{height}")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", LOOKED_AT)
async def test_it_does_so_with_other_colours(
    there: Lab, wait_until: Wait, monkeypatch: pytest.MonkeyPatch, name: str, look: str
) -> None:
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    if look == "sixteen":
        monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    app = GoeApp(there.runs, there.queue)
    app.theme = LIGHT.name if look == "light" else DARK.name
    async with app.run_test(size=(80, 24)) as pilot:
        user = User(app, pilot, wait_until)
        await user.follow(*SCREENS[name])
        await compare(user, f"{name}-{look}-80x24")


def test_nothing_is_stored_of_screens_that_are_gone() -> None:
    wanted = {f"{name}-{width}x{height}" for name in SCREENS for width, height in SIZES}
    wanted |= {f"{name}-{look}-80x24" for name in LOOKED_AT for look in LOOKS}
    for file in STORED.glob("*") if ACCEPT else ():
        if file.stem not in wanted:
            file.unlink()
    assert {file.stem for file in STORED.glob("*")} == wanted
