"""Makes the pictures of docs/dashboard.md: every screen of `goe tui` over a lab that really trains.

    python docs/pictures.py                  # all, under three minutes, most of it the lab's training
    python docs/pictures.py --lab DIR NAME…  # some of them, of a lab that stays

That of jobs needs a private Slurm: root, and what `tests/slurm/cluster.sh install` installs. The GPUs are those of the
tests' scripted driver; all else is what this machine and these runs are.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lab

sys.path += [str(lab.ROOT / "tests"), str(lab.ROOT / "tests" / "tui")]
import fake_nvml
from user import User

from goe.core.overview import view_runs
from tui.app import DARK, LIGHT, GoeApp

OUT = Path(__file__).resolve().with_name("pictures")
WIDE, USUAL, CLASSIC, SMALL = (160, 45), (100, 30), (80, 24), (40, 12)
WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture, and how to get there from the list of runs, in the words of `User.follow`."""

    name: str
    steps: tuple[str, ...] = ()
    size: tuple[int, int] = USUAL
    theme: str = DARK.name
    no_color: bool = False
    queue: str = "experiments.toml"
    on_slurm: bool = False
    """Of jobs on a private Slurm."""


def opened(query: str, *steps: str) -> tuple[str, ...]:
    """The page of the first run that the filter leaves."""
    return ("slash", f"'{query}", "enter", "? of 1", "enter", "?curves", *steps)


MARKED = ("v", "space space space", "?9 marked")
COMPARED = (*MARKED, "equals_sign", "?9 runs", "?baseline-s1", "b", "?n=3")
GOE = opened("experiment:goe seed:1", "?checkpoint")
LONG = opened("state:running", "?epoch")
SHOTS = (
    Shot("runs", ("?done",), WIDE),
    Shot("folded", ("v", "j j", "?±"), USUAL),
    Shot("marked", ("space space space", "?3 marked")),
    Shot("filter", ("slash", "'acc>0.9 method:goe", "? of 1")),
    Shot("columns", ("c", "?usual")),
    Shot("charts", (*MARKED, "equals_sign", "?9 runs", "?loss"), WIDE),
    Shot("compare", (*COMPARED, "s s", "?smoothed", "enter", "i", "h h h h h h h h h h h h"), (120, 36)),
    Shot("histogram", (*GOE, "a", "?msp")),
    Shot("surface", opened("spiral", "7", "?confidence 0.5"), (100, 34)),
    Shot("run", LONG, WIDE),
    Shot("log", (*GOE, "2", "?evaluating", "slash", "'blobs", "enter", "?in 1 line")),
    Shot("checkpoints", (*GOE, "3", "V", "?whole")),
    Shot("attempts", opened("goe-hot", "4", "?non-finite")),
    Shot("config", (*GOE, "5", "?method.filter.k")),
    Shot("environment", (*GOE, "6", "?python")),
    Shot("diff", (*MARKED, "escape", "escape", "slash", "'seed:1", "enter", "space j space", "d", "?method")),
    Shot("results", ("t", "?±"), (120, 36)),
    Shot("paper", ("t", "?±", "b", "?Koo", "space", "enter", "?beside"), (120, 36)),
    Shot("seeds", ("t", "?±", "enter", "?seed"), USUAL),
    Shot("queue", ("Q", "?priority"), (110, 30)),
    Shot("queue-error", ("Q", "?mistaken.toml"), (110, 30), queue="mistaken.toml"),
    Shot("form", ("Q", "?priority", "j j", "enter", "?name"), (110, 34)),
    Shot("system", ("u", "?GiB", "?goe-long-s"), (130, 36)),
    Shot("help", ("question_mark", "?Keys"), (100, 40)),
    Shot("palette", ("colon", "'theme", "?theme goe-light")),
    Shot("confirm", ("slash", "'state:running", "enter", "? of 1", "x", "?Cancel")),
    Shot("light", ("?done",), USUAL, LIGHT.name),
    Shot("light-charts", COMPARED, USUAL, LIGHT.name),
    Shot("no-color", COMPARED, USUAL, no_color=True),
    Shot("small-runs", ("?done",), SMALL),
    Shot("small-run", LONG, SMALL),
    Shot("small-charts", COMPARED, SMALL),
    Shot("classic-runs", ("?done",), CLASSIC),
    Shot("classic-run", LONG, CLASSIC),
    Shot("classic-results", ("t", "?±"), CLASSIC),
    Shot(
        "cluster", ("?(Resources)", "slash", "'state:pending or state:running", "enter", "G"), (130, 16), on_slurm=True
    ),
)


