"""Records as JSON Lines, as the deployments' JSON, and as CSV. Pure: batches of stored bytes in, bytes out."""

import csv
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import orjson

from execution_history.records.attributes import attributes_of
from execution_history.records.charset import BYTE_ORDER_MARK
from execution_history.records.encoding import as_text, indent
from execution_history.transfer.columns import Column
from execution_history.transfer.excel import as_literal, fitted

# Spreadsheets skip white space, control characters and invisible ones (Unicode's Default_Ignorable_Code_Point) before
# the signs that begin a formula, which have wide, small and typographic forms too.
_FORMULA: Final = re.compile(
    r"[\t\r\n]|[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]*[=+\-@＝＋－＠﹦﹢﹣﹫−]"
)


class Buffer(io.RawIOBase):
    """A stream in memory that cannot seek; what has been written is taken away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._written = 0

    def take(self) -> bytes:
        """Return what has been written since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken

    def write(self, data: Any) -> int:  # noqa: ANN401 - anything that has bytes in it
        """Keep all of *data*."""
        piece = bytes(data)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return the number of bytes written in all."""
        return self._written

    def writable(self) -> bool:
        """Return ``True``: a buffer can be written to."""
        return True


class RecordWriter(ABC):
    """Renders records as bytes, batch by batch."""

    @abstractmethod
    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return the bytes of some more records."""

    def finish(self) -> bytes:
        """Return what follows the last record, nothing by default."""
        return b""


class LinesWriter(RecordWriter):
    """JSON Lines: one record a line, byte for byte as it is stored."""

    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return a line for each record."""
        return b"\n".join((*documents, b""))


class HistoryWriter(RecordWriter):
    """The JSON file of one workflow as deployments know it: ``workflow_id``, ``histories``, ``total``, ``updated_at``.

    ``total`` and ``updated_at`` are known only at the end and stand there, so that a file of any size is written in one
    pass. Records are laid out as in the files of a store, so that reading them back takes the memory of one record.
    """

    def __init__(self, workflow_id: str) -> None:
        self._before = b'{\n  "workflow_id": ' + orjson.dumps(workflow_id) + b',\n  "histories": [\n'
        self._total = self._updated_at = 0

    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return the text of some records, which come newest first."""
        pieces: list[bytes] = []
        for body in documents:
            pieces += (self._before, b"    ", indent(body).replace(b"\n", b"\n    "))
            self._before = b",\n"
            self._updated_at = max(self._updated_at, orjson.loads(body)["update_time"])
        self._total += len(documents)
        return b"".join(pieces)

    def finish(self) -> bytes:
        """Return the end of the list, the number of records and the time of the newest change."""
        end = b'%b  ],\n  "total": %d,\n  "updated_at": %d\n}\n'
        return end % (b"\n" if self._total else self._before, self._total, self._updated_at)


class CSVWriter(RecordWriter):
    """CSV as in RFC 4180: a header, commas, quotes where they are needed, CR LF.

    Texts are written as they are, null as an empty cell, everything else as JSON.

    Args:
        columns: the columns, in order.
        defuse: put an apostrophe before a text that a spreadsheet would run as a formula: one that begins with
            ``= + - @``, in any of their widths and also behind white space and invisible characters, with a tab, a
            carriage return or a line feed. Numbers are left alone. Switch it off for tables that a program reads,
            since it changes such texts.
        excel: begin with a byte order mark, without which Excel does not read UTF-8, and write what Excel would
            convert or cut as :mod:`execution_history.transfer.excel` says.
    """

    def __init__(self, columns: Sequence[Column], *, defuse: bool = True, excel: bool = False) -> None:
        self._columns = columns
        self._defuse = defuse
        self._excel = excel
        self._needs_attributes = any(column.needs_attributes for column in columns)
        self._header = (BYTE_ORDER_MARK if excel else b"") + self._rows([[column.name for column in columns]])

    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return a row for each record, after the header in the first call."""
        rows: list[list[object]] = []
        for body in documents:
            record = orjson.loads(body)
            attributes = attributes_of(record) if self._needs_attributes else None
            rows.append([column.value(record, attributes) for column in self._columns])
        header, self._header = self._header, b""
        return header + self._rows(rows)

    def finish(self) -> bytes:
        """Return the header of a table without rows."""
        return self.write(())

    def _rows(self, rows: list[list[object]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([[self._cell(value) for value in row] for row in rows])
        return text.getvalue().encode()

    def _cell(self, value: object) -> str:
        text = as_text(value)
        if self._excel and (literal := as_literal(value, text)):
            return literal
        cell = f"'{text}" if self._defuse and isinstance(value, str) and _FORMULA.match(text) else text
        return fitted(cell) if self._excel else cell
