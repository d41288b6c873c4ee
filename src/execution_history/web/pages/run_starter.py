"""Starts runs from pages: what was typed as their input, and the reading of them to their end."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from execution_history.errors import ExecutionHistoryError, InvalidInput
from execution_history.records.json_text import read_json

_log = logging.getLogger("execution_history.web")

Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunStarter:
    """Reads the runs that pages have started, each in a task of its own."""

    _running: set["asyncio.Task[None]"] = field(default_factory=set)

    async def started(self, frames: AsyncGenerator[Frame, None]) -> str:
        """Return the id of the run that *frames* begin; the rest of them is read meanwhile.

        Raises:
            ExecutionHistoryError: it could not begin.
        """
        first = await anext(frames)
        task = asyncio.create_task(_read(frames))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return str(first["data"]["execution_id"])


async def _read(frames: AsyncGenerator[Frame, None]) -> None:
    """Read a run to its end, so that it is recorded whole; its frames go nowhere."""
    try:
        async for _ in frames:
            pass
    except ExecutionHistoryError as error:
        _log.warning("A run that was started from the page could not be read to its end: %s", error)


def input_of(text: str) -> dict[str, Any]:
    """Return the input in *text*.

    Raises:
        InvalidInput: it is no JSON object.
    """
    try:
        found = read_json(text or "{}")
    except ValueError:
        raise InvalidInput("The input is not JSON: write an object of names and values.") from None
    return checked_input(found)


def checked_input(found: object) -> dict[str, Any]:
    """Return *found*, which has to be a JSON object.

    Raises:
        InvalidInput: it is no JSON object.
    """
    if not isinstance(found, dict):
        raise InvalidInput("The input is a JSON object of names and values.")
    return found
