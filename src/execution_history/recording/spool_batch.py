"""One batch of the spool while it is being written into the store, line by line."""

import logging
import sys
from array import array
from collections.abc import Container, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from execution_history.errors import quoted
from execution_history.recording.pending_writes import Key, Step
from execution_history.recording.spool import DAMAGED, lock, open_regular, state_of, write_whole
from execution_history.recording.step_lines import BadLineError, key_in, step_in

_log = logging.getLogger("execution_history.recording")
_WAITS, _DONE, _UNREADABLE = range(3)
_LINES_AT_ONCE: Final = 100
_BYTES_AT_ONCE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """The line *number* of a batch; without a step when it cannot be read."""

    number: int
    key: Key
    step: Step | None


class Batch:
    """One file of the spool. Its methods block, but for the properties.

    ``records`` has a number for each line: the hash of the record's key, which takes a tenth of the room of its ids.

    Args:
        path: the file.
        records: whose steps are in it, as far as that is known before it is scanned.
    """

    def __init__(self, path: Path, records: Iterable[int] = ()) -> None:
        self.path = path
        self.records: array[int] = array("q", records)
        self.is_foreign = False
        self._states = bytearray(len(self.records))
        self._places = array("Q")
        self._scanned: tuple[int, ...] | None = None
        self._file: IO[bytes] | None = None

    @classmethod
    def scanned(cls, path: Path, location: str) -> "Batch":
        """Return the batch in a file, with whose steps it has; ``is_foreign`` when they are for another store.

        Raises:
            OSError: the file cannot be read.
        """
        batch, place, ours, others = cls(path), 0, 0, 0
        with open_regular(path) as file:
            batch._scanned = state_of(file.fileno())
            for line in file:
                record, state = 0, _UNREADABLE
                with suppress(BadLineError):
                    store, key = key_in(line)
                    if store == location:
                        record, state, ours = hash(key), _WAITS, ours + 1
                    else:
                        others += 1
                if not line.isspace():
                    batch.records.append(record)
                    batch._states.append(state)
                    batch._places.append(place)
                place += len(line)
        batch.is_foreign = others > 0 and ours == 0
        return batch

    @property
    def is_scanned(self) -> bool:
        """Whether it is known what the file holds."""
        return self._scanned is not None

    @property
    def is_done(self) -> bool:
        """Whether no step is left."""
        return self.is_scanned and _WAITS not in self._states

    @property
    def left(self) -> list[int]:
        """The record of each step that is not done."""
        return [record for record, state in zip(self.records, self._states, strict=True) if state == _WAITS]

    def claim(self) -> bool:
        """Open the file for this process alone, until it is released; false when another process has it.

        Raises:
            FileNotFoundError: another process has taken it away, or has left less in it.
            OSError: it cannot be opened.
        """
        if self._file is not None:
            return True
        with ExitStack() as stack:
            file = stack.enter_context(open_regular(self.path))
            if not lock(file.fileno()):
                return False
            if not state_of(file.fileno()) == state_of(self.path) == self._scanned:
                raise FileNotFoundError(f"{quoted(self.path)} has changed")
            self._file = file
            stack.pop_all()
        return True

    def release(self) -> None:
        """Let others have the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, begin: int, skipped: Container[int]) -> list[Line]:
        """Return the next steps that are not done, from the line *begin* on, without those of *skipped* records.

        Raises:
            OSError: the file cannot be read.
        """
        found: list[Line] = []
        room = _BYTES_AT_ONCE
        for number in range(begin, len(self._states)):
            if len(found) == _LINES_AT_ONCE or room <= 0:
                break
            if self._states[number] != _WAITS or self.records[number] in skipped:
                continue
            line = self._line(number)
            room -= len(line)
            try:
                _, key = key_in(line)
                found.append(Line(number, key, step_in(line)))
            except BadLineError:
                found.append(Line(number, ("", ""), None))
        return found

    def settle(self, line: Line) -> int:
        """Note that a line need not be read any more; its record."""
        self._states[line.number] = _UNREADABLE if line.step is None else _DONE
        return self.records[line.number]

    def finish(self) -> None:
        """Take away the file, all of whose steps are done; it is kept under another name when a line was unreadable.

        Raises:
            OSError: it cannot be taken away.
        """
        if sys.platform == "win32":
            self.release()  # an open file stays there
        unreadable = self._states.count(_UNREADABLE)
        if unreadable:
            kept = self.path.with_suffix(DAMAGED)
            with suppress(FileNotFoundError):
                self.path.replace(kept)
                _log.error("%d of %d lines of %s cannot be read; it is kept as %s.",
                           unreadable, len(self._states), self.path, kept.name)  # fmt: skip
        self.path.unlink(missing_ok=True)  # also where both names were one file before: then replacing does nothing

    def shorten(self) -> bool:
        """Leave in the file only what is not done: the next program does not begin again. Whether that changed it.

        Raises:
            OSError: it could not be written anew, and is as it was.
        """
        if _DONE not in self._states or not self.claim():
            return False
        try:
            left = (number for number, state in enumerate(self._states) if state != _DONE)
            write_whole(self.path, (self._line(number) for number in left))
        finally:
            self.release()
        return True

    def _line(self, number: int) -> bytes:
        if self._file is None:
            raise ValueError(f"{quoted(self.path)} is not open any more")
        self._file.seek(self._places[number])
        return self._file.readline()
