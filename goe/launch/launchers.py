"""Which launcher a queue or a run has, and what goes with it.

The dashboard leans on this and starts nothing; so what is needed only then is imported only then.
"""

from collections.abc import Sequence
from pathlib import Path

from goe.core.overview import RunView, view_run
from goe.core.queuefile import QueueOptions
from goe.core.rundir import RunDir
from goe.launch.base import Launcher, Places, Site
from goe.launch.local import Here, LocalLauncher


def launcher_for(options: QueueOptions) -> Launcher:
    """The launcher of a queue with these options."""
    return _slurm() if options.launcher == "slurm" else LocalLauncher()


def places_for(options: QueueOptions, gpus: Sequence[int | str] | None = None, count: int | None = None) -> Places:
    """What the runs of a queue may take; `--gpus` and `--slots` win. Raises ConfigError for what is not there."""
    if options.launcher == "slurm":
        from goe.launch.slurm import SlurmSlots

        return SlurmSlots(options, gpus, count)
    from goe.launch.slots import Slots

    return Slots(options, gpus, count)


def site_for(options: QueueOptions, runs: Path) -> Site:
    """Where the runs of a queue with these options are."""
    if options.launcher == "slurm":
        from goe.launch.slurmsite import SlurmSite

        return SlurmSite(runs)
    return Here()


def is_job(view: RunView) -> bool:
    """Whether the run is in Slurm's hands, waiting there or at work."""
    if not view.is_live or view.job is None:
        return False
    return view.job.attempt > view.attempt or (view.launch is not None and view.launch.job == view.job.job)


def stop(run: RunDir, *, force: bool = False) -> None:
    """Ask the run to end after its current step; with `force`, end its processes. A job that waits is cancelled."""
    launcher = _slurm() if is_job(view_run(run)) else LocalLauncher()
    launcher.stop(run, force=force)


def end_job(view: RunView) -> bool:
    """Let Slurm itself end the run's job, whatever its processes do; False if it has none."""
    if view.job is None or not is_job(view):
        return False
    from goe.launch.slurmclient import cancel

    cancel(view.job.job)
    return True


def _slurm() -> Launcher:
    from goe.launch.slurm import SlurmLauncher

    return SlurmLauncher()
