"""Records as JSON Lines, as the deployments' JSON, and as CSV. Pure: batches of stored bytes in, bytes out."""

import csv
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import orjson

from execution_history.records.attributes import attributes_of
from execution_history.records.encoding import indent
from execution_history.transfer.columns import Column, as_text

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# White space, control characters and those that draw nothing (Unicode's Default_Ignorable_Code_Point): spreadsheets
# pass over them. Behind them stand the signs that begin a formula, also as wide, small and typographic forms.
_FORMULA: Final = re.compile(
    r"[\t\r]|[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]*[=+\-@＝＋－＠﹦﹢﹣﹫−]"
)


class Buffer(io.RawIOBase):
    """A stream in memory that cannot be sought in, from which what has been written is taken away, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._written = 0

    def take(self) -> bytes:
        """Return what has been written since the last time."""
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
        """How many bytes have been written in all."""
        return self._written

    def writable(self) -> bool:
        """Return ``True``: a buffer is there to be written to."""
        return True


class RecordWriter(ABC):
    """Makes bytes of records, batch by batch."""

    @abstractmethod
    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return what stands in a file for some more records."""

    def finish(self) -> bytes:
        """Return what follows the last record, as a rule nothing."""
        return b""


class LinesWriter(RecordWriter):
    """JSON Lines: one record a line, the very bytes that are stored; nothing before the first and behind the last."""

    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return a line for each record."""
        return b"\n".join((*documents, b""))


class HistoryWriter(RecordWriter):
    """The JSON file of one workflow as deployments know it: ``workflow_id``, ``histories``, ``total``, ``updated_at``.

    The two that are known only at the end stand at the end, so that a file of any size is written in one go.
    Records are laid out as in the files of a store, so that reading them back takes no more memory than one needs.
    """

    def __init__(self, workflow_id: str) -> None:
        self._before = b'{\n  "workflow_id": ' + orjson.dumps(workflow_id) + b',\n  "histories": [\n'
        self._total = self._updated_at = 0

    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return some records, newest first."""
        pieces: list[bytes] = []
        for body in documents:
            pieces += (self._before, b"    ", indent(body).replace(b"\n", b"\n    "))
            self._before = b",\n"
            self._updated_at = max(self._updated_at, orjson.loads(body)["update_time"])
        self._total += len(documents)
        return b"".join(pieces)

    def finish(self) -> bytes:
        """Close the list and name the number of records and the newest change."""
        end = b'%b  ],\n  "total": %d,\n  "updated_at": %d\n}\n'
        return end % (b"\n" if self._total else self._before, self._total, self._updated_at)


class CSVWriter(RecordWriter):
    """CSV after RFC 4180: a header, commas, quotes where they are needed, CR LF.

    Texts are cells as they are, null is an empty cell, true and false are words, lists and objects JSON.

    Args:
        columns: what stands in the cells.
        defuse: put an apostrophe before a text that a spreadsheet would run as a formula: one that begins with
            ``= + - @``, in any of their widths and also behind white space and invisible characters, with a tab or a
            carriage return. Numbers are left alone. It changes such texts: whoever reads the table with a program
            switches it off.
        mark: begin with a byte order mark, without which Excel does not read UTF-8.
    """

    def __init__(self, columns: Sequence[Column], *, defuse: bool = True, mark: bool = False) -> None:
        self._columns = columns
        self._defuse = defuse
        self._needs_facts = any(column.needs_facts for column in columns)
        self._header = (BYTE_ORDER_MARK if mark else b"") + self._rows([[column.name for column in columns]])

    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return a row for each record, behind the header at first."""
        rows: list[list[object]] = []
        for body in documents:
            record = orjson.loads(body)
            facts = attributes_of(record) if self._needs_facts else None
            rows.append([column.value(record, facts) for column in self._columns])
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
        return f"'{text}" if self._defuse and isinstance(value, str) and _FORMULA.match(text) else text
