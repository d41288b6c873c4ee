"""The rows of a table in a dump: CSV as MySQL and its clients write it, their tab-separated output, or JSON Lines.

CSV may have quotes doubled or escaped with a backslash, and commas, semicolons or tabs between its cells; which, the
beginning of the file tells. NULL is ``\\N``, ``NULL`` or an empty cell. The first line names the columns. A row that
a quote leaves open, or that has more or fewer cells than there are columns, is refused. A file that ends within the
last cell of its last row cannot be told from a whole one, unless that cell is quoted.
"""

import contextlib
import csv
import io
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from execution_history.errors import ImportFailed
from execution_history.jsonvalue import decode
from execution_history.upkeep.items import LONGEST_LINE
from execution_history.upkeep.lines import LineReader

_SAMPLE: Final = 256 * 1024
_LOOKED_AT: Final = 100
_BACKSLASH_QUOTE: Final = re.compile(r'\\"[^",;\t\r\n]')
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_NULLS: Final = frozenset({"", "NULL", "\\N"})

_Cells = tuple[int, list[str], str | None]
"""The number of the line, its cells, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row by the names of its columns, in lower case, without those that are NULL; or why it cannot be read."""

    number: int
    values: dict[str, Any]
    fault: str | None = None


class Dump:
    """A dump in a file.

    Attributes:
        path: the file.
        columns: their names, in lower case; of JSON Lines those of the first object.
        total: its size in bytes.
        size: how many bytes of it have been read.

    Raises:
        ImportFailed: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        try:
            self.total = path.stat().st_size
            with path.open("rb") as stream:
                self._start = stream.read(_SAMPLE).removeprefix(b"\xef\xbb\xbf")
            self._is_json = self._start.lstrip().startswith(b"{")
            self.columns = frozenset(self._first_object() if self._is_json else self._header())
        except OSError as error:
            raise ImportFailed(f"{str(path)!r} cannot be imported: {error.strerror or error}.") from error

    def require(self, needed: frozenset[str], table: str) -> None:
        """See that this can be a dump of *table*, which has all *needed* columns.

        Raises:
            ImportFailed: it is empty, or its first line does not name them all.
        """
        if not self._start.strip():
            raise ImportFailed(f"{str(self.path)!r} is empty: a dump of {table} names the columns in its first line.")
        if missing := ", ".join(sorted(needed - self.columns)):
            raise ImportFailed(f"{str(self.path)!r} is not a dump of {table}: its first line does not name {missing}.")

    def rows(self) -> Iterator[Row]:
        """Every row; what cannot be read is given with its fault.

        Raises:
            OSError: the file cannot be read on.
        """
        return self._json_rows() if self._is_json else self._table_rows()

    def _first_object(self) -> Iterable[str]:
        """The names in the first line that is an object; a few that are broken may stand before it."""
        with contextlib.closing(self._objects()) as objects:
            first = next((found for _, found in islice(objects, _LOOKED_AT) if isinstance(found, dict)), {})
        return (key.lower() for key in first)

    def _header(self) -> list[str]:
        with self._opened() as (_, cells):
            _, header, _ = next(cells, (0, [], None))
        return [name.strip().strip("`").lower() for name in header]

    def _table_rows(self) -> Iterator[Row]:
        names = self._header()
        with self._opened() as (file, cells):
            next(cells, None)
            for number, row, fault in cells:
                self.size = file.tell()
                yield _row(number, names, row, fault)
            self.size = self.total

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, Iterator[_Cells]]]:
        """The file and its rows from the header on."""
        is_batch = self._is_batch_output()
        # In batch output a carriage return alone is written as it is, and ends no line.
        newline = "\n" if is_batch else ""
        with (
            self.path.open("rb") as file,
            io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=newline) as stream,
        ):
            yield file, _batch_cells(stream) if is_batch else self._csv_cells(stream)

    def _is_batch_output(self) -> bool:
        """Whether this is what ``mysql --batch`` prints: tabs, and no quotes around anything."""
        header = self._start.split(b"\n", 1)[0]
        return b"\t" in header and b'"' not in header

    def _csv_cells(self, stream: TextIO) -> Iterator[_Cells]:
        sample = self._start.decode("utf-8", "replace")
        header = sample.split("\n", 1)[0]
        delimiter = max(",;\t", key=header.count)
        is_escaped = bool(_BACKSLASH_QUOTE.search(sample))
        # Reading would take the backslash away from \N; within a text MySQL writes it doubled.
        null = re.compile(rf"(?<![^{delimiter}])\\N(?=[{delimiter}\r\n]|$)")
        lines = (null.sub("", line) for line in stream) if is_escaped else stream
        csv.field_size_limit(LONGEST_LINE)
        reader = csv.reader(lines, delimiter=delimiter, escapechar="\\" if is_escaped else None, strict=True)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, [], f"This is not CSV, or the file ends here: {error}."
                continue
            if row:
                yield reader.line_num, row, None

    def _json_rows(self) -> Iterator[Row]:
        for number, found in self._objects():
            if isinstance(found, dict):
                yield Row(number, {key.lower(): value for key, value in found.items() if value is not None})
            else:
                yield Row(number, {}, found)

    def _objects(self) -> Generator[tuple[int, dict[str, Any] | str]]:
        """The number of each line, and the object in it or why there is none."""
        with self.path.open("rb") as stream:
            lines = LineReader(stream)
            for line in lines:
                self.size = lines.size
                if line.content is None:
                    yield line.number, f"It has more than {LONGEST_LINE} bytes."
                    continue
                try:
                    found = decode(line.content)
                except ValueError as error:
                    yield line.number, str(error)
                    continue
                yield line.number, found if isinstance(found, dict) else "This is not an object, so it is no row."


def _batch_cells(stream: TextIO) -> Iterator[_Cells]:
    end = "\n"
    for number, line in enumerate(stream, 1):
        if number == 1 and line.endswith("\r\n"):
            end = "\r\n"
        cells = line.removesuffix(end).split("\t")
        yield number, [cell if cell in _NULLS else _ESCAPE.sub(_unescaped, cell) for cell in cells], None


def _row(number: int, names: list[str], cells: list[str], fault: str | None) -> Row:
    if fault is None and len(cells) != len(names):
        fault = f"It has {len(cells)} cells where {len(names)} columns are named; perhaps the file ends here."
    values = {name: cell for name, cell in zip(names, cells, strict=False) if cell not in _NULLS}
    try:
        "".join(values.values()).encode()
    except UnicodeEncodeError:
        fault = "It is not UTF-8."
    return Row(number, {} if fault else values, fault)


def _unescaped(found: "re.Match[str]") -> str:
    return _ESCAPED.get(found[1], found[1])
