"""What records can be imported from, read record by record: JSON Lines, JSON files and databases of ours."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Final

from execution_history.errors import Message, StoreError, message_of
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document
from execution_history.stores import DATABASE, FoundFile, stored_elsewhere, workflow_id_of
from execution_history.stores.foreign_files import Readable
from execution_history.transfer.items import Item, Refused, record_of, record_of_line, record_of_text
from execution_history.transfer.line_reader import LineReader

LINES_SUFFIXES: Final = (".jsonl", ".ndjson", ".jsonlines")

THE_FILE: Final = Message("the file")
_LOST: Final = Message("It is damaged in the database, and no JSON file beside it has it.")

Opened = Callable[[], AbstractContextManager[Readable]]
"""Opens what is read, anew each time."""


class Source(ABC):
    """Something that holds records.

    Attributes:
        name: what it is called in reports.
        total: its size in bytes, ``None`` when nobody knows.
        size: how many bytes of it have been read.
        written: when it was written (milliseconds), ``None`` when nobody knows. Records that do not say their times get
            this one: the time of the import would make a newer version of them each time.
    """

    def __init__(self, name: str, total: int | None) -> None:
        self.name = name
        self.total = total
        self.size = 0
        self.written: int | None = None

    def read(self, clock: Callable[[], int]) -> Iterator[Item]:
        """Yield the records and what is no record, in the source's order; *clock* is for sources without a time."""
        written = self.written
        try:
            yield from self.items(clock if written is None else lambda: written)
        except OSError as error:
            yield self.item(THE_FILE, Message("It cannot be read on: %(reason)s.", reason=error.strerror or error))

    @abstractmethod
    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """Yield the records and what is no record, in the order of the source; never raises for what is in it.

        Raises:
            OSError: it cannot be read.
        """

    def item(self, place: str, found: Document | str) -> Item:
        """Return a record that was found, or, with the reason why there is none, something that is not taken."""
        return Refused(self.name, place, found) if isinstance(found, str) else found


class LinesSource(Source):
    """JSON Lines, from the stream that is *opened*."""

    def __init__(self, name: str, total: int | None, opened: Opened, limits: ReadingLimits) -> None:
        super().__init__(name, total)
        self._opened = opened
        self._limits = limits

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """One record a line; the last one may be cut off."""
        with self._opened() as stream:
            lines = LineReader(stream, self._limits.record)
            for line in lines.contents():
                self.size = lines.size
                place = Message("line %(number)s", number=lines.number)
                found = self._limits.too_large if line is None else record_of_line(line, clock(), self._limits)
                if isinstance(found, str) and line is not None and not lines.is_ended:
                    found = Message("The file ends here, perhaps in the middle of a record. %(found)s", found=found)
                yield self.item(place, found)
            self.size = lines.size


class HistoryFileSource(Source):
    """A JSON file as deployments and stores write it, whole or damaged, from the stream that is *opened*."""

    def __init__(self, name: str, total: int | None, opened: Opened, limits: ReadingLimits) -> None:
        super().__init__(name, total)
        self._found = FoundFile(opened, limits)

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """Every record that can still be read, then what was wrong with the file."""
        found = self._found
        by_name = workflow_id_of(PurePosixPath(self.name).name)
        read = 0
        for number, record in enumerate(found.records(), 1):
            item: Document | str
            if isinstance(record, str):
                item = record
            else:
                read += 1
                item = record_of(record, found.workflow_id or record.get("workflow_id") or by_name, clock())
            yield self.item(Message("record %(number)s", number=number), item)
        self.size = self.total or 0
        if not found.is_history:
            yield self.item(THE_FILE, Message("It is JSON or another text without runs in it."))
        elif found.is_damaged:
            yield self.item(THE_FILE, Message("It is damaged; %(read)s records could still be read.", read=read))


class DatabaseSource(Source):
    """The database of a store, which is not changed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / DATABASE), None)
        self._folder = folder

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """Its records in the order in which they came, without damaged ones; the end where it is damaged as a whole."""
        number = 0
        try:
            for batch in stored_elsewhere(self._folder):
                for key in batch.damaged:
                    place = Message(
                        "run %(run)s of workflow %(workflow)s", run=key.execute_id, workflow=key.workflow_id
                    )
                    yield self.item(place, _LOST)
                for body in batch.documents:
                    number += 1
                    self.size += len(body)
                    yield self.item(Message("record %(number)s", number=number), record_of_text(body, clock()))
        except StoreError as error:
            yield self.item(Message("behind record %(number)s", number=number), message_of(error))
