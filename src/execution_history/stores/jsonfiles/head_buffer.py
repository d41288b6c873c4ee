"""The newest records of a JSON file, remembered as they stand in it, so that all changes of a group are one write.

Pure: from what stands there and what is to be shown to the edit that makes it so.
"""

from typing import Final

from execution_history.stores.jsonfiles.edits import Edit
from execution_history.stores.jsonfiles.file_format import SEPARATOR

_MOST_RECORDS: Final = 24
_MOST_BYTES: Final = 32 * 1024


class Front:
    """The records from ``newest_at`` on, newest first, with nothing else between them.

    Of each it knows the lines, with the spaces before them that are unused and the separator behind them. Changes
    are drafted with ``put`` and ``replace``, until ``edit`` gives the write that makes them true.

    Args:
        length: the bytes from ``newest_at`` to the end of the file.
        newest: the ``create_time`` of the newest record; ``None`` when the file has none.
    """

    def __init__(self, length: int, newest: int | None) -> None:
        self.length = length
        self.newest = newest
        self._behind = length
        self._ids: list[str] = []
        self._times: list[int] = []
        self._texts: list[bytes] = []
        self._first, self._last, self._moved = 0, -1, False

    def holds(self, execute_id: str) -> bool:
        """Return whether the record is remembered."""
        return execute_id in self._ids

    def put(self, execute_id: str, create_time: int, text: bytes) -> bool:
        """Draft a new record before all others; whether it belongs there."""
        if self.newest is None:
            text += b"\n"
        elif create_time >= self.newest:
            text += SEPARATOR
        else:
            return False
        self._ids.insert(0, execute_id)
        self._times.insert(0, create_time)
        self._texts.insert(0, text)
        self.newest = create_time
        self.length += len(text)
        self._moved = True
        self._last += 1
        return True

    def replace(self, execute_id: str, create_time: int, text: bytes) -> bool:
        """Draft another text for a record; whether it is remembered here with that time."""
        if execute_id not in self._ids:
            return False
        number = self._ids.index(execute_id)
        if self._times[number] != create_time:
            return False
        old = self._texts[number]
        text += SEPARATOR if old.endswith(SEPARATOR) else b"\n"
        grown = len(text) - len(old)
        if grown < 0 and number:
            # What is shorter leaves its room before it, unless it is the newest: then it becomes slack.
            text, grown = b" " * -grown + text, 0
        self._texts[number] = text
        if grown:
            self.length += grown
            self._moved = True
        self._first = number if self._last < 0 else min(self._first, number)
        self._last = max(self._last, number)
        return True

    def edit(self, size: int, newest_at: int, body_start: int) -> Edit | None:
        """Return the one write that makes the draft true in a file of *size* bytes; ``None`` where it has no room."""
        start = size - self.length
        if start < body_start:
            return None
        if self._moved:
            data, free = b"".join(self._texts[: self._last + 1]), 0
            if start > newest_at:
                free = start - newest_at
                start, data = newest_at, b" " * free + data
        else:
            data, free = b"".join(self._texts[self._first : self._last + 1]), 0
            start += sum(map(len, self._texts[: self._first]))
        self._first, self._last, self._moved = 0, -1, False
        return Edit(start, data, free)

    def forget_oldest(self) -> None:
        """Remember no more than is useful."""
        while len(self._ids) > _MOST_RECORDS or self.length - self._behind > _MOST_BYTES:
            self._ids.pop()
            self._times.pop()
            self._behind += len(self._texts.pop())
