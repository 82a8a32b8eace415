"""The queue's page as its user sees it: real keys, a real file, real queues."""

import contextlib
import os
import shlex
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from runfolder import Lab
from textual.pilot import Pilot
from textual.widgets import Input
from user import User, Wait

from goe.core.queuefile import load_queue
from goe.launch.detached import queue_mark
from goe.launch.local import children
from tui.app import GoeApp
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.editor import editor_command
from tui.screens.form import FormRow, FormScreen
from tui.screens.help import HelpScreen
from tui.screens.queue import QueueScreen
from tui.screens.queuelog import QueueLogScreen
from tui.screens.runs import RunsScreen
from tui.widgets.keytable import KeyTable

ROOT = Path(__file__).parents[2]
TEXT = """# The top.
[queue]
slots = 2

[defaults]
dataset = "digits"   # small
seeds = [1, 2]

[[experiment]]
name = "goe"
epochs = 10          # few

# Said of oe.
[[experiment]]
name = "oe"
method = { name = "oe", weight = 0.5 }

[[experiment]]
name = "kept"
hold = true
lr = 0.05
# The end.
"""


class Seat(User):
    """A user before the queue's page."""

    def __init__(self, app: GoeApp, pilot: Pilot[None], wait: Wait, lab: Lab) -> None:
        super().__init__(app, pilot, wait)
        self.lab = lab

    async def choose(self, name: str) -> None:
        table = self.app.screen.query_one(KeyTable)
        await self.wait(lambda: name in table._shown)
        table.move_cursor(row=list(table._shown).index(name))
        await self.pilot.pause()

    async def becomes(self, text: str) -> None:
        """Wait until the file reads so."""
        await self.wait(lambda: self.lab.queue.read_text() == text)

    async def fill(self, **values: str) -> None:
        """Type into the fields of the form."""
        await self.at(FormScreen)
        await self.wait(lambda: self.app.screen.query(FormRow))
        for name, value in values.items():
            field = self.field(name)
            field.focus()
            field.value = ""
            await self.pilot.press(*value)

    def field(self, name: str) -> Input:
        return next(row.input for row in self.app.screen.query(FormRow) if row.field.name == name.replace("_", "-"))


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture
def seat(lab: Lab, wait_until: Wait) -> Sit:
    lab.queue.write_text(TEXT)

    @asynccontextmanager
    async def sit(width: int = 120, height: int = 40, *, readonly: bool = False) -> AsyncIterator[Seat]:
        app = GoeApp(lab.runs, lab.queue, readonly=readonly)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            user = Seat(app, pilot, wait_until, lab)
            await pilot.press("Q")
            await user.at(QueueScreen)
            await user.wait(lambda: app.screen.facts)
            yield user

    return sit


def as_the_command(lab: Lab, *commands: str, text: str = TEXT) -> str:
    """What `goe queue …` makes of the text."""
    other = lab.queue.with_name("by-command.toml")
    other.write_text(text)
    for command in commands:
        words = [sys.executable, "-P", str(ROOT / "cli.py"), "queue", *shlex.split(command), "--queue", str(other)]
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
        assert done.returncode == 0, done.stderr
    return other.read_text()


async def test_shows_the_file(lab: Lab, seat: Sit) -> None:
    run = lab.running("other")
    async with seat(160, 30) as user:
        await user.sees("○ no queue at work · 3 experiments · 0/6 runs done")
        await user.sees('method = { name = "oe", weight = 0.5 }')
        await user.sees("‖ held")
        await user.sees("goe line 9 · seeds 1, 2 · 2 queued · priority 0")
        assert run.run_id not in user.screen()
        await user.pilot.press("G")
        await user.sees("kept line 18")
        await user.pilot.press("Q")
        await user.at(RunsScreen)
        await user.wait(lambda: "queue" not in user.app.poller._readers)


