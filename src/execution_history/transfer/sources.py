"""Sources of an import, read record by record: JSON Lines, JSON files and databases of this package."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path, PurePosixPath
from typing import Any, Final

from execution_history.errors import Message, StoreError, message_of
from execution_history.records.adoption import (
    adopt_record,
    fault_of_status,
    fault_of_times,
    has_plain_times,
    note_charset,
    whole_record,
)
from execution_history.records.charset import UTF_8, decode_text
from execution_history.records.identifiers import check_identifier
from execution_history.records.json_text import parse, read_json
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import STATUSES, Document
from execution_history.stores import FoundFile, stored_elsewhere, workflow_id_of
from execution_history.stores.foreign_texts import Opened, from_utf_16
from execution_history.transfer.line_reader import LineReader

LINES_SUFFIXES: Final = (".jsonl", ".ndjson", ".jsonlines")

THE_FILE: Final = Message("the file")
_LOST: Final = Message("It is damaged in the database, and no JSON file beside it has it.")


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that was not taken.

    ``source`` is the file, ``place`` is in it (``line 12``, ``record 3`` or ``the file``), ``reason`` is one sentence.
    """

    source: str
    place: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return ``{"source", "place", "reason"}``."""
        return {"source": self.source, "place": self.place, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that can be taken, with its place as :class:`Refused` has it."""

    source: str
    place: str
    document: Document

    def refused(self, reason: str) -> Refused:
        """Return that the record was not taken after all."""
        return Refused(self.source, self.place, reason)


Item = Taken | Refused


def record_of_line(line: bytes, zone: tzinfo, limits: ReadingLimits, charset: str = UTF_8) -> Document | str:
    """Return the record that a line of JSON Lines holds, or the reason why there is none.

    A record in the form that this package writes keeps its bytes; any other is repaired as in the files of deployments.
    One that is not UTF-8 is read by :func:`~execution_history.records.charset.decode_text`, and says so.

    Args:
        line: without its line break.
        zone: of times without an offset.
        limits: what reading it may take.
        charset: what it was in before it came to be UTF-8.
    """
    if not line.lstrip().startswith(b"{"):
        return Message("This is no JSON object, so it is no record.")
    return limits.fault_of_record(line) or record_of_text(line, zone, charset)


def record_of_text(line: bytes, zone: tzinfo, charset: str = UTF_8) -> Document | str:
    """Return the record that a JSON object of any size holds, or why there is none; see :func:`record_of_line`."""
    document = _whole(line) if charset == UTF_8 else None
    if document is not None and has_plain_times(document) and document.status in STATUSES:
        return document
    text, found_in = decode_text(line, None)
    try:
        record = read_json(text)  # again, because the fast parser does not keep large numbers exact
    except ValueError as error:
        return message_of(error)
    if found_in != UTF_8 or charset != UTF_8:
        note_charset(record, charset if found_in == UTF_8 else found_in)
    return record_of(record, record.get("workflow_id"), zone)


def _whole(line: bytes) -> Document | None:
    with contextlib.suppress(ValueError):
        return whole_record(parse(line), line)
    return None


def record_of(found: dict[str, Any], workflow_id: object, zone: tzinfo) -> Document | str:
    """Return *found* as a record of the workflow *workflow_id*, or the reason why it is none."""
    if workflow_id is None:
        return Message("It has no workflow_id.")
    if not _is_like_an_id(workflow_id):
        return Message("Its workflow_id is neither a text nor a number.")
    if not _is_like_an_id(found.get("execute_id")):
        return Message("It has no usable execute_id.") if "execute_id" in found else Message("It has no execute_id.")
    try:
        workflow = check_identifier("workflow id", str(workflow_id))
    except ValueError as error:
        return message_of(error)
    if fault := fault_of_times(found, zone) or fault_of_status(found):
        return fault
    return adopt_record(found, workflow, 0, zone) or Message("It has no usable execute_id.")


