"""Commands that train nothing start without torch and its kind."""

import subprocess
import sys

import pytest
from lab import Lab

HEAVY = {"torch", "torchvision", "numpy", "sklearn", "scipy", "safetensors", "textual", "matplotlib", "submitit"}
LIST_MODULES = """
import sys
from cli import main
sys.argv = ["goe", *sys.argv[1:]]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
print("MODULES", *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "runs",
        "runs --json",
        "table",
        "checkpoints",
        "queue check",
        "queue list",
        "stop base-s1",
        "pause --release base-s1",
        "cancel base-s1",
        "logs base-s1",
        "diff base-s1 base-s2 --env",
        "reproduce base-s1",
        "checkpoints verify",
        "checkpoints prune",
        "export base-s1 --to csv",
        "schema eval",
    ],
)
def test_no_heavy_import(command: str, finished: Lab) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIST_MODULES, *command.split()],
        cwd=finished.folder,
        env=finished.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    modules = next(line for line in done.stdout.splitlines() if line.startswith("MODULES")).split()
    assert HEAVY.isdisjoint(modules)
    assert "goe" in modules or command == "--help"


def test_every_command_has_help(lab: Lab) -> None:
    text = lab.goe("--help").stdout
    for command in (
        "train",
        "eval",
        "table",
        "runs",
        "show",
        "checkpoints",
        "stop",
        "pause",
        "resume",
        "cancel",
        "retry",
        "logs",
        "diff",
        "reproduce",
        "queue",
        "data",
        "figure",
        "tui",
        "export",
        "schema",
    ):
        assert f"  {command} " in text