async def test_q_from_above_goes_back_to_it(seat: Sit) -> None:
    async with seat() as user:
        await user.pilot.press("t", "Q")
        await user.at(QueueScreen)
        assert len(user.app.screen_stack) == 3
        await user.pilot.press("escape")
        await user.at(RunsScreen)


@pytest.mark.parametrize(
    ("name", "keys", "command"),
    [
        ("oe", "J", "move oe down"),
        ("kept", "K", "move kept up"),
        ("oe", "plus", "set oe priority=1"),
        ("oe", "minus", "set oe priority=-1"),
        ("oe", "H", "hold oe"),
        ("kept", "H", "release kept"),
        ("oe", "D y", "rm oe"),
        ("kept", "delete y", "rm kept"),
    ],
)
async def test_a_key_writes_what_the_command_would(lab: Lab, seat: Sit, name: str, keys: str, command: str) -> None:
    meant = as_the_command(lab, command)
    async with seat() as user:
        await user.choose(name)
        await user.pilot.press(*keys.split())
        await user.becomes(meant)
        await user.pilot.press("U")
        await user.becomes(TEXT)
        await user.sees("Taken back")


async def test_keys_in_a_row_are_all_done(lab: Lab, seat: Sit) -> None:
    meant = as_the_command(lab, "set goe priority=3", "move goe last")
    async with seat() as user:
        await user.choose("goe")
        await user.pilot.press("plus", "plus", "plus", "J", "J")
        await user.becomes(meant)
        await user.wait(lambda: list(user.app.screen._rows) == ["oe", "kept", "goe"])
        assert user.app.screen.query_one(KeyTable).row_key == "goe"


async def test_add_from_the_form(lab: Lab, seat: Sit) -> None:
    meant = as_the_command(lab, "add neu --set method=energy-oe --set seeds='[1, 2, 3]' --set lr=0.01")
    async with seat() as user:
        await user.pilot.press("a")
        await user.fill(name="neu", seeds="[1, 2, 3]", method="energy")
        method = user.field("method")
        await user.wait(lambda: method._suggestion == "energy-oe")
        await user.pilot.press("right")
        user.field("").focus()
        await user.pilot.pause()
        await user.pilot.press(*"l", "r")
        await user.wait(lambda: user.field("")._suggestion == "lr = ")
        await user.pilot.press("right", *"0.01", "enter")
        await user.wait(lambda: any(row.field.name == "lr" for row in user.app.screen.query(FormRow)))
        await user.pilot.press("enter")
        await user.becomes(meant)
        await user.at(QueueScreen)
        await user.wait(lambda: user.app.screen.query_one(KeyTable).row_key == "neu")


async def test_edit_in_the_form(lab: Lab, seat: Sit) -> None:
    meant = as_the_command(lab, "unset kept lr", "set kept epochs=7 name=new")
    async with seat() as user:
        await user.choose("kept")
        await user.pilot.press("enter")
        await user.fill(lr="", epochs="7", name="new")
        assert user.field("hold").value == "true"
        assert user.field("dataset").placeholder == '"digits"  from [defaults]'
        await user.pilot.press("enter")
        await user.becomes(meant)


async def test_a_form_may_be_covered_while_it_is_saved(lab: Lab, seat: Sit) -> None:
    meant, gate = as_the_command(lab, "set kept epochs=7"), threading.Event()
    async with seat() as user:
        await user.choose("kept")
        await user.pilot.press("enter")
        await user.fill(epochs="7")
        form = user.app.screen
        assert isinstance(form, FormScreen)
        apply = form._form.apply
        form._form = replace(form._form, apply=lambda values: (gate.wait(10), apply(values))[1])
        await user.pilot.press("enter", "f1")
        await user.at(HelpScreen)
        gate.set()
        await user.becomes(meant)
        await user.wait(lambda: not form._saving)
        assert isinstance(user.app.screen, HelpScreen)
        await user.pilot.press("escape")
        await user.at(QueueScreen)


