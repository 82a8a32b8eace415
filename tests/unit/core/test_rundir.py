"""The run directory: whole files or none, one owner for each attempt, damage told with its remedy."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from goe.core.config import RunConfig, complete
from goe.core.errors import RunError
from goe.core.process import myself
from goe.core.records import Exit, Launch
from goe.core.rundir import Attempt, RunDir, find_runs, read_json, resolve_run, write_atomic, write_json
from goe.core.specs import GOE


def make_config(name: str = "x", seed: int = 1) -> RunConfig:
    config = complete({"experiment": name, "seed": seed}, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return config


def make_launch(number: int = 1, launcher: str = "local") -> Launch:
    return Launch(attempt=number, launcher=launcher, supervisor=myself(), started=1000.0)


def test_create_twice_is_one_run(tmp_path: Path) -> None:
    config = make_config()
    run = RunDir.create(tmp_path / "runs", config)
    run.metrics_file.write_bytes(b"kept\n")
    before = run.config_file.stat().st_mtime_ns
    again = RunDir.create(tmp_path / "runs", config)
    assert again.path == run.path == tmp_path / "runs" / config.run_id
    assert again.config() == config
    assert (again.config_file.stat().st_mtime_ns, again.metrics_file.read_bytes()) == (before, b"kept\n")
    assert sorted(entry.name for entry in run.path.iterdir()) == [
        "attempts",
        "checkpoints",
        "config.json",
        "eval",
        "metrics.jsonl",
        "queued.json",
    ]


def test_create_mends_what_a_crash_left_out(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    run.checkpoints.rmdir()
    RunDir.create(tmp_path, make_config())
    assert run.checkpoints.is_dir()


def test_config_holds_every_choice(tmp_path: Path) -> None:
    config = msgspec.structs.replace(make_config(), method=GOE())
    run = RunDir.create(tmp_path, config)
    plain = msgspec.json.decode(run.config_file.read_bytes())
    assert plain.keys() == {field.encode_name for field in msgspec.structs.fields(RunConfig)}
    assert plain["method"] == {
        "name": "goe",
        "mix-weight": 0.5,
        "oe-weight": 0.5,
        "mix": {"strategy": "mixup", "alpha": 1.0, "beta": 1.0, "lam": "batch"},
        "forward": "joint",
        "normalise": "batch",
        "filter": {"strategy": "topk", "estimation": "msp", "k": 20, "quantile": 0.15, "warmup-epochs": 0},
    }


def test_a_config_cut_anywhere_is_one_clear_error(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    whole = run.config_file.read_bytes()
    for cut in range(len(whole) - 2):  # without its last line break it is still whole
        run.config_file.write_bytes(whole[:cut])
        with pytest.raises(RunError, match=r"config\.json: cut or altered: .*; restore the file, or remove ") as caught:
            run.config()
        assert str(run.config_file) in str(caught.value)


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_config_with_any_byte_altered_is_refused_or_unharmed(tmp_path: Path, mask: int) -> None:
    config = make_config()
    run = RunDir.create(tmp_path, config)
    whole = run.config_file.read_bytes()
    refused = 0
    for at in range(len(whole)):
        run.config_file.write_bytes(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :])
        message = ""
        try:
            assert run.config() == config, at
        except RunError as error:
            message = str(error)
            refused += 1
        assert not message or message.startswith(f"{run.config_file}: ")
        assert not message or ("altered" in message and "; restore " in message and ", or remove " in message)
    assert refused > len(whole) / 2


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ('"version": 2,', "unknown field `version`"),
        ('"warm-restarts": true,', "unknown field `warm-restarts`"),
        ('"method": {"name": "of-next-year"}, ', "Invalid value 'of-next-year' - at `$.method.name`"),
    ],
)
def test_a_config_of_a_newer_version_says_so(tmp_path: Path, member: str, said: str) -> None:
    run = RunDir.create(tmp_path, make_config())
    run.config_file.write_text("{" + member + run.config_file.read_text()[1:])
    with pytest.raises(RunError) as caught:
        run.config()
    message = str(caught.value)
    assert message.startswith(f"{run.config_file}: written by a newer goe, or altered: ")
    assert said in message
    assert message.endswith(f"; restore the file, update goe, or remove {run.path}")


def test_what_a_newer_version_adds_to_an_attempts_files_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "exit.json"
    path.write_text('{"code":null,"signal":9,"started":1,"ended":2,"peak_memory":3,"cause":"meteorite","place":"here"}')
    expected = Exit(code=None, signal=9, started=1.0, ended=2.0, peak_memory=3, cause="meteorite")
    assert read_json(path, Exit) == expected


def test_a_config_of_another_run_is_refused(tmp_path: Path) -> None:
    one, other = (RunDir.create(tmp_path, make_config(seed=seed)) for seed in (1, 2))
    one.config_file.write_bytes(other.config_file.read_bytes())
    with pytest.raises(RunError, match=rf"config\.json: altered: it describes {other.run_id}; restore it, or remove"):
        one.config()


def test_a_folder_without_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not a run: there is no config\.json in it"):
        RunDir(tmp_path).config()


def test_write_atomic_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_that_fails_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.mkdir()
    with pytest.raises(OSError, match=r"a\.json"):
        write_atomic(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "exit.json"
    records = [Exit(code=code, signal=None, started=0.0, ended=1.0, peak_memory=10**code) for code in range(15)]
    write_json(path, records[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(150):
            write_json(path, records[turn % 15], durable=False)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        seen = []
        while not done.is_set():
            seen.append(read_json(path, Exit))
        writing.result(30)
    assert seen
    assert all(record in records for record in seen)


def test_read_json_of_nothing_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_json(tmp_path / "none.json", Exit) is None
    assert read_json(tmp_path / "file" / "none.json", Exit) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"code":0}', b'{"\xff":0}', b"\xff\xfe", bytes(64)])
def test_read_json_of_damage_names_the_file_and_the_remedy(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "exit.json"
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"exit\.json: cut or altered: .*; restore the file, or remove") as caught:
        read_json(path, Exit)
    assert str(path) in str(caught.value)


def test_read_json_of_a_folder_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be read: Is a directory"):
        read_json(tmp_path, Exit)


def test_attempts_are_numbered_and_the_newest_counts(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    assert (run.attempt_count(), run.attempt()) == (0, None)
    for number in range(1, 12):
        assert run.claim(make_launch(number)) is not None
    (run.attempts_dir / ".claim-left-behind").mkdir()
    (run.attempts_dir / "notes").touch()
    newest = run.attempt()
    assert newest is not None
    assert (run.attempt_count(), newest.number, newest.launch().attempt) == (11, 11, 11)


def test_a_claim_is_born_with_its_launch_and_can_be_taken_once(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    attempt = run.claim(make_launch(1, "first"))
    assert attempt is not None
    assert run.claim(make_launch(1, "second")) is None
    assert attempt.launch() == make_launch(1, "first")
    assert [entry.name for entry in run.attempts_dir.iterdir()] == ["1"]
    assert (attempt.status(), attempt.exit(), attempt.stop_requested) == (None, None, False)
    attempt.request_stop()
    assert attempt.stop_requested


def test_an_attempt_without_launch_file_is_damage(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(RunError, match=r"launch\.json: missing; remove .*/1 if no process"):
        Attempt(tmp_path / "1").launch()


def test_a_claim_that_cant_be_written_is_no_quiet_loss(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    run.attempts_dir.rmdir()
    run.attempts_dir.touch()
    with pytest.raises(FileExistsError):
        run.claim(make_launch())


def test_of_eight_threads_exactly_one_wins_each_claim(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    start = threading.Barrier(8)

    def claim_all(me: int) -> list[int]:
        won = []
        for number in range(1, 51):
            start.wait(30)
            if run.claim(make_launch(number, f"thread {me}")) is not None:
                won.append(number)
        return won

    with ThreadPoolExecutor(8) as pool:
        wins = list(pool.map(claim_all, range(8)))
    assert sorted(number for won in wins for number in won) == list(range(1, 51))
    for me, won in enumerate(wins):
        assert all(Attempt(run.attempts_dir / str(n)).launch().launcher == f"thread {me}" for n in won)
    assert len(list(run.attempts_dir.iterdir())) == 50


CLAIM_ALL = """
import sys, time
from pathlib import Path
from goe.core.process import myself
from goe.core.records import Launch
from goe.core.rundir import RunDir
run, me = RunDir(Path(sys.argv[1])), sys.argv[2]
(run.path / f"ready-{me}").touch()
end = time.monotonic() + 30
while not (run.path / "go").exists() and time.monotonic() < end:
    pass
