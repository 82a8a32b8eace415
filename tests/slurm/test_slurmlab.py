"""The cluster that tests bring up: its ports, and what a Slurm that doesn't come up means."""

from pathlib import Path

import pytest
import slurmlab


@pytest.mark.parametrize("session", [7, 59, 4242])
def test_no_two_clusters_of_a_session_share_a_port(session: int) -> None:
    begin = [
        slurmlab.first_port({"PYTEST_XDIST_WORKER": f"gw{worker}"}, session, accounts=accounts)
        for worker in range(16)
        for accounts in (False, True)
    ]
    assert len({first + further for first in begin for further in range(111)}) == 111 * len(begin)
    assert max(begin) + 111 < 32768
    assert slurmlab.first_port({}, session, accounts=False) == begin[0]


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_slurm_that_does_not_come_up_fails_only_where_all_tests_are_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    script = tmp_path / "cluster.sh"
    script.write_text("#!/bin/sh\necho no munged >&2; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(slurmlab, "SCRIPT", script)
    monkeypatch.setattr(slurmlab, "obstacle", lambda *_, **__: "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="Slurm does not come up here: no munged"), slurmlab.brought_up(()):
        pass