async def test_what_is_wrong_is_said_on_a_form_that_was_covered(lab: Lab, seat: Sit) -> None:
    gate = threading.Event()
    async with seat() as user:
        await user.choose("kept")
        await user.pilot.press("enter")
        form = user.app.screen
        assert isinstance(form, FormScreen)
        form._form = replace(form._form, apply=lambda _: (gate.wait(10), {"epochs": "a planted finding"})[1])
        await user.pilot.press("enter", "f1")
        await user.at(HelpScreen)
        gate.set()
        await user.wait(lambda: not form._saving)
        await user.pilot.press("escape")
        await user.at(FormScreen)
        await user.sees("! a planted finding")


async def test_a_form_left_changes_nothing(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.pilot.press("i")
        await user.fill(epochs="9")
        await user.pilot.press("escape")
        await user.at(QueueScreen)
        await user.pilot.press("i")
        await user.at(FormScreen)
        await user.pilot.press("enter")
        await user.at(QueueScreen)
        assert lab.queue.read_text() == TEXT
        for _ in range(2):  # a click chooses a row, another opens it
            await user.pilot.click(KeyTable, offset=(3, 3))
        await user.at(FormScreen)
        assert user.field("name").value == "kept"


async def test_a_copy(lab: Lab, seat: Sit) -> None:
    meant = as_the_command(lab, "copy oe oe-2 --set lr=0.2")
    async with seat() as user:
        await user.choose("oe")
        await user.pilot.press("c")
        await user.at(FormScreen)
        assert user.field("name").value == "oe-2"
        await user.fill(**{"": "lr = 0.2"})
        await user.pilot.press("enter", "enter")
        await user.becomes(meant)


async def test_fields_are_checked_as_they_are_typed(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.choose("goe")
        await user.pilot.press("enter")
        await user.fill(epochs="-3", method="gooe")
        await user.sees('unknown method "gooe" (did you mean "goe"?)')
        await user.sees("! epochs: ")
        await user.pilot.press("ctrl+s")
        await user.wait(lambda: not user.app.screen._saving)
        assert isinstance(user.app.screen, FormScreen)
        await user.fill(epochs="3", method="oe", name="kept")
        await user.sees('the name "kept" is taken')
        await user.fill(name="goe")
        await user.fill(**{"": "lrr = 3"})
        await user.pilot.press("enter")
        await user.sees('unknown key "lrr" (did you mean "lr"?)')
        assert lab.queue.read_text() == TEXT


async def test_a_file_saved_meanwhile_is_not_overwritten(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.choose("oe")
        await user.pilot.press("H")
        await user.wait(lambda: lab.queue.read_text() != TEXT)
        lab.queue.write_text(TEXT + "# by hand\n")
        await user.pilot.press("U")
        await user.at(MessageScreen)
        await user.sees("saved by somebody else since «hold oe»")
        assert lab.queue.read_text() == TEXT + "# by hand\n"
        await user.pilot.press("escape")
        await user.pilot.press("i")
        await user.fill(epochs="9")
        lab.queue.write_text(TEXT.replace('"oe"\nmethod', '"renamed"\nmethod'))
        await user.pilot.press("enter")
        await user.sees("no experiment of the file is called so")
        assert "epochs = 9" not in lab.queue.read_text()


async def test_what_others_need_is_not_taken_out(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        text = TEXT.replace("hold = true", 'after = ["oe"]')
        lab.queue.write_text(text)
        await user.sees("for oe-s1")
        await user.choose("oe")
        await user.pilot.press("D")
        await user.sees("It has no runs yet")
        await user.pilot.press("y")
        await user.sees('no experiment is called "oe"')
        assert lab.queue.read_text() == text


async def test_a_bad_save_is_shown_with_its_line(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        lab.queue.write_text(TEXT.replace("epochs = 10", "epochs = 0"))
        await user.sees("! experiments.toml:11: epochs")
        await user.sees("shown is the last version without problems")
        lab.queue.write_text(TEXT.replace("seeds = [1, 2]", "seeds = [1, 2"))
        await user.sees("! experiments.toml:9:1: not valid TOML")
        assert "kept" in user.screen()
        lab.queue.write_text(TEXT)
        await user.wait(lambda: "experiments.toml:" not in user.screen())


async def test_the_editor_and_back_to_it(lab: Lab, seat: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "vim"
    script.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n'
        f'if [ -e {tmp_path}/second ]; then sed -i "s/epochs = 0/epochs = 4/" "$2"\n'
        f'else touch {tmp_path}/second; sed -i "s/epochs = 10/epochs = 0/" "$2"; fi\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(script))
    monkeypatch.setattr(GoeApp, "suspend", lambda self: contextlib.nullcontext())  # the test's screen has no terminal
    async with seat() as user:
        await user.choose("oe")
        await user.pilot.press("e")
        await user.at(ConfirmScreen)
        await user.sees("1 problem in experiments.toml")
        await user.sees("experiments.toml:11: epochs")
        await user.pilot.press("y")
        await user.wait(lambda: "epochs = 4" in lab.queue.read_text())
        await user.at(QueueScreen)
    assert (tmp_path / "called").read_text() == f"+14 {lab.queue}\n+11 {lab.queue}\n"


async def test_without_a_terminal_the_editor_is_refused(seat: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    async with seat() as user:
        await user.pilot.press("e")
        await user.sees("an editor needs a terminal of its own")


@pytest.mark.parametrize(
    ("editor", "command"),
    [
        ("vi", ["vi", "+7", "f.toml"]),
        ("emacs -nw", ["emacs", "-nw", "+7", "f.toml"]),
        ("/usr/bin/hx", ["/usr/bin/hx", "f.toml:7"]),
        ("code --wait", ["code", "--wait", "--goto", "f.toml:7"]),
        ("ed", ["ed", "f.toml"]),
        ("", ["vi", "+7", "f.toml"]),
    ],
)
def test_editors_begin_at_the_line(editor: str, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", editor)
    monkeypatch.setenv("EDITOR", "")
    assert editor_command(Path("f.toml"), 7) == command


async def test_start_and_stop(lab: Lab, seat: Sit) -> None:
    lab.queue.write_text('[[experiment]]\nname = "goe"\nseeds = [1]\nepochs = 10\nhold = true\n')
    async with seat() as user:
        lab.queue.write_text('[[experiment]]\nname = "goe"\nseeds = [1]\nepochs = 10\nhold = true\n')
        await user.sees("1 experiment ·")
        await user.pilot.press("S")
        await user.fill(slots="x")
        await user.sees("'x' is no number from 1")
        await user.fill(slots="3", gpus="")
        await user.pilot.press("enter")
        await user.at(QueueScreen)
        await user.sees("● queue at work since")
        await user.sees("3 slots")
        mark = queue_mark(lab.runs)
        assert mark is not None
        assert mark.slots == 3
        await user.pilot.press("S")
        await user.sees("A queue already works here")
        await user.pilot.press("X")
        await user.sees("No run is at work")
        await user.pilot.press("n", "X")
        await user.at(ConfirmScreen)
        await user.pilot.press("y")
        await user.sees("○ no queue at work")
        await user.wait(lambda: not any(child.poll() is None for child in children))


async def test_a_queue_that_can_not_begin_says_what_is_in_its_way(lab: Lab, seat: Sit) -> None:
    log = lab.runs / ".queue.log"
    log.mkdir(parents=True)
    async with seat() as user:
        await user.pilot.press("S")
        await user.fill(slots="1")
        await user.pilot.press("enter")
        await user.sees(f"! {log}: Is a directory; a folder is in the way; move it")
        assert "Errno" not in user.screen()


async def test_stopping_says_that_runs_go_on(lab: Lab, seat: Sit, at_work: "subprocess.Popen[bytes]") -> None:
    run = lab.running()
    async with seat() as user:
        await user.sees("● queue at work since 1970-01-01")
        await user.pilot.press("X")
        await user.sees(f"{run.run_id} goes on")
        await user.pilot.press("y")
        await user.wait(lambda: at_work.poll() is not None)


async def test_the_log(lab: Lab, seat: Sit) -> None:
    lab.runs.mkdir()
    async with seat(60, 12) as user:
        await user.pilot.press("L")
        await user.at(QueueLogScreen)
        await user.sees("Nothing yet")
        (lab.runs / ".queue.log").write_text("".join(f"[b]line {n}\n" for n in range(40)) + "\x1b[31mlast\n")
        await user.sees("last")
        await user.sees("[b]line 39")
        await user.pilot.press("g")
        await user.sees("[b]line 0")
        await user.pilot.press("escape")
        await user.at(QueueScreen)


async def test_a_short_log_stands_at_the_top(lab: Lab, seat: Sit) -> None:
    lab.runs.mkdir()
    (lab.runs / ".queue.log").write_text("one\ntwo\n")
    async with seat(60, 16) as user:
        await user.pilot.press("L")
        await user.sees("two")
        await user.wait(lambda: [line.strip() for line in user.screen().splitlines()[1:3]] == ["one", "two"])
        assert not user.app.screen.query_one("#scroll").show_vertical_scrollbar


async def test_readonly_changes_nothing(lab: Lab, seat: Sit) -> None:
    async with seat(readonly=True) as user:
        changing = [key for key, binding in user.app.screen._bindings if binding.action.startswith("change_")]
        assert len(changing) > 12
        await user.choose("oe")
        await user.pilot.press(*changing, "enter", "y")
        assert isinstance(user.app.screen, QueueScreen)
        assert "D delete" not in user.screen()
        await user.pilot.press("L")
        await user.at(QueueLogScreen)
    assert lab.queue.read_text() == TEXT


@pytest.mark.parametrize("size", [(40, 12), (400, 100)])
async def test_every_size_and_any_name(lab: Lab, seat: Sit, size: tuple[int, int]) -> None:
    async with seat(*size) as user:
        lab.queue.write_text(TEXT.replace('"kept"', '"ключ-[b]-\\u0007\\t"', 1))  # no folder can be called so
        await user.wait(lambda: user.app.screen.facts.problems)
        await user.pilot.press("i", "escape", "D", "n", "S", "escape", "L", "escape")
        await user.at(QueueScreen)
        lab.queue.write_text("")
        await user.wait(lambda: "no experiment" in user.app.screen.facts.problems[0])


async def test_a_broken_file_of_odd_names(lab: Lab, wait_until: Wait) -> None:
    lab.queue.write_text('[[experiment]]\nname = "ключ [b]\\u001b[2J\\u0007"\n\n[[experiment]]\nepochs = 3\n')
    app = GoeApp(lab.runs, lab.queue)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        user = Seat(app, pilot, wait_until, lab)
        await pilot.press("Q")
        await user.sees("ключ [b]")
        await user.sees("(no name)")
        assert "\x1b" not in user.screen()
        await pilot.press("i", "G", "i")
        await user.sees("It has no name that could be used")


async def test_400_experiments(lab: Lab, seat: Sit) -> None:
    entries = "".join(f'\n[[experiment]]\nname = "e{n:03d}"\nlr = 0.{n + 1:04d}\n' for n in range(400))
    async with seat(100, 30) as user:
        lab.queue.write_text(f"[defaults]\nseeds = [1, 2, 3]\n{entries}")
        await user.sees("400 experiments · 0/1200 runs done")
        await user.pilot.press("G", "K")
        await user.wait(lambda: [run.experiment for run in load_queue(lab.queue).runs][-1] == "e398")
        await user.wait(lambda: list(user.app.screen._rows)[-1] == "e398")
        assert user.app.screen.query_one(KeyTable).row_key == "e399"


async def test_an_idle_page_is_told_nothing(seat: Sit) -> None:
    async with seat() as user:
        await user.wait(lambda: user.app.screen._reader.read() is None)
