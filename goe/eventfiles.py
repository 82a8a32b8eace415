"""A run's metrics as TensorBoard reads them: event files, written by tensorboard itself, without torch."""

import shutil
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from goe.core.errors import UserError
from goe.core.records import Metric


def check_folder(folder: Path) -> None:
    """Raise UserError if there is no tensorboard, or if `folder` is in use: two runs' curves in one would be mixed."""
    if find_spec("tensorboard") is None:
        raise UserError("tensorboard is not installed; `pip install 'goe[export]'` adds it, --to csv does without")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is no folder; pass --out FOLDER")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: exists and is not empty; remove it, or pass --out FOLDER")


def write_events(records: Iterable[Metric], folder: Path) -> None:
    """Write every value as a scalar `<kind>/<name>` with its step and wall time; `folder` appears whole or not at all.

    Values are float32, as TensorBoard keeps them. Raises UserError as `check_folder` does.
    """
    check_folder(folder)
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        writer = EventFileWriter(str(beside))
        for record in records:
            values = [
                Summary.Value(tag=f"{record.kind}/{name}", simple_value=value)
                for name, value in record.values.items()
                if value is not None
            ]
            writer.add_event(Event(step=record.step, wall_time=record.time, summary=Summary(value=values)))
        writer.close()
        beside.chmod(0o755)
        beside.rename(folder)  # onto an empty folder too
    finally:
        shutil.rmtree(beside, ignore_errors=True)
