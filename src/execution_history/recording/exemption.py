"""Runs that pass unrecorded because their caller wants it so: in a block, or by a header of the request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

HEADER: Final = "x-execution-history"
"""The header of a call to Coze that with the value ``off`` passes unrecorded; it is never sent on."""

_OFF: Final = "off"

_exempt: ContextVar[bool] = ContextVar("execution_history_exempt", default=False)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Leave what runs inside the block without a record: decorated functions, blocks, and calls of Coze.

    It holds for the thread or task that is in the block, and for tasks that begin in it.
    """
    before = _exempt.set(True)
    try:
        yield
    finally:
        _exempt.reset(before)


def is_exempt() -> bool:
    """Return whether this is inside such a block."""
    return _exempt.get()


def asks_to_pass(value: str | bytes | None) -> bool:
    """Return whether this *value* of the header asks for no record."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text is not None and text.strip().lower() == _OFF
