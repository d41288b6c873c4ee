"""A reader of JSON files that somebody else wrote, edited or broke: it finds every record that can still be read.

A file is stepped through from bracket to bracket, and each record is parsed on its own, so that neither its size nor
its layout matters. From the first record that cannot be parsed on, everything that begins like a record is tried:
damage takes time in proportion to its bytes, and the records after it are found.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from execution_history.errors import InvalidIdentifier
from execution_history.records.adoption import note_charset
from execution_history.records.charset import BYTE_ORDER_MARK, ESCAPES, UTF_8
from execution_history.records.identifiers import check_identifier
from execution_history.records.json_text import read_json
from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.foreign_files import pieces_of
from execution_history.stores.foreign_texts import Opened, in_utf_8
from execution_history.stores.jsonfiles.bracket_reader import OPENING, BracketReader
from execution_history.stores.jsonfiles.file_format import HEADER_LIMIT, parse_header
from execution_history.stores.jsonfiles.salvage import Salvage

_MARKS: Final = (b'"histories"', b'"execute_id"')
_OBJECT: Final = ord("{")
_OBJECT_END: Final = ord("}")
_LIST: Final = ord("[")
_LIST_END: Final = ord("]")
_NAME_LIMIT: Final = 256
_PARSED_DEPTH: Final = 900

Found = dict[str, Any] | str
"""An object that may be a record, or the reason why one is not read."""


class _BrokenOff(Exception):  # noqa: N818 - a signal within this module
    """From this offset on the file cannot be stepped through."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class FoundFile:
    """The content of a file; complete once ``records`` has been exhausted.

    Attributes:
        workflow_id: the workflow named in the file.
        revision: the store's revision in its header, 0 for a file of another program.
        is_history: false for JSON that is something else altogether, which is left alone.
        is_damaged: whether something in it could not be read.
        parsed: the number of characters parsed, some of them more than once.

    Args:
        opened: opens the file, perhaps several times.
        limits: what reading it may take.
    """

    def __init__(self, opened: Opened, limits: ReadingLimits | None = None) -> None:
        self.workflow_id: str | None = None
        self.revision = 0
        self.is_history = False
        self.is_damaged = False
        self.parsed = 0
        self._opened = opened
        self._limits = limits or ReadingLimits()
        self._has_list = False
        self._charset = UTF_8

    def records(self) -> Iterator[Found]:
        """Yield every record that can be read, in the file's order, and for the others why they cannot.

        One of a file that is not UTF-8 (:func:`~execution_history.stores.foreign_texts.in_utf_8`) names the charset.

        Raises:
            OSError: the file cannot be read.
        """
        self._opened, self._charset = in_utf_8(self._opened)
        for found in self._records():
            if self._charset not in {UTF_8, ESCAPES} and isinstance(found, dict):
                note_charset(found, self._charset)
            yield found

    def _records(self) -> Iterator[Found]:
        # A file of another program, such as a configuration with comments, is not a damaged history.
        if not self._is_marked():
            return
        try:
            with self._opened() as stream:
                yield from self._step_through(BracketReader(pieces_of(stream), self._limits.record))
        except _BrokenOff as broken:
            self.is_damaged = self.is_history = True
            # Nothing before the list was taken.
            yield from self._salvage(broken.offset if self._has_list else 0)

    def _is_marked(self) -> bool:
        """Return whether the file has a key of a history; keep the revision of its header."""
        with self._opened() as stream:
            known = b""
            for number, piece in enumerate(pieces_of(stream)):
                header = None if number else parse_header(piece[:HEADER_LIMIT])
                if header is not None:
                    self.revision = header[0].state.revision
                known += piece
                if any(mark in known for mark in _MARKS):
                    return True
                known = known[-len(_MARKS[1]) :]
        return False

    def _step_through(self, reader: BracketReader) -> Iterator[Found]:
        first = reader.step()
        before = reader.take(leave=1 if first else 0)
        if before is None or before.removeprefix(BYTE_ORDER_MARK).strip() or first not in OPENING:
            raise _BrokenOff(0)
        reader.take()
        yield from self._frame(reader) if first == _OBJECT else self._bare_list(reader)
        end = reader.offset
        if reader.step() or reader.take():
            raise _BrokenOff(end)

    def _frame(self, reader: BracketReader, *, is_read: bool = True) -> Iterator[Found]:
        """Yield the records in the object around their list; without *is_read* only find the workflow's id."""
        frame = _Frame(self._limits)
        behind = 0
        while (bracket := reader.step()) != _OBJECT_END:
            frame.add(reader.take(leave=1))
            if bracket not in OPENING or not bracket:
                raise _BrokenOff(behind)
            if is_read and frame.is_at_records():
                self._has_list = self.is_history = True
                self.workflow_id = identifier_of(frame.workflow_id() or self._stated_behind())
                yield from self._entry(reader, reader.offset - 1) if bracket == _OBJECT else self._entries(reader)
                frame.add(b"[]")
                behind = reader.offset
            elif reader.close():
                frame.add(reader.take())
            else:
                raise _BrokenOff(behind)
        frame.add(reader.take())
        found = frame.content()
        if found is not None:
            self.workflow_id = identifier_of(found.get("workflow_id") or self.workflow_id)
        else:
            raise _BrokenOff(behind)

    def _stated_behind(self) -> str | None:
        """Return the workflow that the file names after its records: it is needed before they are read."""
        found = FoundFile(self._opened, self._limits)
        try:
            with self._opened() as stream:
                reader = BracketReader(pieces_of(stream), self._limits.record)
                reader.step()
                reader.take()
                for _ in found._frame(reader, is_read=False):
                    pass
        except _BrokenOff:
            return None
        return found.workflow_id

    def _bare_list(self, reader: BracketReader) -> Iterator[Found]:
        """Yield the records of a list on its own, which is a history if one of its objects has the id of a run."""
        without_id = 0
        for entry in self._entries(reader):
            if not (self._has_list or isinstance(entry, str) or "execute_id" in entry):
                without_id += 1
                continue
            if not self._has_list:
                self._has_list = self.is_history = True
                yield from ({} for _ in range(without_id))
            yield entry
        self.is_damaged = self.is_damaged and self.is_history

    def _entries(self, reader: BracketReader) -> Iterator[Found]:
        """Yield the records of the list whose bracket was found last."""
        reader.take()
        is_first = True
        while True:
            begin = reader.offset
            bracket = reader.step()
            between = reader.take(leave=1 if bracket else 0)
            self._look_between(between, begin, is_first=is_first, is_last=bracket == _LIST_END)
            is_first = False
            if bracket == _OBJECT:
                yield from self._entry(reader, begin)
            elif bracket == _LIST and reader.close() and _MARKS[1] not in (reader.take() or _MARKS[1]):
                self.is_damaged = True
            elif bracket == _LIST_END:
                reader.take()
                return
            else:
                raise _BrokenOff(begin)

    def _look_between(self, text: bytes | None, begin: int, *, is_first: bool, is_last: bool) -> None:
        """Check that only a comma, or other values that are no records, are between two records."""
        if text is not None and text.rstrip() == (b"" if is_first or is_last else b","):
            return
        values = _parsed(
            b'{"":[%b%b%b]}' % (b"" if is_first else b"0", text or b"x", b"" if is_last else b"0"), self._limits
        )
        if values is None:
            raise _BrokenOff(begin)
        others = sum(value is not None for value in values[""]) - (not is_first) - (not is_last)
        self.is_damaged = self.is_damaged or others > 0

    def _entry(self, reader: BracketReader, begin: int) -> Iterator[Found]:
        """Yield the object whose bracket was found last."""
        depth = reader.close()
        text = reader.take()
        if not depth:
            raise _BrokenOff(begin)
        if text is None:
            yield self._limits.too_large
            return
        self.parsed += len(text)
        try:
            yield self._read(text)
        except ValueError as error:
            if depth <= _PARSED_DEPTH:
                raise _BrokenOff(begin) from None
            yield str(error)

    def _read(self, text: bytes) -> Any:  # noqa: ANN401
        """Return the object that *text* holds; bytes that are no UTF-8 are escaped, and the file is damaged.

        Raises:
            ValueError: it is no JSON even so.
        """
        try:
            return read_json(text)
        except ValueError:
            if self._charset != ESCAPES:
                raise
        found = read_json(text.decode(errors="backslashreplace"))
        note_charset(found, ESCAPES)
        self.is_damaged = True
        return found

    def _salvage(self, offset: int) -> Iterator[Found]:
        """Yield what can still be read of a damaged file from *offset* on."""
        with self._opened() as stream:
            salvage = Salvage(_from(offset, pieces_of(stream)), self._limits)
            for found in salvage.objects():
                if salvage.workflow_id is not None:
                    self.workflow_id = identifier_of(salvage.workflow_id)
                yield found
            self.parsed += salvage.parsed


