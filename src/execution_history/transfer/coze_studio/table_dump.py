r"""The rows of a table in a dump: CSV as MySQL and its clients write it, their tab-separated output, or JSON Lines.

CSV may have quotes doubled or escaped with a backslash, and commas, semicolons or tabs between its cells; which, the
beginning of the file tells. NULL is ``\N``, ``NULL`` or an empty cell. The first line names the columns, or a file of
SQL beside it does, as ``mysqldump --tab`` writes one. A row that a quote leaves open, or that has more or fewer cells
than there are columns, is refused. A file that ends within the last cell of its last row cannot be told from a whole
one, unless that cell is quoted.
"""

import contextlib
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from execution_history.errors import ImportFailed, Message, message_of, quoted
from execution_history.records.encoding import decode
from execution_history.records.reading_limits import ReadingLimits
from execution_history.transfer.coze_studio.csv_dialects import Cells, csv_cells, tab_cells
from execution_history.transfer.line_reader import LineReader, open_file
from execution_history.transfer.text_lines import TextLines

_SAMPLE: Final = 256 * 1024
_LOOKED_AT: Final = 100
_COLUMN: Final = re.compile(r"^\s*`(\w+)`\s", re.MULTILINE)
_FIRST_CELL_OF_ROW: Final = re.compile(rb'"?\d+"?[\t,;]')
_QUOTED_JSON: Final = re.compile(rb'[\t\n]"[{\[]""')
_SQL: Final = re.compile(rb"^(CREATE|INSERT|DROP|LOCK|SET)\s|^-- MySQL dump|^/\*!", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """A row by the names of its columns, in lower case, without those that are NULL; or why it cannot be read."""

    number: int
    values: dict[str, Any]
    fault: str | None = None


class Dump:
    """A dump in a file.

    Args:
        path: the file.
        limits: what reading it may take.

    Attributes:
        path: the file.
        columns: their names, in lower case; of JSON Lines those of the first object.
        total: its size in bytes.
        size: how many bytes of it have been read.

    Raises:
        ImportFailed: it cannot be read, or is no file.
    """

    def __init__(self, path: Path, limits: ReadingLimits) -> None:
        self.path = path
        self.size = 0
        self._limits = limits
        try:
            with open_file(path) as stream:
                self.total = path.stat().st_size
                self._start = stream.read(_SAMPLE).removeprefix(b"\xef\xbb\xbf")
            self._beside = path.with_suffix(".sql")
            self._is_headless = bool(_FIRST_CELL_OF_ROW.match(self._start))
            self._named_beside = _named_in(self._beside) if self._is_headless else []
            self._is_json = self._start.lstrip().startswith(b"{")
            self.columns = frozenset(self._first_object() if self._is_json else self._header())
        except OSError as error:
            raise ImportFailed(
                "%(path)s cannot be imported: %(reason)s.", path=quoted(path), reason=error.strerror or error
            ) from error

    def require(self, needed: frozenset[str], table: str) -> None:
        """See that this can be a dump of *table*, which has all *needed* columns.

        Raises:
            ImportFailed: it is empty, or its first line does not name them all.
        """
        if _SQL.match(self._start):
            raise ImportFailed(
                "%(path)s is SQL, which is not read: dump %(table)s with mysqldump --tab, as CSV or JSON Lines.",
                path=quoted(self.path),
                table=table,
            )
        if not self._start.strip():
            raise ImportFailed(
                "%(path)s is empty: a dump of %(table)s names the columns in its first line.",
                path=quoted(self.path),
                table=table,
            )
        if missing := ", ".join(sorted(needed - self.columns)):
            reason = Message("its first line does not name %(missing)s", missing=missing)
            if self._named_beside:
                reason = Message("%(beside)s does not name %(missing)s", beside=quoted(self._beside), missing=missing)
            elif self._is_headless:
                reason = Message(
                    "its first line does not name %(missing)s, nor is there %(beside)s beside it, as mysqldump --tab "
                    "writes one",
                    missing=missing,
                    beside=quoted(self._beside.name),
                )
            raise ImportFailed(
                "%(path)s is not a dump of %(table)s: %(reason)s.", path=quoted(self.path), table=table, reason=reason
            )

    def rows(self) -> Iterator[Row]:
        """Every row; what cannot be read is given with its fault.

        Raises:
            OSError: the file cannot be read on.
        """
        return self._json_rows() if self._is_json else self._table_rows()

    def _first_object(self) -> Iterable[str]:
        """Return the names in the first line that is an object; a few that are broken may stand before it."""
        with contextlib.closing(self._objects()) as objects:
            first = next((found for _, found in islice(objects, _LOOKED_AT) if isinstance(found, dict)), {})
        return (key.lower() for key in first)

    def _header(self) -> list[str]:
        if self._named_beside:
            return self._named_beside
        with self._opened() as (_, cells):
            _, header, _ = next(cells, (0, [], None))
        return [name.strip().strip("`").lower() for name in header]

    def _table_rows(self) -> Iterator[Row]:
        names = self._header()
        with self._opened() as (lines, cells):
            if not self._named_beside:
                next(cells, None)
            for number, row, fault in cells:
                self.size = lines.size
                yield _row(number, names, row, fault or _fault_of(row, self._limits))
            self.size = self.total

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[TextLines, Iterator[Cells]]]:
        """Yield the lines and the rows in them, from the header on."""
        sample = self._start.decode("utf-8", "replace")
        is_tabs = self._is_tabs()
        with open_file(self.path) as file:
            # With tabs, a carriage return alone is written as it is, and ends no line.
            lines = TextLines(file, self._limits.record, only_line_feeds=is_tabs)
            yield lines, (tab_cells if is_tabs else csv_cells)(lines, sample, self._limits)

    def _is_tabs(self) -> bool:
        """Whether MySQL has written this with tabs, and no quotes around anything."""
        header = self._start.split(b"\n", 1)[0]
        if self._is_headless:
            return b"\t" in header and not header.startswith(b'"')
        return b"\t" in header and b'"' not in header and not _QUOTED_JSON.search(self._start)

    def _json_rows(self) -> Iterator[Row]:
        for number, found in self._objects():
            if isinstance(found, dict):
                yield Row(number, {key.lower(): value for key, value in found.items() if value is not None})
            else:
                yield Row(number, {}, found)

    def _objects(self) -> Generator[tuple[int, dict[str, Any] | str]]:
        """Yield the number of each line, and the object in it or why there is none."""
        with open_file(self.path) as stream:
            lines = LineReader(stream, self._limits.record)
            for line in lines:
                self.size = lines.size
                fault = self._limits.too_large if line.content is None else self._limits.fault_of(line.content)
                if line.content is None or fault:
                    yield line.number, fault or ""
                    continue
                try:
                    found = decode(line.content)
                except ValueError as error:
                    yield line.number, message_of(error)
                    continue
                yield (
                    line.number,
                    found if isinstance(found, dict) else Message("This is not an object, so it is no row."),
                )


def _named_in(path: Path) -> list[str]:
    """Return the columns of the table that a file of SQL makes, in their order; none where there is no such file."""
    if not path.is_file():
        return []
    with open_file(path) as stream:
        text = stream.read(_SAMPLE).decode("utf-8", "replace")
    return [name.lower() for name in _COLUMN.findall(text.partition("CREATE TABLE")[2].partition("(")[2])]


def _fault_of(cells: list[str], limits: ReadingLimits) -> str | None:
    """Why not all of *cells* can be parsed, as a sentence, as one of them may be JSON."""
    return next(filter(None, map(limits.fault_of, cells)), None)


def _row(number: int, names: list[str], cells: list[str], fault: str | None) -> Row:
    if fault is None and len(cells) != len(names):
        fault = Message(
            "It has %(cells)s cells where %(columns)s columns are named; perhaps the file ends here.",
            cells=len(cells),
            columns=len(names),
        )
    values = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
    try:
        "".join(values.values()).encode()
    except UnicodeEncodeError:
        fault = Message("It is not UTF-8.")
    return Row(number, {} if fault else values, fault)
