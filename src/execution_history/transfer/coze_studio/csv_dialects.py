r"""The cells of a table in a text: CSV, with quotes doubled or escaped, and the output of ``mysql --batch``.

In MySQL's output cells are separated by tabs, and a backslash stands before what is special, as in ``\\n``.
"""

import csv
import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from execution_history.errors import Message
from execution_history.records.reading_limits import ReadingLimits
from execution_history.transfer.line_reader import LineReader

_BACKSLASH_QUOTE: Final = re.compile(r'\\"[^",;\t\r\n]')
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_BYTE: Final = re.compile(rb"\\.", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_NOT_ESCAPED: Final = re.compile(r'(?<!\\)(?:\\\\)*\\["/u]')
_PIECE: Final = re.compile(r"(?:[^\\]|\\.?){1,65536}+", re.DOTALL)
_OF_A_CELL: Final = 64
_OF_A_BYTE: Final = 6
"""So many bytes of memory the csv module takes for each cell, and for each byte of the longest cell."""
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

    def __init__(self, lines: LineReader, limits: ReadingLimits, delimiter: str, *, is_escaped: bool) -> None:
        self._lines = lines
        self._limits = limits
        self._delimiter = delimiter.encode()
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
            raise _TooLarge(self._limits.too_large)
        if _OF_A_CELL * self._cells + _OF_A_BYTE * self._length > self._limits.memory:
            raise _TooLarge(Message("Its cells would take too much memory (the setting import_memory_bytes)."))
        return line.decode("utf-8", "surrogateescape")

    def pass_over(self) -> None:
        """Step to the end of a row that is too large, as far as its quotes tell that."""
        while self._quotes % 2 and next(self._lines, b"") != b"":
            pass

    def _count(self, part: bytes) -> None:
        plain = _ESCAPED_BYTE.sub(b"", part) if self._is_escaped else part
        self._quotes += plain.count(b'"')
        self._cells += part.count(self._delimiter)


def csv_cells(lines: LineReader, sample: str, limits: ReadingLimits) -> Iterator[Cells]:
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
            yield lines.number, [], error.args[0]
            continue
        except csv.Error as error:
            yield lines.number, [], Message("This is not CSV, or the file ends here: %(reason)s.", reason=error)
            continue
        if row:
            yield lines.number, ["" if cell in NULLS else cell for cell in row], None


def tab_cells(lines: LineReader, sample: str, limits: ReadingLimits) -> Iterator[Cells]:
    """Yield the rows of what MySQL writes with tabs between the cells; its lines end as the first one does.

    Where nothing is escaped, *sample* has a single backslash before a quote somewhere, and the cells are taken as they
    stand.
    """
    end = b"\r\n" if sample.split("\n", 1)[0].endswith("\r") else b"\n"
    is_escaped = not _NOT_ESCAPED.search(sample)
    lines.pass_blanks()
    for line in lines:
        if line is None:
            yield lines.number, [], limits.too_large
        elif line.count(b"\t") >= _MOST_CELLS:
            yield lines.number, [], Message("It has more than %(most_cells)s cells.", most_cells=_MOST_CELLS)
        else:
            cells = line.removesuffix(end).decode("utf-8", "surrogateescape").split("\t")
            plain = map(_plain, cells) if is_escaped else cells
            yield lines.number, ["" if cell in NULLS else text for cell, text in zip(cells, plain, strict=True)], None
        lines.pass_blanks()


def _plain(text: str) -> str:
    """*text* without what escapes; in pieces, as millions of escapes would be remembered at once."""
    if "\\" not in text:
        return text
    return "".join(_ESCAPE.sub(_unescaped, piece[0]) for piece in _PIECE.finditer(text))


def _unescaped(found: "re.Match[str]") -> str:
    return _ESCAPED.get(found[1], found[1])
