"""The rows of a table in a dump: CSV as MySQL and its clients write it, their tab-separated output, or JSON Lines.

CSV may have quotes doubled or escaped with a backslash, and commas, semicolons or tabs between its cells; which, the
beginning of the file tells. NULL is ``\\N``, ``NULL`` or an empty cell. The first line names the columns.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

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


@dataclass(frozen=True, slots=True)
class Row:
    """A row by the names of its columns, in lower case, those that are NULL ``None`` or left out; or its fault."""

    number: int
    values: dict[str, Any]
    fault: str | None = None


class Dump:
    """A dump in a file.

    Args:
        path: the file.
        needed: columns without which it is not the table that is meant.

    Raises:
        ImportFailed: the file cannot be read, or its first line does not name all *needed* columns.
    """

    def __init__(self, path: Path, needed: frozenset[str]) -> None:
        self.path = path
        self.size = 0
        self._needed = needed
        try:
            self.total = path.stat().st_size
            with path.open("rb") as stream:
                self._start = stream.read(_SAMPLE).removeprefix(b"\xef\xbb\xbf")
        except OSError as error:
            raise ImportFailed(f"{str(path)!r} cannot be imported: {error.strerror or error}.") from error
        self._is_json = self._start.lstrip().startswith(b"{")
        rows = islice(self.rows(), _LOOKED_AT)  # the header of CSV is checked on the way to the first
        first = next((row for row in rows if row.fault is None), None)
        if self._is_json and (first is None or not needed <= first.values.keys()):
            raise self._other_table(first.values if first is not None else ())

    def rows(self) -> Iterator[Row]:
        """Every row; what cannot be read is given with its fault.

        Raises:
            OSError: the file cannot be read on.
        """
        if self._is_json:
            yield from self._json_rows()
            return
        with (
            self.path.open("rb") as file,
            io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as stream,
        ):
            cells = self._batch_cells(stream) if self._is_batch_output() else self._csv_cells(stream)
            _, header, _ = next(cells, (0, [], None))
            names = [name.strip().strip("`").lower() for name in header]
            if not self._needed <= set(names):
                raise self._other_table(names)
            for number, row, fault in cells:
                self.size = file.tell()
                yield _row(number, names, row, fault)
            self.size = self.total

    def _other_table(self, names: Iterable[str]) -> ImportFailed:
        missing = ", ".join(sorted(self._needed - set(names)))
        return ImportFailed(
            f"{str(self.path)!r} is not the table that is meant: its first line does not name the columns {missing}."
        )

    def _is_batch_output(self) -> bool:
        """Whether this is what ``mysql --batch`` prints: tabs, and no quotes around anything."""
        header = self._start.split(b"\n", 1)[0]
        return b"\t" in header and b'"' not in header

    def _csv_cells(self, stream: TextIO) -> Iterator[tuple[int, list[str], str | None]]:
        sample = self._start.decode("utf-8", "replace")
        header = sample.split("\n", 1)[0]
        delimiter = max(",;\t", key=header.count)
        escape = "\\" if _BACKSLASH_QUOTE.search(sample) else None
        csv.field_size_limit(LONGEST_LINE)
        reader = csv.reader(stream, delimiter=delimiter, escapechar=escape, doublequote=True)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, [], f"This is not CSV: {error}."
                continue
            if row:
                # What was \N comes out of the escaped form without its backslash.
                yield reader.line_num, ["" if escape and cell == "N" else cell for cell in row], None

    @staticmethod
    def _batch_cells(stream: TextIO) -> Iterator[tuple[int, list[str], str | None]]:
        for number, line in enumerate(stream, 1):
            cells = line.rstrip("\r\n").split("\t")
            yield number, [c if c in _NULLS else _ESCAPE.sub(_unescaped, c) for c in cells], None

    def _json_rows(self) -> Iterator[Row]:
        with self.path.open("rb") as stream:
            lines = LineReader(stream)
            for line in lines:
                self.size = lines.size
                if line.content is None:
                    yield Row(line.number, {}, f"It has more than {LONGEST_LINE} bytes.")
                    continue
                try:
                    found = decode(line.content)
                except ValueError as error:
                    yield Row(line.number, {}, str(error))
                    continue
                if isinstance(found, dict):
                    yield Row(line.number, {key.lower(): value for key, value in found.items()})
                else:
                    yield Row(line.number, {}, "This is not an object, so it is no row.")


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
