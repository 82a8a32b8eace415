"""W&B LEET, the rival that the dashboard is measured beside, on runs that wandb itself logs without a network."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from panes import Pane, has_braille

_LOG = """
import math, random, sys, time, wandb
steps, pause = int(sys.argv[1]), float(sys.argv[2])
run = wandb.init(project="p", mode="offline", settings=wandb.Settings(silent=True, console="off", x_disable_stats=True))
for step in range(1, steps + 1):
    run.log({name: 2 * math.exp(-3 * step / steps) + 0.1 * random.random()
             for name in ("loss", "loss/ce", "loss/oe", "loss/mix", "filter/rate")}, step=step)
    time.sleep(pause)
run.finish()
"""


class Leet:
    """W&B LEET and the logs it shows."""

    def __init__(self, wandb: Path, folder: Path) -> None:
        self._wandb, self._folder = wandb, folder
        self.one = self.logged(1000)

    @staticmethod
    def shown(text: str) -> bool:
        """Whether its charts are there."""
        return "loss" in text and has_braille(text)

    def pane(self, path: Path) -> Pane:
        """LEET on one run."""
        env = {"TERM": "tmux-256color", "WANDB_CONFIG_DIR": str(self._folder / "config")}
        return Pane([str(self._wandb), "leet", str(path)], env)

    def logged(self, steps: int) -> Path:
        """A run with so many steps, whole."""
        folder = self._folder / f"steps-{steps}"
        self._log(folder, steps, 0).wait()
        return next(folder.glob("wandb/offline-run-*"))

    @contextmanager
    def live(self, steps: int, pause_s: float) -> Iterator[Path]:
        """A run that logs meanwhile."""
        folder = self._folder / "live"
        logger = self._log(folder, steps, pause_s)
        try:
            while not list(folder.glob("wandb/offline-run-*/*.wandb")):
                time.sleep(0.2)
            yield next(folder.glob("wandb/offline-run-*"))
        finally:
            logger.terminate()
            logger.wait()

    def _log(self, folder: Path, steps: int, pause_s: float) -> subprocess.Popen[bytes]:
        folder.mkdir(parents=True)
        env = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(folder), "PYTHONPATH": ""}
        argv = [str(self._wandb.with_name("python")), "-c", _LOG, str(steps), str(pause_s)]
        return subprocess.Popen(argv, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
