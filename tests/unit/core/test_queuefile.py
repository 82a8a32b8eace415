"""experiments.toml: what it expands to, and every mistake with its line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.queuefile import Queue, QueueOptions, load_options, load_queue, parse_queue
from goe.core.specs import GOE, OE, Baseline, Filter

FILE = Path("queue.toml")


def queue(text: str) -> Queue:
    return parse_queue(text, FILE)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        queue(text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


GOOD = """\
[queue]
slots = 2
gpus = [0, 3]

[defaults]
epochs = 3
seeds = [1, 2]
method.filter.k = 5

[[experiment]]
name = "baseline"
method = "baseline"

[[experiment]]
name = "goe"
seeds = [7]
lr = 0.05
"""


def test_defaults_experiments_and_seeds_are_expanded_in_order() -> None:
    found = queue(GOOD)
    assert found.options == QueueOptions(slots=2, gpus=(0, 3))
    assert [(run.experiment, run.seed, run.epochs, run.lr) for run in found.runs] == [
        ("baseline", 1, 3, 0.1),
        ("baseline", 2, 3, 0.1),
        ("goe", 7, 3, 0.05),
    ]
    assert found.runs[0].method == Baseline()
    assert found.runs[2].method == GOE(filter=Filter(k=5))


def test_options_may_be_left_out() -> None:
    assert queue('[[experiment]]\nname = "a"\n').options == QueueOptions(slots=1, gpus=None)


def test_options_are_read_whatever_is_wrong_with_the_experiments(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text('[queue]\ndata = "sets"\n[defaults]\nepochs = "many"\n')
    assert load_options(path).data == "sets"
    path.write_text("[queue]\ndata = 3\n")
    with pytest.raises(ConfigError, match=r"q.toml:2: data: "):
        load_options(path)
    path.write_text("queue = 3\n")
    with pytest.raises(ConfigError, match=r"queue must be a table"):
        load_options(path)


def test_the_same_file_makes_the_same_ids_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text(GOOD + "sweep = { model = ['wrn', 'res18'], method = ['oe', 'goe'] }\n", encoding="utf-8")
    script = "import sys, pathlib; from goe.core.queuefile import load_options, load_queue\n"
    script += "print([run.run_id for run in load_queue(pathlib.Path(sys.argv[1])).runs])"
    printed = {
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    ids = [run.run_id for run in load_queue(path).runs]
    assert printed == {str(ids)}
    assert len(set(ids)) == len(ids) == 6


def test_a_sweep_is_a_grid() -> None:
    runs = queue('[[experiment]]\nname = "a"\nsweep = { lr = [0.1, 0.05], method.filter.k = [5, 10] }\n').runs
    assert [(run.experiment, run.lr, run.method.filter.k) for run in runs if isinstance(run.method, GOE)] == [
        ("a-lr0.1-k5", 0.1, 5),
        ("a-lr0.1-k10", 0.1, 10),
        ("a-lr0.05-k5", 0.05, 5),
        ("a-lr0.05-k10", 0.05, 10),
    ]


def test_quoted_and_bare_sweep_keys_mean_the_same() -> None:
    bare = queue('[[experiment]]\nname = "a"\nsweep.method.filter.k = [5]\n').runs
    quoted = queue('[[experiment]]\nname = "a"\n[experiment.sweep]\n"method.filter.k" = [5]\n').runs
    assert bare == quoted


def test_a_sweep_over_methods_keeps_what_was_set_for_each() -> None:
    text = '[defaults]\nmethod.filter.k = 5\n[[experiment]]\nname = "a"\nsweep.method = ["oe", "goe"]\n'
    assert [run.method for run in queue(text).runs] == [OE(), GOE(filter=Filter(k=5))]


def test_naming_the_usual_method_keeps_what_the_defaults_set_for_it() -> None:
    text = '[defaults]\nmethod.filter.k = 5\n[[experiment]]\nname = "a"\nmethod = "goe"\n'
    assert queue(text).runs[0].method == GOE(filter=Filter(k=5))


def test_a_sweep_inside_a_swept_method_does_not_depend_on_their_order() -> None:
    text = '[[experiment]]\nname = "a"\nmethod = "oe"\n[experiment.sweep]\n'
    text += '"method.filter.k" = [5, 10]\nmethod = ["goe"]\n'
    assert [run.method for run in queue(text).runs] == [GOE(filter=Filter(k=5)), GOE(filter=Filter(k=10))]


def test_a_sweep_may_not_set_what_one_of_its_methods_lacks() -> None:
    text = '[[experiment]]\nname = "a"\n[experiment.sweep]\n"method.filter.k" = [5]\nmethod = ["goe", "baseline"]\n'
    assert problems(text) == ['queue.toml:5: method: unknown key "filter"; known: ']


HEAD = '[[experiment]]\nname = "a"\n'
WRONG = [
    # unknown keys
    ("[defalts]\n" + HEAD, ['1: unknown key "defalts" (did you mean "defaults"?)']),
    (HEAD + "[experimnt.x]\ny = 1\n", ['3: unknown key "experimnt" (did you mean "experiment"?)']),
    (HEAD + "epoch = 3\n", ['3: unknown key "epoch" (did you mean "epochs"?)']),
    (HEAD + "\n\nmethod.fliter.k = 3\n", ['5: method: unknown key "fliter" (did you mean "filter"?)']),
    (HEAD + "[defaults]\nlearning = 1\nepoch = 3\n", ['4: unknown key "learning"', '5: unknown key "epoch" (did']),
    ("[queue]\nslot = 2\n" + HEAD, ['2: unknown key "slot" (did you mean "slots"?)']),
    # wrong types
    (HEAD + 'epochs = "three"\n', ["3: epochs: expected int, got str"]),
    (HEAD + "[defaults]\nlr = true\n", ["4: lr: expected float, got bool"]),
    ("[queue]\nslots = 0\n" + HEAD, ["2: slots: expected int >= 1, got 0"]),
    ("[queue]\n\ngpus = 'all'\n" + HEAD, ["3: gpus: expected array, got str"]),
    ("queue = 3\n" + HEAD, ["1: queue must be a table: [queue]"]),
    ("defaults = 3\n" + HEAD, ["1: defaults must be a table: [defaults]"]),
    ('[experiment]\nname = "a"\n', ["1: write each experiment as [[experiment]], with two brackets"]),
    ("experiment = 3\n", ["1: write each experiment as [[experiment]], with two brackets"]),
    (HEAD + "method = 3\n", ["3: a method needs a name; known: baseline, energy-oe, goe, mixoe, oe, udg"]),
    (HEAD + "[defaults]\nmethod = 3\n", ["4: a method needs a name; known: baseline, energy-oe, goe, mixoe, oe, udg"]),
    (HEAD + 'seeds = "1"\n', ["3: seeds must be a list of integers from 0"]),
    (HEAD + "seeds = []\n", ["3: seeds must be a list"]),
    (HEAD + "[defaults]\nseeds = [-1]\n", ["4: seeds must be a list"]),
    (HEAD + "seeds = [1, 2, 1]\n", ["3: seeds repeat: [1, 2, 1]; each trial needs a seed of its own"]),
    # names
    ("[[experiment]]\nlr = 0.1\n", ["1: an experiment needs a name"]),
    ("[[experiment]]\nlr = 0.1\nname = 3\n", ["3: an experiment needs a name"]),
    ("[[experiment]]\nname = 'a b'\n", ['2: "a b" can\'t name a folder']),
    (HEAD + HEAD + HEAD, ['4: the name "a" is taken by the experiment at line 2', '6: the name "a" is taken by the e']),
    (HEAD + "sweep.lr = [0.1]\n[[experiment]]\nname = 'a-lr0.1'\n", ['5: the name "a-lr0.1" is taken by the exper']),
    ("", ["1: no experiment; add at least one [[experiment]] with a name"]),
    # sweeps
    (HEAD + "sweep = 3\n", ["3: a sweep is a table of lists"]),
    (HEAD + "[experiment.sweep]\n", ["3: a sweep is a table of lists"]),
    (HEAD + "sweep = { lr = 0.1 }\n", ["3: sweep over lr: expected a list of values, got 0.1"]),
    (HEAD + "sweep.lr = []\n", ["3: sweep over lr: expected a list of values, got []"]),
    (HEAD + "sweep.lrr = [1]\n", ['3: unknown key "lrr" (did you mean "lr"?)']),
    (HEAD + "sweep.seeds = [1]\n", ['3: unknown key "seeds"']),
    (HEAD + "[experiment.sweep]\nepochs = [1]\nlr = [0.1, 'x']\n", ["5: lr: expected float, got str"]),
    (HEAD + "[experiment.sweep]\nepochs = [1]\n'method.filter.kk' = [1]\n", ['5: method: unknown key "kk"']),
    (HEAD + "[experiment.sweep]\nepochs = [1]\n'method.name' = ['goo']\n", ['5: unknown method "goo"']),
    (HEAD + "sweep.lr = [0.1, 0.1]\n", ['3: two points of the sweep are called "a-lr0.1"; list each value once']),
    (HEAD + "sweep.method = [{name='oe', weight=0.1}, {name='oe'}]\n", ['3: two points of the sweep are called "a-me']),
    (
        HEAD + "[experiment.sweep]\n'method.oe-weight'=[1]\nmethod.oe-weight=[1]\n",
        ["5: sweep over method.oe-weight: it is swept tw"],
    ),
    # findings that belong to several keys
    (HEAD + "method.filter.k = 200\n[defaults]\noutlier-batch-size = 100\n", ["3: method: k = 200 would drop"]),
    (HEAD + "\nepochs = 4\n[defaults]\nmilestones = [3, 5]\n", ["6: milestones: 5 lies beyond the last epoch, 4"]),
    # not TOML at all
    (HEAD + "lr = \n", ["3:6: not valid TOML: Invalid value"]),
    (HEAD + 'name = "b"\n', ["3:11: not valid TOML: Cannot overwrite a value"]),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_a_mistake_is_reported_once_with_its_line(text: str, expected: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(expected)
    for problem, beginning in zip(found, expected, strict=True):
        start, _, rest = beginning.partition(" ")
        assert problem.startswith(f"queue.toml:{start} ")
        assert rest in problem


def test_all_problems_of_a_file_at_once_in_the_order_of_lines() -> None:
    text = """\
