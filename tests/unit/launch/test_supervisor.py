"""What the supervisor reads of a log."""

from pathlib import Path

from goe.launch.supervisor import LOG_TAIL, log_tail


def test_only_this_attempts_words_count(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_bytes(b"CUDA out of memory\nnow\xff\n")
    assert log_tail(log, 19) == "now\ufffd\n"
    assert log_tail(log, 0).startswith("CUDA")
    assert log_tail(log, 24) == log_tail(log, 99) == ""


def test_of_a_long_log_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_bytes(b"a" * 5 + b"b" * LOG_TAIL)
    assert log_tail(log, 0) == "b" * LOG_TAIL


def test_no_log(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "train.log", 0) == ""