def _is_like_an_id(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


@dataclass
class Source(ABC):
    """Something that holds records.

    Attributes:
        name: its name in reports.
        total: its size in bytes, ``None`` where it is not known.
        size: the number of bytes read so far.
    """

    name: str
    total: int | None
    size: int = field(default=0, init=False)

    def read(self, zone: tzinfo) -> Iterator[Item]:
        """Yield the records and refusals in the source's order; times without an offset are in *zone*."""
        try:
            yield from self.items(zone)
        except OSError as error:
            yield self.item(THE_FILE, Message("It cannot be read on: %(reason)s.", reason=error.strerror or error))

    @abstractmethod
    def items(self, zone: tzinfo) -> Iterator[Item]:
        """Yield the records and refusals in the source's order; never raises for its content.

        Raises:
            OSError: it cannot be read.
        """

    def item(self, place: str, found: Document | str) -> Item:
        """Return *found*: the record, or a refusal with that reason."""
        return Refused(self.name, place, found) if isinstance(found, str) else Taken(self.name, place, found)


@dataclass
class LinesSource(Source):
    """JSON Lines, from the stream that is *opened*."""

    opened: Opened
    limits: ReadingLimits

    def items(self, zone: tzinfo) -> Iterator[Item]:
        """Yield one record a line; the last one may be cut off."""
        opened, charset = from_utf_16(self.opened)
        with opened() as stream:
            lines = LineReader(stream, self.limits.record)
            for line in lines.contents():
                self.size = min(lines.size, lines.size if self.total is None else self.total)
                place = Message("line %(number)s", number=lines.number)
                found = self.limits.too_large if line is None else record_of_line(line, zone, self.limits, charset)
                is_cut = line is not None and not lines.is_ended and not line.rstrip().endswith(b"}")
                if isinstance(found, str) and is_cut:
                    found = Message("The file ends here, perhaps in the middle of a record. %(found)s", found=found)
                yield self.item(place, found)
            self.size = lines.size if self.total is None else self.total


@dataclass
class HistoryFileSource(Source):
    """A JSON file as deployments and stores write it, whole or damaged, from the stream that is *opened*."""

    opened: Opened
    limits: ReadingLimits

    def items(self, zone: tzinfo) -> Iterator[Item]:
        """Yield every record that can still be read, then the fault of the file."""
        found = FoundFile(self.opened, self.limits)
        by_name = workflow_id_of(PurePosixPath(self.name).name)
        read = 0
        for number, record in enumerate(found.records(), 1):
            item: Document | str
            if isinstance(record, str):
                item = record
            else:
                read += 1
                item = record_of(record, found.workflow_id or record.get("workflow_id") or by_name, zone)
            yield self.item(Message("record %(number)s", number=number), item)
        self.size = self.total or 0
        if not found.is_history:
            yield self.item(THE_FILE, Message("It is JSON or another text without runs in it."))
        elif found.is_damaged:
            yield self.item(THE_FILE, Message("It is damaged; %(read)s records could still be read.", read=read))


class DatabaseSource(Source):
    """The database of a store; it is only read."""

    def __init__(self, database: Path) -> None:
        super().__init__(str(database), None)
        self._database = database

    def items(self, zone: tzinfo) -> Iterator[Item]:
        """Yield its records in the order of arrival, refusing damaged ones; a database that is damaged ends there."""
        number = 0
        try:
            for batch in stored_elsewhere(self._database):
                for key in batch.damaged:
                    place = Message(
                        "run %(run)s of workflow %(workflow)s", run=key.execute_id, workflow=key.workflow_id
                    )
                    yield self.item(place, _LOST)
                for body in batch.documents:
                    number += 1
                    self.size += len(body)
                    yield self.item(
                        Message("record %(number)s", number=number), _whole(body) or record_of_text(body, zone)
                    )
        except StoreError as error:
            yield self.item(Message("after record %(number)s", number=number), message_of(error))
