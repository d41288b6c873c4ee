"""One JSON file, open for editing: each change of it is one write, after which it parses."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles import edits
from execution_history.stores.jsonfiles.disk_sync import write_all, write_between
from execution_history.stores.jsonfiles.edits import Front
from execution_history.stores.jsonfiles.file_format import (
    CLOSING,
    FIRST_LINES,
    FOOTER,
    OPENING,
    RUNNING,
    SEPARATOR,
    record_key,
    render,
    stamp,
)
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.jsonfiles.json_file_reader import JSONFileReader, NotOurs
from execution_history.stores.mirror_port import FileChange, FileState

_FEW: Final = 3
"""So many changes in one commit are made one by one."""


class JSONFile(JSONFileReader):
    """A file that is edited; every change of it goes through here.

    Args:
        path: the file.
        sizes: see :class:`FileSizes`.

    Attributes:
        added: how many records were added since it was opened, less those that were removed.
        deepest_edit: the end of the last byte that was edited.

    Raises:
        NotOurs: it does not begin like a JSON file.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, sizes: FileSizes = SIZES) -> None:
        super().__init__(path, sizes, os.O_RDWR)
        self.deepest_edit = 0
        self.added = 0
        self._front: Front | None = None
        self._has_all = False

    def move(self, path: Path) -> None:
        """Put the file in the place of *path*, whatever is there."""
        self.path.replace(path)
        self.path, self._name = path, str(path)

    @property
    def slack(self) -> int:
        """The bytes left for new records."""
        return self.header.newest_at - self.body_start

    def apply(self, changes: Sequence[FileChange], *, is_complete: bool = False) -> list[FileChange]:
        """Make the edits for *changes*, and return those that found no room, in order.

        A new record without room keeps all that follow it waiting: of one millisecond the later stands first.

        Args:
            changes: what the file has to show.
            is_complete: whether the file is known to have every record that is not new.

        Raises:
            NotOurs: it does not have one, or one of its times cannot be: something in it was changed unseen.
            OSError: it cannot be read or written.
        """
        self._has_all = is_complete
        if is_complete and self._front is None and (self.newest_time() or 0) > self.header.state.updated_at:
            raise NotOurs(f"{self.path} has a record that began after the last change of all")
        blocked: list[FileChange] = []
        if len(changes) > _FEW and (far := self._far(changes)):
            blocked += self._replace_far(far, self.header.newest_at, self.size - len(FOOTER))
            done = {change.execute_id for change in far}
            changes = [change for change in changes if change.execute_id not in done]
        is_full = False
        number = 0
        while number < len(changes):
            together = 0 if is_full else self._apply_together(changes, number)
            applied = together or (not is_full and self._apply_one(changes[number]))
            made = changes[number : number + max(1, together)]
            number += len(made)
            if not applied:
                blocked += made
                is_full = is_full or made[0].new
            elif blocked:
                # What a record became later must not be undone by what found no room before.
                later = {change.execute_id for change in made}
                blocked = [change for change in blocked if change.execute_id not in later]
        return blocked

    def finish(self, state: FileState, *, is_complete: bool = True) -> None:
        """Write the header after the edits it speaks of, then the time that proves them complete.

        Unless *is_complete*, some changes wait for room: this process goes on, others see that the file is behind.
        """
        self.header.state = state
        self._is_complete = is_complete
        self._stamp = stamp(state, complete=is_complete)
        if is_complete:
            write_all(self._fd, self.header.encode(), 0)
        os.utime(self._fd, ns=(self._stamp, self._stamp))

    def put_before(self, front: bytes) -> bool:
        """Write the newest records, already laid out, before those that are there; return whether there was room."""
        if len(front) > self.slack:
            return False
        self._front = None
        self._write(edits.Edit(self.header.newest_at - len(front), front, 0))
        return True

    def _apply_together(self, changes: Sequence[FileChange], begin: int) -> int:
        """Make as many changes from *begin* on as concern the newest records in one write; return how many."""
        front, done = self._front, begin
        if front is None:
            if not changes[begin].new:
                return 0
            front = self._front = Front(self.size - self.header.newest_at, self.newest_time())
        while done < len(changes) and self._draft(front, changes[done]):
            done += 1
        if done == begin:
            return 0
        edit = front.edit(self.size, self.header.newest_at, self.body_start)
        if edit is None:
            self._front = None  # it holds what could not be written
            return 0
        self.added += sum(change.new for change in changes[begin:done])
        self._write(edit)
        front.forget_oldest()
        return done - begin

    def _draft(self, front: Front, change: FileChange) -> bool:
        execute_id, create_time, body, is_new = change
        if body is None or not (is_new or execute_id in front):
            return False
        text = render(body)
        if not is_new:
            return front.replace(execute_id, create_time, text)
        return not self._gap_before(front.length, len(text) + len(SEPARATOR)) and front.put(
            execute_id, create_time, text
        )

    def _apply_one(self, change: FileChange) -> bool:
        self._front = None
        text = b"" if change.body is None else render(change.body)
        if not change.new:
            newest, span = self.newest_time(), None
            if newest is None or change.create_time <= newest:  # otherwise no record of that time is here
                span = self.locate(change.execute_id, change.create_time)
            if span is None and self._has_all:
                raise NotOurs(f"{self.path} lacks a record that it should have")
            if span is not None and text:
                return self._replace(edits.Replacement(span, text))
            if span is not None:
                self._remove(span)
        if not text:
            return True
        newest = self.newest_time()
        is_first = newest is None or change.create_time >= newest
        is_put = self._put_first(text) if is_first else self._put_among(change.create_time, text)
        self.added += is_put
        return is_put

    def _write(self, edit: edits.Edit) -> None:
        text, end = edit.offset + edit.free, edit.end
        write_between(self._fd, edit.offset, edit.free, edit.data, edit.spare)
        self.deepest_edit = max(self.deepest_edit, end)
        self.blanks.cut(edit.offset, end)
        self.insides.cut(edit.offset, end)
        if edit.offset <= self.header.newest_at:
            self.header.newest_at = text if edit.data else self._text_after(text)
        elif edit.free:
            self.blanks.add(edit.offset, text)

    def _text_after(self, at: int) -> int:
        """Where the line begins that follows the spaces at *at*: a record's, or that of the closing bracket."""
        reach = self.sizes.near
        while True:
            at = self.blanks.past(at)
            piece = self.read(at, at + reach)
            text = piece.lstrip(b" ")
            at += len(piece) - len(text)
            if text or not piece:
                return at - (len(OPENING) - 1 if text.startswith(b"{") else len(FOOTER) - len(FOOTER.lstrip()))
            reach = self.sizes.window

    def _text_before(self, at: int) -> int:
        """Where the text ends that stands before the spaces that end at *at*."""
        reach = FIRST_LINES
        while (at := self.blanks.before(at)) > self.body_start:
            start = max(self.body_start, at - reach)
            text = self.read(start, at).rstrip(b" ")
            if text:
                return start + len(text)
            self.blanks.add(start, at)
            reach = self.sizes.reach
        return self.body_start

    def _far(self, changes: Sequence[FileChange]) -> list[FileChange]:
        """Return the last changes of those records that are not new, and not remembered; newest first."""
        others = {change.execute_id for change in changes if change.new}
        front = self._front
        far = {
            change.execute_id: change
            for change in changes
            if change.execute_id not in others and (front is None or change.execute_id not in front)
        }
        return sorted(far.values(), key=lambda change: (-change.create_time, change.execute_id))

    def _replace_far(self, changes: Sequence[FileChange], low: int, high: int) -> list[FileChange]:
        """Change or remove records that stand between two offsets, neighbours in one write; return those without room.

        Args:
            changes: what is to be changed, newest first.
            low: the beginning of a record.
            high: an offset behind all of them.

        Raises:
            NotOurs: one of them is not there, or a record has no time.
            OSError: the file cannot be read or written.
        """
        newest, oldest = changes[0].create_time, changes[-1].create_time
        low = self.first_not_newer(newest, low, high)
        high = self.first_not_newer(oldest - 1, low, high)
        if high - low <= min(len(changes) * self.sizes.reach, self.sizes.window):
            return self._replace_neighbours(changes, low, high)
        if newest == oldest:
            return [change for change in changes if not self._apply_one(change)]
        time = min(changes[len(changes) // 2].create_time, newest - 1)
        newer = [change for change in changes if change.create_time > time]
        older = changes[len(newer) :]
        middle = self.first_not_newer(time, low, high)
        # The oldest first: what moves for them are the newer ones, and these get room by it.
        blocked = self._replace_far(older, middle, high)
        return [*blocked, *self._replace_far(newer, self.header.newest_at, middle)]

    def _replace_neighbours(self, changes: Sequence[FileChange], low: int, high: int) -> list[FileChange]:
        """Change or remove records that stand between two offsets in one write; return those without room."""
        self._front = None
        window, at = self.read(low, high), 0
        replaced, others = [], []
        for change in changes:
            key = record_key(change.execute_id)
            start = window.find(key, at)
            if start < 0:  # those of one millisecond stand in any order
                start = window.find(key)
            end = -1 if start < 0 else window.find(CLOSING, start)
            if end < 0:
                others.append(change)
                continue
            at = end + len(CLOSING)
            if change.body is not None:
                replaced.append(edits.Replacement(edits.Span(low + start, low + at), render(change.body)))
            elif window.startswith(SEPARATOR, at):
                replaced.append(edits.Replacement(edits.Span(low + start, low + at + len(SEPARATOR)), b""))
            else:  # with the last record the file ends earlier
                others.append(change)
        if replaced and not self._replace(*edits.paid_by_older(sorted(replaced), window, low)):
            return list(changes)
        self.added -= sum(not each.text for each in replaced)
        return [change for change in others if not self._apply_one(change)]

    def _replace(self, *changed: edits.Replacement) -> bool:
        """Put texts where their spans are, in the order of the file; whether there was room to the left for them.

        Where it is so far to the left that much has to move, room moves with it, for the running records among it: each
        of them would have as much moved when it ends.
        """
        begin, end = changed[0].span.start, changed[-1].span.start
        reach, is_far = self.sizes.reach, False
        while True:
            base = max(self.body_start, begin - reach)
            window = self.read(base, end)
            gap, spare = self._room(window, changed, has_slack=base == self.body_start) if is_far else (0, 0)
            edit = edits.splice(window, base, changed, gap=gap, spare=spare)
            if edit is not None or base == self.body_start or reach >= self.sizes.window:
                break
            reach, is_far = min(8 * reach, self.sizes.window), True
        if edit is None and (gap or spare):
            edit = edits.splice(window, base, changed)
        if edit is not None:
            self._write(edit)
        return edit is not None

    def _room(self, window: bytes, changed: Sequence[edits.Replacement], *, has_slack: bool) -> tuple[int, int]:
        """Return the gap to leave before what changes, and that before each running record that moves."""
        grown = sum(len(text) - (span.end - span.start) for span, text in changed)
        most = max(0, min(self.slack - grown, len(window)) if has_slack else len(window))
        spare = max(0, min(grown // len(changed), most // 2 // (1 + window.count(RUNNING))))
        return most * self.sizes.gap // self.sizes.gap_every, spare

    def _remove(self, span: edits.Span) -> None:
        """Blank a record together with the separator behind it; with the last record the file ends earlier."""
        start, end = span
        self.added -= 1
        if self.read(end, end + len(SEPARATOR)) == SEPARATOR:
            length = end + len(SEPARATOR) - start
            self._write(edits.Edit(start, b"", length))
            return
        closing = FOOTER
        if start > self.header.newest_at:
            start, closing = self._text_before(start) - len(SEPARATOR), b"\n" + FOOTER
        # The spaces after it make this one write after which the file parses.
        self._write(edits.Edit(start, closing, 0, self.size - start - len(closing)))
        self.size = start + len(closing)
        os.truncate(self._fd, self.size)

    def _put_first(self, text: bytes) -> bool:
        anchor = self.header.newest_at
        block = text + (b"\n" if self.read(anchor, anchor + len(FOOTER)) == FOOTER else SEPARATOR)
        gap = self._gap_before(self.size - anchor, len(block))
        if anchor - gap - len(block) < self.body_start:
            gap = 0
        at = anchor - gap - len(block)
        if at < self.body_start:
            return False
        self._write(edits.Edit(at, block, 0))
        return True

    def _gap_before(self, behind: int, length: int) -> int:
        """Return a gap where the new record crosses the place of the next one, counted from the file's end."""
        every = self.sizes.gap_every
        return self.sizes.gap if (behind + length) // every > behind // every else 0

    def _put_among(self, create_time: int, text: bytes) -> bool:
        """Insert a record that is not the newest, before the first one that is not newer than it."""
        at = self.first_not_newer(create_time)
        if at < self.size - len(FOOTER):
            return self._replace(edits.Replacement(edits.Span(at, at), text + SEPARATOR))
        at = self.rfind(CLOSING, self.header.newest_at, self.size) + len(CLOSING)
        return self._replace(edits.Replacement(edits.Span(at, at), SEPARATOR + text))
