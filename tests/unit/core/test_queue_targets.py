"""`gpus` and `notify` of the `[queue]` table."""

from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.jobs import JobOptions
from goe.core.queuefile import Queue, parse_queue

HEAD = '[[experiment]]\nname = "a"\n'


def queue(text: str) -> Queue:
    return parse_queue(text, Path("queue.toml"))


def test_gpus_are_numbers_and_uuids() -> None:
    assert queue('[queue]\ngpus = [2, "GPU-8f6e", "MIG-1"]\n' + HEAD).options.gpus == (2, "GPU-8f6e", "MIG-1")
    assert queue("[queue]\ngpus = []\n" + HEAD).options.gpus == ()


def test_notify_keeps_entries_as_written() -> None:
    entries = ("https://ntfy.sh/oe", "mail -s 'x y' me")
    assert queue(f"[queue]\nnotify = {list(entries)!r}\n{HEAD}").options.notify == entries


def test_what_a_run_needs_of_gpus() -> None:
    (job,) = queue(HEAD + "gpu-count = 2\ngpu-share = 0.5\ngpu-memory = 10.5\n").jobs
    assert job.options == JobOptions(gpu_count=2, gpu_share=0.5, gpu_memory=10.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[queue]\ngpus = [0,\n  "1"]\n',
            'queue.toml:3: gpus: "1" is neither a GPU\'s number nor its UUID (GPU-…, MIG-…)',
        ),
        ("[queue]\ngpus = [-1]\n", "queue.toml:2: gpus: expected int >= 0, got [-1]"),
        ("[queue]\ngpus = [0.5]\n", "queue.toml:2: gpus: expected int | str, got float"),
        ("[queue]\nnotify = 'true'\n", "queue.toml:2: notify: expected array, got str"),
        (
            "[queue]\nnotify = [\n'true',\n'htps://h/secret']\n",
            'queue.toml:4: notify: "htps://" begins no address that',
        ),
        ("[queue]\nnotify = ['']\n", "queue.toml:2: notify: an empty command; write a URL"),
        ("[queue]\nnotify-on = ['fail']\n", 'queue.toml:2: notify-on: "fail" is not accepted (did you mean "failed"?)'),
        ("[defaults]\ngpu-count = 0\n", "queue.toml:2: gpu-count: expected int >= 1, got 0"),
        ("[defaults]\ngpu-share = 1.5\n", "queue.toml:2: gpu-share: expected float <= 1.0, got 1.5"),
    ],
)
def test_wrong_entries_have_their_line(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        queue(text + HEAD)
    (problem,) = caught.value.problems
    assert problem.startswith(expected)
    assert "secret" not in problem
