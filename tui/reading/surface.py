"""A spiral run's confidence over the plane."""

from typing import TYPE_CHECKING

from goe.core.config import RunConfig
from goe.core.errors import RunError
from goe.core.rundir import RunDir
from goe.core.stamp import Stamp, stamp_of

if TYPE_CHECKING:
    from tui.widgets.heatmap import Field


class SurfaceTail:
    """A spiral run's confidence over the plane, read again when its file changed."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.field: Field | None = None
        self.problem: str | None = None
        self._stamp: Stamp | None = None

    def poll(self, config: RunConfig | None) -> None:
        """Read the file of the checkpoint that the run is judged by; other data sets have none."""
        if config is None or config.dataset != "spiral":
            return
        before, self._stamp = self._stamp, stamp_of(self.run.surface_file(config.evaluate))
        if self._stamp == before:
            return
        self.field, self.problem = None, None
        if self._stamp is not None:
            from goe.surface import read_surface  # numpy: 0.1 s that only a spiral run's page should cost

            try:
                self.field = read_surface(self.run, config.evaluate).rows()
            except RunError as error:
                self.problem = str(error)
