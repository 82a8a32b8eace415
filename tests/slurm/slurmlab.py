"""A folder with the real `goe` on a real Slurm."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.lab import Lab

if TYPE_CHECKING:
    from subprocess import Popen

SCRIPT = Path(__file__).with_name("cluster.sh")
QUICK = Path(__file__).with_name("quick.py")


class Cluster(Lab):
    """A lab on a Slurm."""

    def quick(self, *args: str, worker: str = "") -> "Popen[str]":
        """Start `goe` as quick.py does."""
        return self.start(str(QUICK), str(self.folder), worker, *args, program=sys.executable)

    def begun(self) -> int:
        """How many runs have an attempt that goes on."""
        return sum(view.launch is not None and view.exit is None for view in self.views())
