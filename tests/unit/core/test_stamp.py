"""What is read again, and what not."""

import os
import time
from pathlib import Path

from goe.core.stamp import FRESH_NS, Watch


def aged(path: Path) -> None:
    """As if it had changed long ago."""
    long_ago = time.time_ns() - 2 * FRESH_NS
    os.utime(path, ns=(long_ago, long_ago))


def test_what_rests_is_read_once(tmp_path: Path) -> None:
    aged(tmp_path)
    watch = Watch(tmp_path, 60.0)
    assert watch.is_news()
    assert watch.is_news()  # a read that failed is tried again
    watch.was_read()
    assert not watch.is_news()
    (tmp_path / "new").touch()
    assert watch.is_news()


def test_what_just_changed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    watch = Watch(tmp_path, 60.0)
    assert watch.is_news()
    watch.was_read()
    assert watch.is_news()


def test_a_change_while_it_is_read_is_seen(tmp_path: Path) -> None:
    aged(tmp_path)
    watch = Watch(tmp_path, 60.0)
    assert watch.is_news()
    (tmp_path / "meanwhile").touch()
    watch.was_read()
    assert watch.is_news()


def test_nothing_is_trusted_for_ever(tmp_path: Path) -> None:
    aged(tmp_path)
    watch = Watch(tmp_path, -1.0)
    assert watch.is_news()
    watch.was_read()
    assert watch.is_news()


def test_what_is_not_there_is_news_each_time(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "none", 60.0)
    assert watch.is_news()
    watch.was_read()
    assert watch.is_news()
    assert watch.stamp is None
