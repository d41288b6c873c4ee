"""Records as JSON Lines, as the deployments' JSON, and as CSV. Pure: batches of stored bytes in, bytes out."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Final, Protocol

import orjson

from execution_history.records.attributes import attributes_of
from execution_history.records.encoding import indent
from execution_history.transfer.buffer import Buffer
from execution_history.transfer.columns import Column, as_text

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# White space, control characters and those that draw nothing (Unicode's Default_Ignorable_Code_Point): spreadsheets
# pass over them. Behind them stand the signs that begin a formula, also as wide, small and typographic forms.
_FORMULA: Final = re.compile(
    r"[\t\r]|[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]*[=+\-@＝＋－＠﹦﹢﹣﹫−]"
)


class RecordWriter(Protocol):
    """Writes records to the :class:`Buffer` it was made with."""

    def write(self, documents: Sequence[bytes]) -> None:
        """Write some records."""

    def finish(self) -> None:
        """Write what follows the last record."""


class LinesWriter:
    """JSON Lines: one record a line, the very bytes that are stored; nothing before the first and behind the last."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer

    def write(self, documents: Sequence[bytes]) -> None:
        """Write a line for each record."""
        if documents:
            self._buffer.write(b"\n".join(documents))
            self._buffer.write(b"\n")

    def finish(self) -> None:
        """Nothing follows."""


class HistoryWriter:
    """The JSON file of one workflow as deployments know it: ``workflow_id``, ``histories``, ``total``, ``updated_at``.

    The two that are known only at the end stand at the end, so that a file of any size is written in one go.
    Records are laid out as in the files of a store, so that reading them back takes no more memory than one needs.
    """

    def __init__(self, buffer: Buffer, workflow_id: str) -> None:
        self._buffer = buffer
        self._total = 0
        self._updated_at = 0
        buffer.write(b'{\n  "workflow_id": ' + orjson.dumps(workflow_id) + b',\n  "histories": [\n')

    def write(self, documents: Sequence[bytes]) -> None:
        """Write some records, newest first."""
        for body in documents:
            self._buffer.write(b",\n" if self._total else b"")
            self._buffer.write(b"    " + indent(body).replace(b"\n", b"\n    "))
            self._total += 1
            self._updated_at = max(self._updated_at, orjson.loads(body)["update_time"])

    def finish(self) -> None:
        """Close the list and tell the number of records and the newest change."""
        end = b'%b  ],\n  "total": %d,\n  "updated_at": %d\n}\n'
        self._buffer.write(end % (b"\n" if self._total else b"", self._total, self._updated_at))


class CSVWriter:
    """CSV after RFC 4180: a header, commas, quotes where they are needed, CR LF.

    Texts are cells as they are, null is an empty cell, true and false are words, lists and objects JSON.

    Args:
        buffer: where it is written to.
        columns: what stands in the cells.
        defuse: put an apostrophe before a text that a spreadsheet would run as a formula: one that begins with
            ``= + - @``, in any of their widths and also behind white space and invisible characters, with a tab or a
            carriage return. Numbers are left alone. It changes such texts: whoever reads the table with a program
            switches it off.
        mark: begin with a byte order mark, without which Excel does not read UTF-8.
    """

    def __init__(self, buffer: Buffer, columns: Sequence[Column], *, defuse: bool = True, mark: bool = False) -> None:
        self._buffer = buffer
        self._columns = columns
        self._defuse = defuse
        self._needs_facts = any(column.needs_facts for column in columns)
        if mark:
            buffer.write(BYTE_ORDER_MARK)
        self._write_rows([[self._cell(column.name) for column in columns]])

    def write(self, documents: Sequence[bytes]) -> None:
        """Write a row for each record."""
        rows = []
        for body in documents:
            record = orjson.loads(body)
            facts = attributes_of(record) if self._needs_facts else None
            rows.append([self._cell(column.value(record, facts)) for column in self._columns])
        self._write_rows(rows)

    def finish(self) -> None:
        """Nothing follows."""

    def _cell(self, value: object) -> str:
        text = as_text(value)
        return f"'{text}" if self._defuse and isinstance(value, str) and _FORMULA.match(text) else text

    def _write_rows(self, rows: list[list[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._buffer.write(text.getvalue().encode())
