r"""The rows of a table in a dump: CSV as MySQL and its clients write it, ``mysql --batch``, or JSON Lines.

CSV may have quotes doubled or escaped with a backslash, and commas, semicolons or tabs between its cells: the
beginning of the file decides. UTF-16 and GB18030 are read too; other bytes that are no UTF-8 become visible escapes.
NULL is ``\N``, ``NULL`` or an empty cell. The first line names the columns. A row that a
quote leaves open, or that has more or fewer cells than there are columns, is refused. A file that ends within the last
cell of its last row looks whole, unless that cell is quoted.
"""

import contextlib
import csv
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from execution_history.errors import ImportFailed, Message, message_of, quoted
from execution_history.records.charset import BYTE_ORDER_MARK, ESCAPES, UTF_8, decode_text
from execution_history.records.json_text import read_json
from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.foreign_texts import in_utf_8
from execution_history.transfer.line_reader import LineReader, import_faults, open_file

_SAMPLE: Final = 256 * 1024
_SAMPLE_LINES: Final = 100
_QUOTED_JSON: Final = re.compile(rb'[\t\n]"[{\[]""')
_SQL: Final = re.compile(rb"^(CREATE|INSERT|DROP|LOCK|SET)\s|^-- MySQL dump|^/\*!", re.MULTILINE)
_BACKSLASH_QUOTE: Final = re.compile(r'\\"[^",;\t\r\n]')
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_BYTE: Final = re.compile(rb"\\.", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_NOT_ESCAPED: Final = re.compile(r'(?<!\\)(?:\\\\)*\\["/u]')
_PIECE: Final = re.compile(r"(?:[^\\]|\\.?){1,65536}+", re.DOTALL)
_MEMORY_PER_CELL: Final = 64
_MEMORY_PER_BYTE: Final = 6
"""Bytes of memory that the csv module takes for each cell, and for each byte of the longest cell."""
_MOST_CELLS: Final = 10_000
"""More columns than any table has; MySQL's have 4,096 at most."""

NULLS: Final = frozenset({"", "NULL", "\\N"})
"""The texts of an empty cell."""

Cells = tuple[int, list[str], str | None]
"""The number of the last line of a row, its cells, those that are NULL empty, and its fault.

The row of a quote that is not closed has the number of its first line: the others may be rows of their own.
"""


class _TooLarge(csv.Error):
    """A row that is too large to be read; the next one can be."""


class _RowLines:
    """The lines of one row after the other, as long as they are not too large together.

    Args:
        lines: the text.
        limits: what reading it may take.
        delimiter: the character between cells.
        is_escaped: whether a backslash escapes a quote.
    """

    def __init__(self, lines: LineReader, limits: ReadingLimits, delimiter: str, *, is_escaped: bool) -> None:
        self._lines = lines
        self._limits = limits
        self._delimiter = delimiter.encode()
        self._is_escaped = is_escaped
        self._length = self._cells = self._quotes = 0
        lines.seen = self._count

    def begin(self) -> None:
        """Begin a row with the next line that is not blank."""
        self._lines.pass_blanks()
        self._length = self._cells = self._quotes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._length += self._lines.length
        if line is None or self._length > self._limits.record + len("\r\n"):
            raise _TooLarge(self._limits.too_large)
        if _MEMORY_PER_CELL * self._cells + _MEMORY_PER_BYTE * self._length > self._limits.memory:
            raise _TooLarge(Message("Its cells would take too much memory (the setting import_memory_bytes)."))
        return line.decode("utf-8", "surrogateescape")

    def pass_over(self) -> None:
        """Step to the end of a row that is too large, as far as its quotes show it."""
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
    # csv would take the backslash away from \N; within a text MySQL writes it doubled.
    null = re.compile(rf"(?<![^{delimiter}])\\N(?=[{delimiter}\r\n]|$)")
    rows = _RowLines(lines, limits, delimiter, is_escaped=is_escaped)
    csv.field_size_limit(limits.record)
    reader = csv.reader(
        map(partial(null.sub, ""), rows) if is_escaped else rows,
        delimiter=delimiter,
        escapechar="\\" if is_escaped else None,
        strict=True,
    )
    while True:
        rows.begin()
        first = lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except _TooLarge as error:
            rows.pass_over()
            yield lines.number, [], error.args[0]
            continue
        except csv.Error as error:
            yield first, [], _fault_of_quotes(first, lines.number, error)
            continue
        if row:
            yield lines.number, ["" if cell in NULLS else cell for cell in row], None


def _fault_of_quotes(first: int, last: int, error: csv.Error) -> Message:
    """Return the sentence for a row that is not CSV; all lines that were read as a part of it are named."""
    if first == last:
        return Message("This is not CSV, or the file ends here: %(reason)s.", reason=error)
    return Message(
        "A quote in it is not closed, so the lines %(first)s to %(last)s were read as one row, and nothing of them was "
        "taken: %(reason)s.",
        first=first,
        last=last,
        reason=error,
    )


def tab_cells(lines: LineReader, sample: str, limits: ReadingLimits) -> Iterator[Cells]:
    """Yield the rows of what MySQL writes with tabs between the cells; its lines end as the first one does.

    Where nothing is escaped, *sample* has a single backslash before a quote somewhere, and the cells are taken as they
    are.
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
    """Return *text* without its escapes; in pieces, as millions of escapes at once would take much memory."""
    if "\\" not in text:
        return text
    return "".join(_ESCAPE.sub(_unescaped, piece[0]) for piece in _PIECE.finditer(text))


def _unescaped(found: "re.Match[str]") -> str:
    return _ESCAPED.get(found[1], found[1])


@dataclass(frozen=True, slots=True)
class Row:
    """A row by the names of its columns, in lower case, without those that are NULL, and its charset; or its fault."""

    number: int
    values: dict[str, Any]
    fault: str | None = None
    charset: str = UTF_8


class Dump:
    """A dump in a file.

    Args:
        path: the file.
        limits: what reading it may take.

    Attributes:
        path: the file.
        columns: the names of the columns, in lower case; in JSON Lines those of the first object.
        charset: the one of all of it; a row of a damaged one may be in another.
        total: its size in bytes.
        size: the number of bytes read.

    Raises:
        ImportFailed: it cannot be read, or is not a regular file.
    """

    def __init__(self, path: Path, limits: ReadingLimits) -> None:
        self.path = path
        self._limits = limits
        with import_faults(path):
            self._opened, self.charset = in_utf_8(partial(open_file, path))
            with self._opened() as stream:
                self.total = path.stat().st_size
                self._start = stream.read(_SAMPLE).removeprefix(BYTE_ORDER_MARK)
            self._is_json = self._start.lstrip().startswith(b"{")
            self.columns = frozenset(self._names())
        self.size = 0

    def require(self, needed: frozenset[str], table: str) -> None:
        """Raise unless this can be a dump of *table*, which has all *needed* columns.

        Raises:
            ImportFailed: it is empty, or its first line does not name them all.
        """
        names = {"path": quoted(self.path), "table": table}
        if _SQL.match(self._start):
            raise ImportFailed(
                "%(path)s is SQL, which is not read: dump %(table)s with mysql --batch, or as CSV or JSON Lines.",
                **names,
            )
        if not self._start.strip():
            raise ImportFailed("%(path)s is empty: a dump of %(table)s names the columns in its first line.", **names)
        if missing := ", ".join(sorted(needed - self.columns)):
            raise ImportFailed(
                "%(path)s is not a dump of %(table)s: its first line does not name %(missing)s.",
                missing=missing,
                **names,
            )

    def rows(self) -> Iterator[Row]:
        """Yield every row; one that cannot be read has a fault.

        Raises:
            OSError: the file cannot be read on.
        """
        if self._is_json:
            for number, found in self._objects():
                if isinstance(found, str):
                    yield Row(number, {}, found)
                    continue
                charset, row = found
                yield Row(
                    number, {key.lower(): value for key, value in row.items() if value is not None}, None, charset
                )
            return
        names = self._names()
        for number, cells, fault in islice(self._table(), 1, None):
            yield _row(number, names, cells, fault or _fault_of(cells, self._limits), self.charset)

    def _names(self) -> list[str]:
        """Return the columns named in the first line; a few broken objects may come before it."""
        if self._is_json:
            with contextlib.closing(self._objects()) as objects:
                found = (found for _, found in islice(objects, _SAMPLE_LINES) if not isinstance(found, str))
                _, first = next(found, ("", {}))
            return [key.lower() for key in first]
        with contextlib.closing(self._table()) as table:
            _, header, _ = next(table, (0, [], None))
        return [name.strip().strip("`").lower() for name in header]

    def _table(self) -> Generator[Cells]:
        """Yield the rows, from the header on."""
        sample, header = self._start.decode("utf-8", "replace"), self._start.split(b"\n", 1)[0]
        # MySQL quotes nothing, and writes a carriage return alone, which ends no line, as it is.
        is_tabs = b"\t" in header and b'"' not in header and not _QUOTED_JSON.search(self._start)
        with self._opened() as file:
            lines = LineReader(file, self._limits.record, only_line_feeds=is_tabs)
            for cells in (tab_cells if is_tabs else csv_cells)(lines, sample, self._limits):
                self.size = min(lines.size, self.total)
                yield cells
        self.size = self.total

    def _objects(self) -> Generator[tuple[int, tuple[str, dict[str, Any]] | str]]:
        """Yield the number of each line, and its charset and object or the reason why there is none."""
        with self._opened() as stream:
            lines = LineReader(stream, self._limits.record)
            for line in lines.contents():
                self.size = min(lines.size, self.total)
                yield lines.number, self._limits.too_large if line is None else self._object(line)

    def _object(self, line: bytes) -> tuple[str, dict[str, Any]] | str:
        if fault := self._limits.fault_of(line):
            return fault
        text, charset = decode_text(line, None)
        try:
            found = read_json(text)
        except ValueError as error:
            return message_of(error)
        if not isinstance(found, dict):
            return Message("This is not an object, so it is no row.")
        return self.charset if charset == UTF_8 and self.charset != ESCAPES else charset, found


def _fault_of(cells: list[str], limits: ReadingLimits) -> str | None:
    """Return the reason why not all of *cells* can be parsed, as any of them may be JSON."""
    return next(filter(None, map(limits.fault_of, cells)), None)


def _row(number: int, names: list[str], cells: list[str], fault: str | None, charset: str) -> Row:
    if fault is None and len(cells) != len(names):
        fault = Message(
            "It has %(cells)s cells where %(columns)s columns are named; perhaps the file ends here.",
            cells=len(cells),
            columns=len(names),
        )
    if fault:
        return Row(number, {}, fault)
    values = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
    try:
        "".join(values.values()).encode()
    except UnicodeEncodeError:
        return Row(number, {name: _escaped(cell) for name, cell in values.items()}, None, ESCAPES)
    return Row(number, values, None, UTF_8 if charset == ESCAPES else charset)


def _escaped(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