[queue]
slots = "two"

[defaults]
epohcs = 3          # ] = [
seeds = 1

[[experiment]]
nam = "a"
lr = -1

[[experiment]]
name = "b"
method = "oee"
[experiment.sweep]
lr = 0.1
dropout = [0.1, 2]

[[experiment]]
name = "b"
seeds = ["x"]
model = "wrn-41-2"
"""
    lines = [int(problem.split(":")[1]) for problem in problems(text)]
    assert lines == [2, 5, 6, 8, 9, 10, 14, 16, 17, 21, 22]


def test_the_line_of_a_problem_survives_multi_line_values() -> None:
    text = '[defaults]\nscores = [ # [[\n  "msp",\n  "energy"]\n' + HEAD + 'model = """\nwrx"""\nlrr = 1\n'
    assert [problem.split(":")[1] for problem in problems(text)] == ["7", "9"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [(HEAD + "lrr = 1\n", 3, "unknown key"), (HEAD + "lr = \n", 3, "not valid TOML: Invalid value")],
)
def test_a_problem_carries_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_queue(text, Path("a:7: b.toml"))
    ((found, finding),) = caught.value.findings
    assert found == caught.value.line == line
    assert words in finding
    assert ConfigError(["elsewhere"]).line == 1


def test_two_variants_with_one_name_are_not_one_when_seeds_differ() -> None:
    assert len(queue(HEAD + "seeds = [0, 10, 2]\n").runs) == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: no such file; pass --queue FILE"):
        load_queue(tmp_path / "none.toml")


def test_a_folder_is_no_queue_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_queue(tmp_path)


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_bytes(b'[[experiment]]\nname = "\xe9"\n')
    with pytest.raises(ConfigError, match=r"q\.toml: byte 23 is not UTF-8"):
        load_queue(path)


def test_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_queue(path).runs == queue(GOOD).runs
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode() + b"lrr = 1\r\n")
    with pytest.raises(ConfigError, match=r'q\.toml:3: unknown key "lrr"'):
        load_queue(path)


def test_how_runs_are_queued_changes_no_run_id() -> None:
    plain = queue('[[experiment]]\nname = "a"\n')
    changed = queue('[defaults]\npriority = 2\n[[experiment]]\nname = "a"\nhold = true\nretry = { signal = 0 }\n')
    assert changed.runs == plain.runs
    (job,) = changed.jobs
    assert (job.options.priority, job.options.hold, job.options.after) == (2, True, ())
    assert job.options.retry is not None
    assert (job.options.retry.limit("signal"), job.options.retry.limit("lost")) == (0, 20)
    assert (job.options.retry.limit("user"), job.options.retry.limit("bug")) == (0, 0)


def test_what_waits_for_what_is_checked() -> None:
    text = '[[experiment]]\nname = "a"\nafter = ["b"]\n[[experiment]]\nname = "b"\nafter = ["c", "dd"]\n'
    text += '[[experiment]]\nname = "c"\nafter = ["a"]\n'
    found = problems(text.replace('["a"]', '["a"]\nlr = -1'))
    assert found == [
        'queue.toml:6: after: no experiment is called "dd"',
        "queue.toml:10: lr: expected float > 0.0, got -1",
    ]
    assert "queue.toml:3: after: a waits for b waits for c waits for a, a circle" in problems(
        text.replace(', "dd"', "")
    )