for number in range(1, 51):
    if run.claim(Launch(attempt=number, launcher=me, supervisor=myself(), started=0.0)) is not None:
        print(number)
"""


def test_of_four_processes_exactly_one_wins_each_claim(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    argv = [sys.executable, "-c", CLAIM_ALL, str(run.path)]
    children = [subprocess.Popen([*argv, str(me)], stdout=subprocess.PIPE, text=True) for me in range(4)]
    try:
        end = time.monotonic() + 30
        while len(list(run.path.glob("ready-*"))) < 4:
            assert time.monotonic() < end, "the processes did not start"
            time.sleep(0.01)
        (run.path / "go").touch()
        wins = [[int(number) for number in child.communicate(timeout=60)[0].split()] for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait(10)
    assert sorted(number for won in wins for number in won) == list(range(1, 51))
    for me, won in enumerate(wins):
        assert all(Attempt(run.attempts_dir / str(n)).launch().launcher == str(me) for n in won)


def test_find_runs_in_natural_order_and_nothing_else(tmp_path: Path) -> None:
    for name, seed in (("b", 10), ("b", 2), ("a", 1), ("a-s3", 4)):
        RunDir.create(tmp_path, make_config(name, seed))
    (tmp_path / "tables").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").touch()
    assert [run.run_id.rpartition("-")[0] for run in find_runs(tmp_path)] == ["a-s1", "a-s3-s4", "b-s2", "b-s10"]


def test_find_runs_shows_a_run_that_lost_its_config(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, make_config())
    run.config_file.unlink()
    assert [found.run_id for found in find_runs(tmp_path)] == [run.run_id]


def test_find_runs_without_a_folder(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "none") == []
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file: can't be read: Not a directory; pass --runs FOLDER"):
        find_runs(tmp_path / "file")


def test_resolve_run(tmp_path: Path) -> None:
    one = RunDir.create(tmp_path, make_config("goe", 1))
    ten = RunDir.create(tmp_path, make_config("goe", 10))
    assert resolve_run(tmp_path, one.run_id).path == one.path
    assert resolve_run(tmp_path, "goe-s10").path == ten.path
    assert resolve_run(tmp_path / "elsewhere", str(ten.path) + "/").run_id == ten.run_id
    with pytest.raises(RunError, match=rf"goe-s1: begins 2 run ids: {one.run_id}, {ten.run_id}; write more of it"):
        resolve_run(tmp_path, "goe-s1")
    with pytest.raises(RunError, match=r"oe: no such run in .*; `goe runs --runs .*` lists them"):
        resolve_run(tmp_path, "oe")
