"""Reading ahead changes nothing but when things are made."""

import threading
from collections.abc import Iterator

import pytest

from goe.data.prefetch import ahead


@pytest.mark.parametrize("depth", [0, 1, 3, 50])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_the_items_are_the_same(depth: int, count: int) -> None:
    assert list(ahead(iter(range(count)), depth)) == list(range(count))


def test_items_are_made_in_the_background_and_not_too_many() -> None:
    made: list[tuple[int, str]] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            made.append((number, threading.current_thread().name))
            if number == 2:
                third.set()
            yield number

    stream = ahead(items(), 3)
    assert next(stream) == 0
    assert third.wait(5)  # made without being asked for
    stream.close()  # type: ignore[attr-defined]
    assert len(made) <= 4
    assert all(name.startswith("prefetch") for _, name in made)


def test_an_error_comes_at_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the disk is gone")

    stream = ahead(items(), 2)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)


def test_ending_early_leaves_no_thread() -> None:
    stream = ahead(iter(range(100)), 2)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
