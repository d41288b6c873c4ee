"""The cells of a table in a text: CSV, with quotes doubled or escaped, and MySQL's tab-separated output.

In MySQL's output a backslash stands before what is special. ``mysql --batch`` writes a line break as ``\\n``; what
``mysqldump --tab`` and ``INTO OUTFILE`` write is the break itself behind a backslash, so that the row goes on.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final, TextIO

from execution_history.upkeep.items import LONGEST_LINE

_BACKSLASH_QUOTE: Final = re.compile(r'\\"[^",;\t\r\n]')
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_NOT_ESCAPED: Final = re.compile(r'(?<!\\)(?:\\\\)*\\["/u]')
_PIECE: Final = 1024 * 1024

NULLS: Final = frozenset({"", "NULL", "\\N"})
"""A cell that says one of these says nothing."""

Cells = tuple[int, list[str], str | None]
"""The number of the line that a row ends with, its cells, empty where they say nothing, and what is wrong with it."""


class _TooLong(csv.Error):
    """A line that is too long to be read; the next one can be."""


class _Lines:
    """The lines of *stream*, with their ends; one that is too long is passed over, and raises when its turn comes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LONGEST_LINE + 2)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line.rstrip("\r\n")) <= LONGEST_LINE:
            return line
        while line and not line.endswith("\n"):
            line = self._stream.readline(_PIECE)
        raise _TooLong(f"It has more than {LONGEST_LINE} characters.")


def csv_cells(stream: TextIO, sample: str) -> Iterator[Cells]:
    """The rows of CSV; *sample* is its beginning, which tells how it is written."""
    header = sample.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    is_escaped = bool(_BACKSLASH_QUOTE.search(sample))
    # Reading would take the backslash away from \N; within a text MySQL writes it doubled.
    null = re.compile(rf"(?<![^{delimiter}])\\N(?=[{delimiter}\r\n]|$)")
    lines = _Lines(stream)
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(
        map(partial(null.sub, ""), lines) if is_escaped else lines,
        delimiter=delimiter,
        escapechar="\\" if is_escaped else None,
        strict=True,
    )
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except _TooLong as error:
            yield lines.number, [], str(error)
            continue
        except csv.Error as error:
            yield lines.number, [], f"This is not CSV, or the file ends here: {error}."
            continue
        if row:
            yield lines.number, ["" if cell in NULLS else cell for cell in row], None


def tab_cells(stream: TextIO, sample: str) -> Iterator[Cells]:
    """The rows of what MySQL writes with tabs between the cells; its lines end as the first one does.

    What escapes nothing has a single backslash before a quote somewhere in *sample*, and is taken as it stands.
    """
    end = "\r\n" if sample.split("\n", 1)[0].endswith("\r") else "\n"
    is_escaped = not _NOT_ESCAPED.search(sample)
    lines = _Lines(stream)
    parts: list[str] = []
    length = 0
    while True:
        try:
            line = next(lines)
        except StopIteration:
            break
        except _TooLong as error:
            parts.clear()
            length = 0
            yield lines.number, [], str(error)
            continue
        length += len(line)
        if length <= LONGEST_LINE:
            parts.append(line)
        if _goes_on(line, end, is_escaped=is_escaped):
            continue
        if length > LONGEST_LINE:
            yield lines.number, [], f"It has more than {LONGEST_LINE} characters."
        else:
            found: Iterable[str] = "".join(parts).removesuffix(end).split("\t")
            whole = _whole(found) if is_escaped else found
            yield lines.number, [_cell(each, is_escaped=is_escaped) for each in whole], None
        parts.clear()
        length = 0
    if length:
        yield lines.number, [], "The file ends here, in the middle of a row."


def _goes_on(line: str, end: str, *, is_escaped: bool) -> bool:
    """Whether the break behind a line is part of a cell."""
    if not line.endswith(end):
        return line.endswith("\n") or (is_escaped and _is_open(line))
    return is_escaped and _is_open(line.removesuffix(end))


def _is_open(text: str) -> bool:
    """Whether a backslash at its end escapes what comes next."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _whole(parts: Iterable[str]) -> Iterator[str]:
    """Cells from what stands between tabs, some of which are escaped and part of a cell."""
    held = ""
    for part in parts:
        held += part
        if _is_open(part):
            held += "\t"
            continue
        yield held
        held = ""
    if held:
        yield held


def _cell(text: str, *, is_escaped: bool) -> str:
    if text in NULLS:
        return ""
    return _ESCAPE.sub(_unescaped, text) if is_escaped else text


def _unescaped(found: "re.Match[str]") -> str:
    return _ESCAPED.get(found[1], found[1])
