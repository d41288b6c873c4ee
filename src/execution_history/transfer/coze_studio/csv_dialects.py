r"""The cells of a table in a text: CSV, with quotes doubled or escaped, and MySQL's tab-separated output.

In MySQL's output a backslash stands before what is special. ``mysql --batch`` writes a line break as ``\n``; what
``mysqldump --tab`` and ``INTO OUTFILE`` write is the break itself behind a backslash, so that the row goes on.
"""

import csv
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Final

from execution_history.errors import Message, message_of
from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.foreign_files import PIECE
from execution_history.transfer.text_lines import TextLines

_BACKSLASH_QUOTE: Final = re.compile(r'\\"[^",;\t\r\n]')
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_NOT_ESCAPED: Final = re.compile(r'(?<!\\)(?:\\\\)*\\["/u]')
_CELL: Final = re.compile(r"(?:[^\t\\]++|\\.)*+", re.DOTALL)
_OF_A_CELL: Final = 64
_OF_A_CHARACTER: Final = 6
"""So many bytes of memory the csv module takes for each cell, and for each character of the longest cell."""
_TOGETHER: Final = 4_096
_MOST_CELLS: Final = 10_000
"""No table has so many columns; MySQL's have 4,096 at most."""

NULLS: Final = frozenset({"", "NULL", "\\N"})
"""A cell that says one of these says nothing."""

Cells = tuple[int, list[str], str | None]
"""The number of the line that a row ends with, its cells, empty where they say nothing, and what is wrong with it."""


class _TooLarge(csv.Error):
    """A row that is too large to be read; the next one can be."""


class _Row:
    """The lines of one row after the other, for as long as these are not too large together.

    Args:
        lines: the text.
        limits: what reading it may take.
        delimiter: what stands between cells.
        is_escaped: whether a backslash takes its meaning from a quote.
    """

    def __init__(self, lines: TextLines, limits: ReadingLimits, delimiter: str, *, is_escaped: bool) -> None:
        self._lines = lines
        self._limits = limits
        self._delimiter = delimiter
        self._is_escaped = is_escaped
        self._length = self._cells = self._quotes = 0
        lines.seen = self._count

    def begin(self) -> None:
        """Begin a row with the next line; those that are blank are passed over."""
        self._lines.pass_blanks()
        self._length = self._cells = self._quotes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._length += self._lines.length
        if line is None or self._length > self._limits.record + len("\r\n"):
            raise _TooLarge(
                Message(
                    "It has more than %(record)s characters (the setting record_limit_bytes).",
                    record=self._limits.record,
                )
            )
        if _OF_A_CELL * self._cells + _OF_A_CHARACTER * self._length > self._limits.memory:
            raise _TooLarge(Message("Its cells would take too much memory (the setting import_memory_bytes)."))
        return line

    def pass_over(self) -> None:
        """Step to the end of a row that is too large, as far as its quotes tell that."""
        while self._quotes % 2 and next(self._lines, "") != "":
            pass

    def _count(self, part: str) -> None:
        plain = _ESCAPE.sub("", part) if self._is_escaped else part
        self._quotes += plain.count('"')
        self._cells += part.count(self._delimiter)


def csv_cells(lines: TextLines, sample: str, limits: ReadingLimits) -> Iterator[Cells]:
    """Yield the rows of CSV; *sample* is its beginning, which shows how it is written."""
    header = sample.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    is_escaped = bool(_BACKSLASH_QUOTE.search(sample))
    # Reading would take the backslash away from \N; within a text MySQL writes it doubled.
    null = re.compile(rf"(?<![^{delimiter}])\\N(?=[{delimiter}\r\n]|$)")
    rows = _Row(lines, limits, delimiter, is_escaped=is_escaped)
    csv.field_size_limit(limits.record)
    reader = csv.reader(
        map(partial(null.sub, ""), rows) if is_escaped else rows,
        delimiter=delimiter,
        escapechar="\\" if is_escaped else None,
        strict=True,
    )
    while True:
        rows.begin()
        try:
            row = next(reader)
        except StopIteration:
            return
        except _TooLarge as error:
            rows.pass_over()
            yield lines.number, [], message_of(error)
            continue
        except csv.Error as error:
            yield lines.number, [], Message("This is not CSV, or the file ends here: %(reason)s.", reason=error)
            continue
        if row:
            yield lines.number, ["" if cell in NULLS else cell for cell in row], None


