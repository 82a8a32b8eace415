"""Slurm's client commands as a test scripts them: shell scripts on PATH that answer from files, and note each call.

FOLDER/bin/           sbatch, srun, squeue, scancel, scontrol, sacct
FOLDER/jobs/<id>      what squeue says of a job: state|reason|start|nodes|name|comment
FOLDER/accounts/<id>  what sacct says of it: state|reason|nodes|name; without the folder there are no accounts
FOLDER/scripts/<id>   what sbatch was given: of an array one, while each of its tasks is a job
FOLDER/arrays         MaxArraySize
FOLDER/down           every command says this and fails
FOLDER/refuse         sbatch says this and fails
FOLDER/answer         what sbatch prints of a job that it submitted
FOLDER/submit         MaxSubmitJobs: how many may wait and run
FOLDER/slurmdbd       sacct says this and fails
FOLDER/calls          a line for each call
FOLDER/env            the variables of all calls
"""

import shlex
import stat
from pathlib import Path

import pytest

_HEAD = """#!/bin/sh
cd {folder} || exit 1
echo "{name} $*" >> calls
env >> env
if [ -f hang ]; then exec sleep 60; fi
if [ -f down ]; then cat down >&2; exit 1; fi
"""
_COMMANDS = {
    "sbatch": """
if [ -f refuse ]; then cat refuse >&2; exit 1; fi
id=$(( $(cat next) + 1 )); echo $id > next
cp "$1" scripts/$id
option() { sed -n "s/^#SBATCH --$1=//p" scripts/$id; }
eval "name=$(option job-name) comment=$(option comment) array=$(option array)"
last=${array#0-}; last=${last%%%*}
if [ -f submit ]; then
  have=$(cat jobs/* 2>/dev/null | grep -c '^[PR][EU]N')
  if [ $(( have + ${last:-0} + 1 )) -gt $(cat submit) ]; then
    echo "sbatch: error: AssocMaxSubmitJobLimit" >&2
    echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy" >&2; exit 1
  fi
fi
for task in ${array:+$(seq 0 $last)} ${array:-alone}; do
  case $task in alone) job=$id ;; 0-*) continue ;; *) job=${id}_$task ;; esac
  printf 'PENDING|Priority|N/A||%s|%s\\n' "$name" "$comment" > jobs/$job
done
if [ -f dies ]; then exit 143; fi
if [ -f answer ]; then cat answer; exit 0; fi
echo "Submitted batch job $id"
""",
    "srun": """
exit 1
""",
    "squeue": """
for path in jobs/*; do
  [ -f "$path" ] && printf '%s|' "${path#jobs/}" && cat "$path"
done
exit 0
""",
    "scancel": """
for job; do :; done
[ -f jobs/$job ] || { echo "scancel: error: Kill job error on job id $job: Invalid job id specified" >&2; exit 1; }
case "$*" in *--signal*) ;; *) sed -i 's/^[A-Z_]*|[^|]*/CANCELLED|None/' jobs/$job ;; esac
""",
    "scontrol": """
echo "MaxArraySize            = $(cat arrays 2>/dev/null || echo 1001)"
""",
    "sacct": """
[ -f slurmdbd ] && { cat slurmdbd >&2; exit 1; }
[ -d accounts ] || { echo "Slurm accounting storage is disabled" >&2; exit 1; }
for path in accounts/*; do
  [ -f "$path" ] && printf '%s|' "${path#accounts/}" && cat "$path"
done
exit 0
""",
}


class FakeSlurm:
    """A controller that knows what the test tells it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bin", "jobs", "scripts"):
            (folder / name).mkdir(parents=True)
        (folder / "next").write_text("100")
        (folder / "calls").touch()
        for name, body in _COMMANDS.items():
            path = folder / "bin" / name
            path.write_text(_HEAD.format(folder=folder, name=name) + body)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def say(self, job: str, state: str, reason: str = "None", *, start: str = "N/A", nodes: str = "") -> None:
        """What squeue says of a submitted job from now on."""
        *_, name, comment = (self.folder / "jobs" / job).read_text().rstrip("\n").split("|")
        (self.folder / "jobs" / job).write_text(f"{state}|{reason}|{start}|{nodes}|{name}|{comment}\n")

    def name(self, job: str) -> str:
        """Its name."""
        return (self.folder / "jobs" / job).read_text().split("|")[4]

    def know(self, job: str, state: str, *, name: str, comment: str = "") -> None:
        """A job that this test did not submit."""
        (self.folder / "jobs" / job).write_text(f"{state}|None|N/A||{name}|{comment}\n")

    def forget(self, job: str) -> None:
        """The controller doesn't know it any more."""
        (self.folder / "jobs" / job).unlink()

    def account(self, job: str, state: str, *, name: str, reason: str = "None", nodes: str = "n1") -> None:
        """What sacct says of it."""
        (self.folder / "accounts").mkdir(exist_ok=True)
        (self.folder / "accounts" / job).write_text(f"{state}|{reason}|{nodes}|{name}\n")

    def told(self, name: str, text: str | None) -> None:
        """Make or remove one of the files that change what commands do."""
        path = self.folder / name
        path.unlink(missing_ok=True) if text is None else path.write_text(text)

    @property
    def calls(self) -> list[str]:
        """The command lines so far, oldest first."""
        return (self.folder / "calls").read_text().splitlines()

    def count(self, command: str) -> int:
        """How often a command was called."""
        return sum(call.split()[0] == command for call in self.calls)

    def script(self, job: str) -> str:
        """What was submitted, of an array or one of its jobs."""
        return (self.folder / "scripts" / job.partition("_")[0]).read_text()

    def asked(self, job: str) -> dict[str, str]:
        """The options in its script, by name; empty for those without a value."""
        lines = [line[len("#SBATCH --") :] for line in self.script(job).splitlines() if line.startswith("#SBATCH ")]
        return {name: "".join(shlex.split(value)) for name, _, value in (line.partition("=") for line in lines)}


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A fake whose commands come first on PATH."""
    fake = FakeSlurm(folder)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    return fake
