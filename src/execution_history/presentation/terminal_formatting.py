"""How things are shown in a terminal: what only it needs, and the rest from where the page has it too. Pure."""

from datetime import UTC, datetime
from typing import Final

from execution_history.presentation.formatting import (
    as_text,
    duration,
    error_text,
    gist,
    grouped,
    one_line,
    question_text,
    visible,
)

__all__ = [
    "SHAPES",
    "UNKNOWN_SHAPE",
    "as_text",
    "duration",
    "error_text",
    "gist",
    "grouped",
    "local_time",
    "one_line",
    "question_text",
    "visible",
]

SHAPES: Final = {
    "success": ("●", "green"),
    "running": ("◐", "blue"),
    "failed": ("✕", "red"),
    "interrupted": ("◇", "yellow"),
}
"""A shape and a colour for each status; its word always stands beside them."""

UNKNOWN_SHAPE: Final = ("?", "magenta")


def local_time(milliseconds: int, *, exact: bool = False) -> str:
    """Return a time in the reader's zone, to the second; *exact* adds the milliseconds and the zone."""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return str(milliseconds)
    if not exact:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    zone = f"{moment:%z}"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{milliseconds % 1000:03d} {zone[:3]}:{zone[3:]}"