def tab_cells(lines: TextLines, sample: str, limits: ReadingLimits) -> Iterator[Cells]:
    """Yield the rows of what MySQL writes with tabs between the cells; its lines end as the first one does.

    Where nothing is escaped, *sample* has a single backslash before a quote somewhere, and the cells are taken as they
    stand.
    """
    end = "\r\n" if sample.split("\n", 1)[0].endswith("\r") else "\n"
    is_escaped = not _NOT_ESCAPED.search(sample)
    row = _Parts()
    while True:
        if not row.length:
            lines.pass_blanks()
        line = next(lines, "")
        if line == "":
            break
        row.add(line or "", lines.length, limits.record + len(end))
        if line is not None and _goes_on(line, end, is_escaped=is_escaped):
            continue
        if line is None or row.length > limits.record + len(end):
            yield (
                lines.number,
                [],
                Message(
                    "It has more than %(record)s characters (the setting record_limit_bytes).", record=limits.record
                ),
            )
        else:
            cells = list(islice(_split(row.text().removesuffix(end), is_escaped=is_escaped), _MOST_CELLS + 1))
            fault = (
                Message("It has more than %(most_cells)s cells.", most_cells=_MOST_CELLS)
                if len(cells) > _MOST_CELLS
                else None
            )
            yield lines.number, [] if fault else cells, fault
        row = _Parts()
    if row.length:
        yield lines.number, [], Message("The file ends here, in the middle of a row.")


class _Parts:
    """A text that is put together from any number of lines, of any length."""

    def __init__(self) -> None:
        self.length = 0
        self._lines: list[str] = []
        self._joined: list[str] = []

    def add(self, line: str, length: int, most: int) -> None:
        """Add a *line* of this *length*, unless there are more than *most* characters then."""
        self.length += length
        if self.length <= most:
            self._lines.append(line)
            if len(self._lines) == _TOGETHER:  # each alone would take more than its few characters
                self._joined.append("".join(self._lines))
                self._lines.clear()

    def text(self) -> str:
        """All of it."""
        return "".join((*self._joined, *self._lines))


def _goes_on(line: str, end: str, *, is_escaped: bool) -> bool:
    """Whether the break behind a line is part of a cell."""
    if not line.endswith(end):
        return line.endswith("\n") or (is_escaped and _is_open(line))
    return is_escaped and _is_open(line.removesuffix(end))


def _is_open(text: str) -> bool:
    """Whether a backslash at its end escapes what comes next."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _split(row: str, *, is_escaped: bool) -> Iterator[str]:
    """Yield the cells of a row, one after the other: a row of tabs alone would be millions."""
    at = 0
    while at <= len(row):
        found = _CELL.match(row, at) if is_escaped else None
        end = row.find("\t", at) if found is None else found.end()
        end = len(row) if end < 0 else end
        text = row[at:end]
        if text in NULLS:
            yield ""
        else:
            yield _plain(text) if is_escaped else text
        at = end + 1


def _plain(text: str) -> str:
    """*text* without what escapes; in pieces, as millions of escapes would be remembered at once."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        end = at + PIECE
        end += _is_open(text[at:end])
        parts.append(_ESCAPE.sub(_unescaped, text[at:end]))
        at = end
    return "".join(parts)


def _unescaped(found: "re.Match[str]") -> str:
    return _ESCAPED.get(found[1], found[1])
