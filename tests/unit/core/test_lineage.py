"""init-from: which run a run begins with."""

from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.lineage import source_run
from goe.core.queuefile import Queue, parse_queue

BASE = '[[experiment]]\nname = "base"\nmethod = "baseline"\nseeds = [1, 2]\n'
TUNED = '[[experiment]]\nname = "tuned"\nmethod = "energy-oe"\nseeds = [1, 2]\ninit-from = "base"\n'


def queue(text: str) -> Queue:
    return parse_queue(text, Path("queue.toml"))


def test_each_seed_begins_with_the_same_seed_of_the_source() -> None:
    base1, base2, tuned1, tuned2 = queue(BASE + TUNED).runs
    runs = Path("runs")
    sources = [source_run(runs, run) for run in (tuned1, tuned2)]
    assert [source.path for source in sources if source] == [runs / base1.run_id, runs / base2.run_id]
    assert tuned1.group == tuned2.group
    assert source_run(runs, base1) is None


def test_the_order_in_the_file_does_not_matter() -> None:
    assert set(queue(TUNED + BASE).runs) == set(queue(BASE + TUNED).runs)


def test_a_changed_source_makes_another_run_all_along_the_chain() -> None:
    again = TUNED.replace("tuned", "again").replace('"base"', '"tuned"')
    one = queue(BASE + TUNED + again).runs
    other = queue(BASE.replace("seeds", "weight-decay = 0.0\nseeds") + TUNED + again).runs
    assert all(run.group != changed.group for run, changed in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (BASE + TUNED.replace('"base"', '"bass"'), '9: init-from: no experiment is called "bass" (did you mean "base"'),
        (BASE + TUNED.replace("[1, 2]", "[1, 3]"), 'experiment "base" has no seed 3; give both the same seeds'),
        (BASE + TUNED.replace('"base"', '"tuned"'), "9: init-from: tuned begins with tuned, a circle"),
        (
            BASE.replace("method", 'init-from = "tuned"\nmethod') + TUNED,
            "base begins with tuned begins with base, a circle",
        ),
        (BASE + TUNED + 'model = "wrn-16-1"\n', '"base" trains wrn-10-1 on digits, not wrn-16-1'),
    ],
)
def test_a_source_that_cannot_be_is_refused_with_its_line(text: str, finding: str) -> None:
    with pytest.raises(ConfigError) as caught:
        queue(text)
    assert finding in str(caught.value)