class _Frame:
    """The text around the records of a file."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self._text: bytearray | None = bytearray(b"{")

    def add(self, text: bytes | None) -> None:
        """Add some text; drop all of it once it is too large."""
        if self._text is None:
            return
        text = None if text is None else text.rstrip()
        if text is None or len(self._text) + len(text) > self._limits.record:
            self._text = None
        else:
            self._text += text

    def is_at_records(self) -> bool:
        """Return whether the text ends in the name of the list of records."""
        end = b"" if self._text is None else bytes(self._text[-_NAME_LIMIT:]).rstrip()
        return end.endswith(b":") and end[:-1].rstrip().endswith(_MARKS[0])

    def workflow_id(self) -> object:
        """Return the workflow that is named so far."""
        found = _parsed(b"" if self._text is None else bytes(self._text) + b"[]}", self._limits)
        return None if found is None else found.get("workflow_id")

    def content(self) -> dict[str, Any] | None:
        """Return the parsed text; ``None`` if it is no JSON object."""
        return None if self._text is None else _parsed(bytes(self._text), self._limits)


def identifier_of(stated: object) -> str | None:
    """Return *stated* if it is a possible id of a workflow."""
    with contextlib.suppress(InvalidIdentifier):
        return check_identifier("workflow id", stated) if isinstance(stated, str) else None
    return None


def _parsed(text: bytes, limits: ReadingLimits) -> dict[str, Any] | None:
    try:
        found = None if limits.fault_of(text) else read_json(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _from(offset: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *pieces* without their first *offset* bytes."""
    for piece in pieces:
        yield piece[offset:]
        offset = max(0, offset - len(piece))
