"""What a run was told, what it was computed with and how often it was started: files that seldom change."""

import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from goe.core.code import Queued, identify_code
from goe.core.errors import RunError
from goe.core.overview import RunView
from goe.core.provenance import Environment, code_warning
from goe.core.report import flat
from goe.core.rundir import RunDir, read_json
from goe.core.stamp import stamp_of
from tui.faults import told
from tui.messages import AttemptFact, Dossier, Fields
from tui.reading.base import guarded

_PATCH_LINES = 200


class DossierReader:
    """Every two seconds; attempts that have ended are not read again."""

    period = 2.0

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._ended: dict[int, AttemptFact] = {}
        self._told: Dossier | None = None
        self._stamps: object = None
        self._papers: tuple[Fields, Fields] = ((), ())

    def read(self) -> Dossier | None:
        """What is known; None where nothing is new."""
        found = guarded(self._run, self._read, self._broken)
        if found == self._told:
            return None
        self._told = found
        return found

    def _read(self, run: RunDir) -> Dossier:
        files = (run.config_file, run.env_file, run.queued_file, run.patch_file)
        stamps = [stamp_of(path) for path in files]
        if stamps != self._stamps:
            self._stamps, self._papers = stamps, (config_fields(run), environment_fields(run))
        attempts = tuple(self._attempt(number) for number in range(1, run.attempt_count() + 1))
        return Dossier(run.run_id, *self._papers, attempts, reproduce_command(run))

    def _broken(self, view: RunView) -> Dossier:
        return Dossier(view.run_id, (("problem", view.problem or ""),))

    def _attempt(self, number: int) -> AttemptFact:
        known = self._ended.get(number)
        if known is not None:
            return known
        fact = read_attempt(self._run, number)
        if fact.exit is not None:
            self._ended[number] = fact
        return fact


def config_fields(run: RunDir) -> Fields:
    """Every key of the configuration."""
    try:
        return _fields(msgspec.to_builtins(run.config()))
    except RunError as error:
        return (("problem", str(error)),)


def environment_fields(run: RunDir) -> Fields:
    """Code, machine and packages, as the run's files say; what is none of it is said too."""
    found: list[tuple[str, str]] = []
    try:
        found += _queued(run)
        environment = read_json(run.env_file, Environment)
        found += _environment(environment) if environment is not None else _not_trained(run)
    except (RunError, OSError) as error:
        found.append(("problem", told(error, run.path)))
    return (*found, *_patch(run.patch_file))


def _queued(run: RunDir) -> Iterable[tuple[str, str]]:
    queued = read_json(run.queued_file, Queued)
    if queued is not None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(queued.queued))
        yield "queued", f"{moment} with code {queued.code.label}"


def _not_trained(run: RunDir) -> Iterable[tuple[str, str]]:
    """What there is to know before a run begins: whether it would be computed by other code than was meant."""
    yield "env.json", "none: not trained yet"
    warning = code_warning(run, identify_code())
    if warning:
        yield "warning", warning


def _environment(environment: Environment) -> Iterable[tuple[str, str]]:
    table = msgspec.to_builtins(environment)
    packages = table.pop("packages")
    table["command"] = shlex.join(environment.command)
    yield from _fields(table)
    yield "packages", str(len(packages))
    yield from ((f"  {name}", version) for name, version in sorted(packages.items(), key=lambda item: item[0].lower()))


def _patch(path: Path) -> Iterable[tuple[str, str]]:
    """Uncommitted changes of the code, the first lines."""
    try:
        with path.open(errors="replace") as file:
            lines = [line.rstrip("\n") for _, line in zip(range(_PATCH_LINES + 1), file, strict=False)]
    except OSError:
        return
    yield "code.patch", f"{path}"
    yield from (("", line) for line in lines[:_PATCH_LINES])
    if len(lines) > _PATCH_LINES:
        yield "", "… the file has the rest"


def read_attempt(run: RunDir, number: int) -> AttemptFact:
    """How one start of the run went."""
    attempt = run.numbered(number)
    by_hand = number > 1 and run.numbered(number - 1).retry_file.exists()
    try:
        launch, ended = attempt.launch(), attempt.exit()
    except (RunError, OSError) as error:
        return AttemptFact(number, problem=told(error, attempt.path), by_hand=by_hand)
    try:
        status = attempt.status()
    except (RunError, OSError):  # only a heartbeat
        status = None
    return AttemptFact(number, launch, ended, None, status.error if status else None, by_hand)


def reproduce_command(run: RunDir) -> str:
    """What computes it again, here."""
    return shlex.join(["goe", "reproduce", run.run_id, "--runs", str(run.path.parent)])


def _fields(table: dict[str, Any]) -> Fields:
    return tuple((key, text_of(value)) for key, value in flat(table))


def text_of(value: object) -> str:
    """A value as it is read: lists by commas, and a dash for nothing."""
    if value is None or value in ("", (), [], {}):
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(text_of, value)) if isinstance(value, list | tuple) else str(value)
