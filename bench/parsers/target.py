"""A parser that takes what anybody sends, and what holds of it whatever that is."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_MOST_PIECES: Final = 400


@dataclass(frozen=True, slots=True)
class Target:
    """One parser.

    Attributes:
        name: the parser.
        check: takes any bytes, and raises whatever should not happen: an error that the parser does not document, or an
            ``AssertionError`` where two readings of the same bytes differ.
        seeds: what the parser reads, whole and usual; others are made of these.
        words: what its texts are made of.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield *data* in pieces whose length depends on its first byte; some are empty."""
    length = max(1 + (data[0] % 13 if data else 0), len(data) // _MOST_PIECES)
    for begin in range(0, len(data), length):
        yield data[begin : begin + length]
        yield b""


def text_of(data: bytes) -> str:
    """Return *data* as a text, which may have lone surrogates as command lines do."""
    return data.decode("utf-8", "surrogateescape")


def split(data: bytes, mark: bytes = b"\n") -> tuple[bytes, bytes]:
    """Return what stands before and behind the first *mark*."""
    first, _, rest = data.partition(mark)
    return first, rest


def checked(target: Target) -> Callable[[bytes], None]:
    """Return the check of *target*, which also fails where something was swallowed: a log has its traceback then."""
    swallowed = _Swallowed()
    logging.getLogger("execution_history").addHandler(swallowed)
    logging.getLogger("execution_history").propagate = False

    def check(data: bytes) -> None:
        swallowed.errors.clear()
        target.check(data)
        for error in swallowed.errors:
            raise AssertionError("A traceback was logged.") from error

    return check


class _Swallowed(logging.Handler):
    """Keeps the errors that are logged with their traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error of *record*."""
        if record.exc_info and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])