async def take(shot: Shot, to: Path) -> None:
    """Take one picture."""
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color"}
    os.environ.pop("NO_COLOR", None)
    if shot.no_color:
        os.environ["NO_COLOR"] = "1"
    app = GoeApp(Path("runs"), Path(shot.queue))
    app.theme = shot.theme
    async with app.run_test(size=shot.size) as pilot:
        await User(app, pilot, wait).follow("?pending" if shot.on_slurm else "?done", *shot.steps)
        await pilot.pause(0.2)  # what was asked for last is read and drawn
        to.write_text(tidy(app.export_screenshot(title=f"goe tui: {shot.name}")), encoding="utf-8")


async def wait(condition: Callable[[], object]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("what was waited for is not on the screen")
        await asyncio.sleep(0.05)


def tidy(svg: str) -> str:
    """The picture without fonts from another host, and a line each for what was one long one."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "Fira Code, DejaVu Sans Mono, Menlo, Consolas, monospace")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def script_gpus(folder: Path) -> None:
    """Two GPUs, the run that trains on the first, somebody else on the second."""
    sys.modules["pynvml"] = fake_nvml
    os.environ["FAKE_NVML"] = str(folder / "gpus.json")
    launches = [view.launch for view in view_runs(Path("runs")) if view.is_live and view.launch]
    workers = [launch.worker.pid for launch in launches if launch.worker]
    name, base = "NVIDIA RTX A6000", {"total": 48, "limit": 300}
    mine = [{"pid": pid, "memory": 6.4} for pid in workers]
    first = {"uuid": "GPU-aa", "bus": 1, "used": 6.9, "utilisation": 87, "temperature": 71, "power": 262}
    second = {"uuid": "GPU-bb", "bus": 2, "used": 21.3, "utilisation": 34, "temperature": 58, "power": 141}
    theirs = [{"pid": 1, "memory": 20.8}]
    gpus = [{"name": name, **base, **first, "processes": mine}, {"name": name, **base, **second, "processes": theirs}]
    fake_nvml.script(folder / "gpus.json", gpus)


def mistake(folder: Path) -> None:
    """A queue file with two mistakes."""
    text = (folder / "experiments.toml").read_text(encoding="utf-8")
    text = text.replace('method = "baseline"', 'method = "baselin"').replace("lr = 1e9", "lr = -1")
    (folder / "mistaken.toml").write_text(text, encoding="utf-8")


def make(folder: Path, shots: Sequence[Shot]) -> None:
    """Take these pictures of the lab in this folder, which is made if it isn't there."""
    lab.make(folder)
    os.chdir(folder)
    script_gpus(folder)
    mistake(folder)
    take_all(shots)


def make_on_slurm(folder: Path, shots: Sequence[Shot]) -> None:
    """Take these of jobs on a private Slurm, which is up meanwhile."""
    with lab.cluster(folder):
        os.chdir(folder)
        take_all(shots)


def take_all(shots: Sequence[Shot]) -> None:
    """Take pictures of the runs in the present folder."""
    OUT.mkdir(exist_ok=True)
    for shot in shots:
        asyncio.run(take(shot, OUT / f"{shot.name}.svg"))
        print(f"docs/pictures/{shot.name}.svg", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to make; all without any")
    parser.add_argument("--lab", type=Path, metavar="DIR", help="a lab that stays; made if it isn't there")
    asked = parser.parse_args()
    wanted = [shot for shot in SHOTS if not asked.names or shot.name in asked.names]
    usual, on_slurm = ([shot for shot in wanted if shot.on_slurm is which] for which in (False, True))
    with tempfile.TemporaryDirectory() as folder:
        there = asked.lab.resolve() if asked.lab else Path(folder) / "lab"
        try:
            if usual:
                make(there, usual)
        finally:
            os.chdir(lab.ROOT)
            if usual and not asked.lab:
                lab.end(there)
        if on_slurm:
            try:
                make_on_slurm(Path(folder) / "cluster", on_slurm)
            finally:
                os.chdir(lab.ROOT)


if __name__ == "__main__":
    main()
