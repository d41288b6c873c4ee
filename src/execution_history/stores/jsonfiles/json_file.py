"""One JSON file, open for editing: finds records in it and applies the pure edits with single writes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from execution_history.records.json_text import HUGE
from execution_history.stores.jsonfiles import edits, locate_record
from execution_history.stores.jsonfiles.disk_sync import write_all
from execution_history.stores.jsonfiles.file_format import (
    CLOSING,
    FOOTER,
    HEADER_LIMIT,
    OPENING,
    SEPARATOR,
    create_time_at,
    parse_header,
    record_key,
    render,
    render_record,
    stamp,
)
from execution_history.stores.jsonfiles.head_buffer import Front
from execution_history.stores.mirror_port import FileChange, FileState

GAP_EVERY: Final = 512 * 1024
GAP: Final = 32 * 1024
"""A gap of this many bytes is left every ``GAP_EVERY`` bytes, so that old records find room nearby."""

SMALL: Final = 8 * 1024 * 1024
"""A file up to this size is made anew at once when it has no room; a larger one in the background."""

_NEAR: Final = 64 * 1024
_WINDOW: Final = 4 * 1024 * 1024
_MOST_PLACES: Final = 1024
_OPEN_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class NotOurs(Exception):  # noqa: N818 - a finding, not a failure
    """The file is not a JSON file of ours, or somebody has touched it."""


class JSONFile:
    """A file whose header has been read; every change of it goes through here.

    Args:
        path: the file.
        is_edited: whether it is opened for writing too.

    Raises:
        NotOurs: it does not begin like a JSON file.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, is_edited: bool = True) -> None:
        self.path, self._name = path, str(path)
        self.deepest_edit = 0
        self._front: Front | None = None
        self._is_complete = True
        self._has_all = False
        self._places: dict[str, tuple[int, int]] = {}
        self._fd = os.open(path, _OPEN_FLAGS | (os.O_RDWR if is_edited else os.O_RDONLY))
        try:
            self._read_header()
        except BaseException:
            os.close(self._fd)
            raise

    def _read_header(self) -> None:
        status = os.fstat(self._fd)
        self._inode, self.size = status.st_ino, status.st_size
        parsed = parse_header(os.pread(self._fd, HEADER_LIMIT, 0))
        if parsed is None or not parsed[1] <= parsed[0].newest_at <= self.size:
            raise NotOurs(str(self.path))
        self.header, self.body_start = parsed

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)
        self._fd = -1  # whoever still holds this object must not read another file

    def move(self, path: Path) -> None:
        """Put the file in the place of *path*, whatever is there."""
        self.path.replace(path)
        self.path, self._name = path, str(path)

    def is_untouched(self, state: FileState) -> bool:
        """Return whether it is still the file under its name and carries the time we gave it in this state."""
        try:
            status = os.stat(self._name)  # noqa: PTH116 - once for every edit, and a Path object costs as much as the call
        except FileNotFoundError:
            return False
        return status.st_ino == self._inode and status.st_mtime_ns == stamp(state, complete=self._is_complete)

    @property
    def slack(self) -> int:
        """The bytes left for new records."""
        return self.header.newest_at - self.body_start

    def apply(self, changes: Sequence[FileChange], *, is_complete: bool = False) -> list[FileChange]:
        """Make the edits for *changes*; those that found no room, in order.

        A new record without room keeps all that follow it waiting: of one millisecond the later stands first.

        Args:
            changes: what the file has to show.
            is_complete: whether the file is known to have every record that is not new.

        Raises:
            NotOurs: it does not have one, or one of its times cannot be: something in it was changed unseen.
            OSError: it cannot be read or written.
        """
        self._has_all = is_complete
        if is_complete and self._front is None and (self._newest_time() or 0) > self.header.state.updated_at:
            raise NotOurs(f"{self.path} has a record that began after the last change of all")
        blocked: list[FileChange] = []
        is_full = False
        number = 0
        while number < len(changes):
            together = 0 if is_full else self._apply_together(changes, number)
            if together:
                number += together
                continue
            change = changes[number]
            number += 1
            if is_full or not self._apply_one(change):
                blocked.append(change)
                is_full = is_full or change.new
        return blocked

    def finish(self, state: FileState, *, is_complete: bool = True) -> None:
        """Write the header after the edits it speaks of, then the time that proves them complete.

        Unless *is_complete*, some changes wait for room: this process goes on, others see that the file is behind.
        """
        self.header.state = state
        self._is_complete = is_complete
        if is_complete:
            write_all(self._fd, self.header.encode(), 0)
        os.utime(self._fd, ns=(stamp(state, complete=is_complete),) * 2)

    def put_before(self, front: bytes) -> bool:
        """Write the newest records, already laid out, before those that are there; whether there was room."""
        if len(front) > self.slack:
            return False
        self._front = None
        self._write(edits.Edit(self.header.newest_at - len(front), front, 0))
        return True

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes from offset *begin* to *end*, fewer where the file ends before."""
        return os.pread(self._fd, max(0, end - begin), begin)

    def _apply_together(self, changes: Sequence[FileChange], begin: int) -> int:
        """Make as many changes from *begin* on as concern the newest records in one write; how many they were."""
        front = self._front
        first = changes[begin]
        if front is None or not front.holds(first.execute_id):
            if not first.new:
                return 0
            front = self._front = front or self._read_front()
        done = begin
        while done < len(changes) and self._draft(front, changes[done]):
            done += 1
        if done == begin:
            return 0
        edit = front.edit(self.size, self.header.newest_at, self.body_start)
        if edit is None:
            self._front = None  # it holds what could not be written
            return 0
        self._write(edit)
        if front.is_long:
            for forgotten in front.forget_oldest():
                self._remember(*forgotten)
        return done - begin

    def _draft(self, front: Front, change: FileChange) -> bool:
        if change.body is None:
            return False
        text = lines_of(change)
        if not change.new:
            return front.replace(change.execute_id, change.create_time, text)
        return not self._gap_before(front.length, len(text) + len(SEPARATOR)) and front.put(
            change.execute_id, change.create_time, text
        )

    def _read_front(self) -> Front:
        return Front(self.size - self.header.newest_at, self._newest_time())

    def _remember(self, execute_id: str, behind: int, length: int) -> None:
        """Where a record stands, counted from the end of the file, where newer records do not move it."""
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        self._places[execute_id] = (behind, length)

    def _apply_one(self, change: FileChange) -> bool:
        self._front = None
        text = b"" if change.body is None else lines_of(change)
        if text and not change.new and self._replace_remembered(change.execute_id, text):
            return True
        if not change.new:
            span, window, base = None, b"", 0
            newest = self._newest_time()
            if newest is None or change.create_time <= newest:  # otherwise no record of that time is here
                span, window, base = locate_record.find(self, change.execute_id, change.create_time)
            if span is None and self._has_all:
                raise NotOurs(f"{self.path} lacks a record that it should have")
            if span is not None and text:
                return self._replace(span, window, base, text)
            if span is not None:
                self._write(edits.removal(*locate_record.with_head(self, window, base, span), span))
        if not text:
            return True
        newest = self._newest_time()
        if newest is None or change.create_time >= newest:
            return self._put_first(change.execute_id, text)
        return self._put_among(change.create_time, text)

    def _write(self, edit: edits.Edit) -> None:
        write_all(self._fd, edit.data, edit.offset)
        self.deepest_edit = max(self.deepest_edit, edit.offset + len(edit.data))
        if edit.offset <= self.header.newest_at:
            end = edit.offset + edit.free
            self.header.newest_at = end if edit.free < len(edit.data) else self._text_after(end)

    def _text_after(self, at: int) -> int:
        """Where the line begins that follows the spaces at *at*: a record's, or that of the closing bracket."""
        while True:
            piece = self.read(at, at + _NEAR)
            text = piece.lstrip(b" ")
            at += len(piece) - len(text)
            if text or not piece:
                return at - (len(OPENING) - 1 if text.startswith(b"{") else len(FOOTER) - len(FOOTER.lstrip()))

    def _replace(self, span: edits.Span, window: bytes, base: int, text: bytes) -> bool:
        edit = edits.splice(window, base, span, text)
        missing = len(text) - (span.end - span.start)
        reach = _NEAR
        while edit is None and base > self.body_start and reach < _WINDOW:
            reach *= 4
            base = max(self.body_start, span.start - reach, min(self.header.newest_at - missing, span.start - _NEAR))
            base = max(base, span.start - _WINDOW)
            window = self.read(base, span.end)
            edit = edits.splice(window, base, span, text)
        if edit is None:
            return False
        self._write(edit)
        return True

    def _replace_remembered(self, execute_id: str, text: bytes) -> bool:
        """Replace a record that we have put here ourselves, where it is still at that place; whether it was."""
        from_end, length = self._places.pop(execute_id, (0, 0))
        start = self.size - from_end - length
        if not length or start < self.header.newest_at:
            return False
        old = self.read(start, start + length)
        if not (old.startswith(record_key(execute_id)) and old.endswith(CLOSING)):
            return False
        if start == self.header.newest_at and length <= len(text) <= length + self.slack:
            self._write(edits.Edit(start + length - len(text), text, 0))
            return True
        base = max(self.body_start, start - _NEAR // 8)
        span = edits.Span(start, start + length)
        return self._replace(span, self.read(base, span.end), base, text)

    def _put_first(self, execute_id: str, text: bytes) -> bool:
        anchor = self.header.newest_at
        empty = edits.ends_here(self.read(anchor, anchor + len(FOOTER)), 0)
        block = text + (b"\n" if empty else SEPARATOR)
        gap = self._gap_before(self.size - anchor, len(block))
        if anchor - gap - len(block) < self.body_start:
            gap = 0
        at = anchor - gap - len(block)
        if at < self.body_start:
            return False
        self._write(edits.Edit(at, block, 0))
        self._remember(execute_id, self.size - at - len(text), len(text))
        return True

    @staticmethod
    def _gap_before(behind: int, length: int) -> int:
        """Return a gap where the new record crosses the next multiple of ``GAP_EVERY``, counted from the file's end."""
        return GAP if (behind + length) // GAP_EVERY > behind // GAP_EVERY else 0

    def _put_among(self, create_time: int, text: bytes) -> bool:
        """Insert a record that is not the newest, before the first one that is not newer than it."""
        at = locate_record.first_not_newer(self, create_time)
        base = max(self.body_start, at - _NEAR)
        if at < self.size - len(FOOTER):
            return self._replace(edits.Span(at, at), self.read(base, at), base, text + SEPARATOR)
        base = locate_record.last_start(self)
        window = self.read(base, self.size)
        end = window.rindex(b"\n    }") + len(b"\n    }")
        span = edits.Span(base, base + end)
        return self._replace(span, window, base, window[:end] + SEPARATOR + text)

    def _newest_time(self) -> int | None:
        """Return the ``create_time`` of the newest record; ``None`` when there is none."""
        anchor = self.header.newest_at
        start = self.read(anchor, anchor + HEADER_LIMIT)
        return None if edits.ends_here(start, 0) else create_time_at(start, 0)


def lines_of(change: FileChange) -> bytes:
    """Return the lines of a record in the file; its document has often been parsed, or will be by the caller."""
    if change.document is not None and len(change.document.body) <= HUGE:
        return render_record(change.document.plain())
    return b"" if change.body is None else render(change.body)
