"""Processes told apart by more than their pid, with real ones."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from goe.core import process
from goe.core.process import ProcessId, identify, is_alive, myself

SLEEP = shutil.which("sleep") or "/bin/sleep"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([SLEEP, "60"])
    yield child
    child.kill()
    child.wait(10)


def test_i_am_alive() -> None:
    me = myself()
    assert me.pid == os.getpid()
    assert me == identify(os.getpid())
    assert is_alive(me) is True


def test_a_process_is_alive_until_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    who = identify(sleeper.pid)
    assert who is not None
    assert who != myself()
    assert is_alive(who) is True
    sleeper.kill()
    sleeper.wait(10)
    assert is_alive(who) is False
    assert identify(sleeper.pid) is None


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="this system has no waitid")
def test_a_zombie_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    who = identify(sleeper.pid)
    assert who is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # until it is dead, but leave it unburied
    assert is_alive(who) is False


@pytest.mark.parametrize(("field", "value"), [("start", "1"), ("boot", "another"), ("pid", 2**22 + 1)])
def test_a_reused_pid_is_another_process(field: str, value: str | int) -> None:
    assert is_alive(msgspec.structs.replace(myself(), **{field: value})) is False


def test_a_process_of_another_host_cant_be_asked() -> None:
    assert is_alive(msgspec.structs.replace(myself(), host="elsewhere")) is None


def test_the_identity_survives_a_file() -> None:
    assert msgspec.json.decode(msgspec.json.encode(myself()), type=ProcessId) == myself()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    odd = tmp_path / "a) Z 1 (b"
    odd.symlink_to(SLEEP)
    child = subprocess.Popen([str(odd), "60"])
    try:
        end = time.monotonic() + 30
        while Path(f"/proc/{child.pid}/comm").read_text(encoding="utf-8") != "a) Z 1 (b\n":
            assert time.monotonic() < end, "the kernel never named it"
            time.sleep(0.01)
        who, plain = identify(child.pid), identify(sleeper.pid)
        assert who is not None
        assert plain is not None
        assert int(who.start) >= int(plain.start)
        assert is_alive(who) is True
    finally:
        child.kill()
        child.wait(10)


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_without_proc_ps_tells_the_same_in_any_time_zone(
    monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path / "none")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    who = identify(sleeper.pid)
    monkeypatch.setenv("TZ", "America/New_York")
    assert who is not None
    assert is_alive(who) is True
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(who) is False
    sleeper.wait(10)
    assert is_alive(who) is False
