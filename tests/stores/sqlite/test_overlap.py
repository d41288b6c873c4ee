"""Portions that are written while the next ones are made."""

import threading
from collections.abc import Iterator

import pytest

from execution_history.stores.sqlite.index.overlap import overlapped


def test_a_portion_is_written_while_the_next_is_made() -> None:
    """In order, one at a time."""
    begun, written, is_made = threading.Event(), list[int](), threading.Event()

    def portions() -> Iterator[int]:
        yield 1
        assert begun.wait(60)
        assert written == []
        is_made.set()
        yield 2
        assert written[:1] == [1]
        yield 3

    def write(portion: int) -> None:
        begun.set()
        assert is_made.wait(60)
        written.append(portion)

    overlapped(portions(), write)
    assert [1, 2, 3] == written


@pytest.mark.parametrize("failing", [0, 2])
def test_what_the_writing_raises_is_raised_and_nothing_is_written_after_it(failing: int) -> None:
    """Also of the last portion."""
    written: list[int] = []

    def write(portion: int) -> None:
        if portion == failing:
            raise ZeroDivisionError
        written.append(portion)

    with pytest.raises(ZeroDivisionError):
        overlapped(iter(range(3)), write)
    assert list(range(failing)) == written


def test_an_error_of_the_making_waits_for_the_writing() -> None:
    """So that nobody writes any more when it is raised."""
    begun, is_raised, written = threading.Event(), threading.Event(), list[int]()

    def portions() -> Iterator[int]:
        yield 1
        assert begun.wait(60)
        threading.Timer(0.1, is_raised.set).start()
        raise ZeroDivisionError

    def write(portion: int) -> None:
        begun.set()
        assert is_raised.wait(60)
        written.append(portion)

    with pytest.raises(ZeroDivisionError):
        overlapped(portions(), write)
    assert [1] == written
