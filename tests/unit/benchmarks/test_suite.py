"""The suite: which parts there are, what is kept of them, the tables of the documentation."""

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import msgspec
import pytest
import suite
from document import write_docs
from harness import machine
from suite import GPU, PARTS, USUAL, chosen, keep
from tables import Fact, Facts, Record, Results
from typer.testing import CliRunner

from cli import app
from tui.commands.bench import FOLDERS

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"


def record(script: str, said: str, *, quick: bool = False, gpus: tuple[str, ...] = ()) -> Record:
    part = Facts(f"About {script}", (Fact("speed", said),))
    here = msgspec.structs.replace(machine(), gpus=gpus)
    return Record(script=script, day="2026-12-01", quick=quick, rounds=3, machine=here, parts=(part,))


def test_parts_are_scripts_that_are_there() -> None:
    for runs in PARTS.values():
        for run in runs:
            assert (BENCHMARKS / f"{run.script}.py").exists(), run
    help_text = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "400"}).output
    assert [part for part in PARTS if part not in help_text] == []


def test_the_scripts_travel_with_an_installed_package() -> None:
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert "benchmarks" in targets["sdist"]["only-include"]  # a wheel is made from it
    inside = [ROOT / place for place in targets["wheel"]["force-include"].values()]
    assert FOLDERS[1] in inside
    assert FOLDERS[0] == BENCHMARKS


def test_the_usual_ones_are_run_unless_some_are_named() -> None:
    assert chosen([]) == USUAL
    assert [run.script for run in chosen(["queue", "step"])] == ["queue_loop", "step"]
    assert chosen(["gpu"]) == GPU


def test_an_unknown_part_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert suite.main(["step", "metric"]) == 2
    assert '"metric" is no benchmark (did you mean "metrics"?); known: data, step,' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "gone/found.json"], "--out: gone/found.json can't be a file; name one in a folder that is there"),
        (["--out", "."], "--out: . can't be a file"),
        (["--out", "notes.txt"], "--out: notes.txt is no file of `goe bench` (JSON is malformed"),
        (["--write-docs"], "--write-docs: docs.md is not there; it is part of a checkout"),
    ],
)
def test_what_could_not_be_kept_is_refused_before_anything_is_measured(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suite, "DOCS", Path("docs.md"))
    monkeypatch.setattr(suite, "measure", lambda *_: pytest.fail("it was measured"))
    Path("notes.txt").write_text("mine\n", encoding="utf-8")
    assert suite.main(["metrics", *words]) == 2
    assert said in capsys.readouterr().err
    assert Path("notes.txt").read_text(encoding="utf-8") == "mine\n"


def test_a_failing_part_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "measure", lambda run, *_: None if run.part == "step" else record(run.script, "1"))
    path = tmp_path / "found.json"
    assert suite.main(["step", "data", "--out", str(path)]) == 1
    assert [each.script for each in suite.found(path)] == ["data"]
    assert capsys.readouterr().err == "failed: step\n"


def test_a_part_replaces_its_own_older_findings(tmp_path: Path) -> None:
    path = tmp_path / "new" / "found.json"
    keep(path, [record("step", "1"), record("data", "2")])
    keep(path, [record("step", "3")])
    found = msgspec.json.decode(path.read_bytes(), type=Results).records
    assert [(each.script, each.parts[0].facts[0].said) for each in found] == [("step", "3"), ("data", "2")]  # type: ignore[union-attr]


DOCS = """# Speed
<!-- bench: step -->
old
<!-- /bench -->
between
<!-- bench: data -->
<!-- /bench -->
"""


def test_tables_stand_between_their_markers(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(DOCS, encoding="utf-8")
    write_docs(path, [record("step", "fast")])
    text = path.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.startswith("# Speed\n<!-- bench: step -->\nMeasured on 2026-12-01, 3 rounds: ")
    assert "**About step**\n\n|  |  |\n|---|---|\n| speed | fast |\n\n<!-- /bench -->\nbetween\n" in text
    assert text.endswith("between\n<!-- bench: data -->\n<!-- /bench -->\n")
    write_docs(path, [record("step", "faster", quick=True)])
    assert path.read_text(encoding="utf-8").count("<!-- bench: step -->") == 1
    assert "Measured with --quick, which gives no true figures, on " in path.read_text(encoding="utf-8")


def test_a_gpus_findings_have_a_place_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"{DOCS}<!-- bench: step-gpu -->\n<!-- /bench -->\n", encoding="utf-8")
    write_docs(path, [record("step", "fast", gpus=("H100",)), record("data", "fed", gpus=("H100",))])
    before, _, after = path.read_text(encoding="utf-8").partition("<!-- bench: step-gpu -->")
    assert "| speed | fast |" in after
    assert "old" in before
    assert "| speed | fed |" in before


def test_findings_without_a_place_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(DOCS, encoding="utf-8")
    with pytest.raises(SystemExit, match="has no place for queue_loop"):
        write_docs(path, [record("queue_loop", "1")])
    assert path.read_text(encoding="utf-8") == DOCS


def test_the_documentation_has_a_place_for_every_part(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text((ROOT / "docs/performance.md").read_text(encoding="utf-8"), encoding="utf-8")
    write_docs(path, [record(run.script, "1") for runs in PARTS.values() for run in runs])
    before = path.read_text(encoding="utf-8")
    write_docs(path, [record(run.script, "on a GPU", gpus=("H100",)) for run in GPU])
    after = path.read_text(encoding="utf-8")
    assert after.count("| speed | on a GPU |") == len(GPU)
    assert after.count("| speed | 1 |") == before.count("| speed | 1 |")


def test_terminated_it_ends_the_script_at_work(tmp_path: Path) -> None:
    """As a user's `kill` of `goe bench` meets it: the script clears up and neither stays."""
    (tmp_path / "slow.py").write_text(
        "import argparse, pathlib, time\n"
        "from harness import arguments\n"
        "arguments('', rounds=1).parse_args()\n"
        "try:\n"
        "    pathlib.Path('begun').touch()\n"
        "    time.sleep(100)\n"
        "except KeyboardInterrupt:\n"
        "    pathlib.Path('cleared').touch()\n"
        "    raise\n"
    )
    start = (
        "import pathlib, signal, sys, suite\n"
        f"suite.HERE = pathlib.Path({str(tmp_path)!r})\n"
        "suite.PARTS['slow'] = (suite.Run('slow', 'slow'),)\n"
        "signal.signal(signal.SIGTERM, suite.terminate)\n"
        "try:\n"
        "    suite.main(['slow', '--quick'])\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(suite.BROKEN_OFF)\n"
    )
    path = os.pathsep.join([str(BENCHMARKS), str(ROOT)])
    with subprocess.Popen([sys.executable, "-c", start], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}) as bench:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        bench.terminate()
        assert bench.wait(timeout=30) == suite.BROKEN_OFF
    assert (tmp_path / "cleared").exists()
