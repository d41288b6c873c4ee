"""What commands print: answers to the standard output, remarks about them to the standard error."""

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from execution_history.presentation.formatting import visible
from execution_history.records.encoding import encode, indent

_GAP: Final = "  "
_LEAST_TEXT: Final = 25
"""Columns that a text needs to fit on the line of its id."""

# JSON may hold these as they are, and a terminal may obey them: as escapes they mean the same to every parser.
_C1_IN_UTF8: Final = {b"\x7f": rb"\u007f"} | {f"{chr(code)}".encode(): b"\\u%04x" % code for code in range(0x80, 0xA0)}


class _Console(Console):
    """rich's console, except that a broken pipe raises."""

    def on_broken_pipe(self) -> None:
        """Raise, instead of ending the process with 1."""
        raise BrokenPipeError


class Cell(NamedTuple):
    """One field of a row; text from runs may be in it."""

    text: str
    style: str = ""
    right: bool = False


class Output:
    """The two streams of the command, with colours only where a terminal shows them (and ``NO_COLOR`` is not set)."""

    def __init__(self) -> None:
        _buffer_answers()
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character must not end the command.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        self._answers = _Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._remarks = _Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @property
    def width(self) -> int | None:
        """The columns of the terminal that answers go to; ``None`` where they go elsewhere and nothing is cut."""
        return self._answers.width if self._answers.is_terminal else None

    @property
    def has_colours(self) -> bool:
        """Whether answers are shown in colours, so that colour alone may carry meaning."""
        return self._answers.color_system is not None and not self._answers.no_color

    def answer(self, line: str | Text = "", style: str = "") -> None:
        """Print a line, or several, of the answer to the command."""
        self._answers.print(_harmless(line), style=style)

    def heading(self, text: str) -> None:
        """Print the heading of a part of an answer, after an empty line."""
        self.answer()
        self.answer(text, style="bold")

    def lines(self, lines: Iterable[str | Text], *, are_cut: bool = False) -> None:
        """Print lines of an answer; where they *are_cut*, each to the width of the terminal."""
        for line in lines:
            self.answer(cropped(_harmless(line), self.width if are_cut else None))

    def remark(self, line: str | Text = "", style: str = "") -> None:
        """Print a line, or several, about the answer, to the standard error."""
        self._remarks.print(_harmless(line), style=style)

    def text(self, part: str) -> None:
        """Print a part of an answer's text, at once and without a line break."""
        sys.stdout.write(visible(part))
        sys.stdout.flush()

    def document(self, value: object) -> None:
        """Print one JSON document, indented, from any value or from the bytes of a stored one."""
        self._write(indent(value if isinstance(value, bytes) else encode(value)))

    def json_line(self, value: object) -> None:
        """Print one JSON document on a line of its own, at once."""
        self._write(encode(value))

    def discard_answers(self) -> None:
        """Discard what is still buffered after the reader of the answers has gone, so that it raises no error later."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _write(self, document: bytes) -> None:
        for raw, escaped in _C1_IN_UTF8.items():
            if raw in document:
                document = document.replace(raw, escaped)
        sys.stdout.flush()
        sys.stdout.buffer.write(document + b"\n")
        sys.stdout.buffer.flush()


def _buffer_answers() -> None:
    """Buffer the standard output where ``PYTHONUNBUFFERED`` turned that off.

    Without a buffer, what a pipe accepts only in part because its reader has gone is dropped without an error.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=True)


def _harmless(line: str | Text) -> Text:
    """Return a line as a rich :class:`Text`, made harmless; a :class:`Text` was built from harmless parts and stays."""
    return line if isinstance(line, Text) else Text(visible(line))


def aligned(rows: Sequence[Sequence[Cell]]) -> list[Text]:
    """Return *rows* as lines in which the cells of a column are aligned."""
    shown = [[visible(cell.text).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    return [_line(row, texts, widths) for row, texts in zip(rows, shown, strict=True)]


def _line(row: Sequence[Cell], texts: Sequence[str], widths: Sequence[int]) -> Text:
    line = Text()
    for number, (cell, text, width) in enumerate(zip(row, texts, widths, strict=True)):
        padding = " " * (width - cell_len(text))
        is_last = number == len(row) - 1
        line.append(_GAP if number else "")
        line.append(padding if cell.right else "")
        line.append(text, style=cell.style or None)
        line.append("" if cell.right or is_last else padding)
    return line


def padded(cell: Cell, columns: int) -> Cell:
    """Return *cell* with blanks up to so many *columns*, where it is not as wide already."""
    text = visible(cell.text)
    blanks = " " * max(0, columns - cell_len(text))
    return Cell(blanks + text if cell.right else text + blanks, cell.style)


def fitted(
    rows: Sequence[Mapping[str, Cell]], names: Iterable[str], dispensable: Iterable[str], width: int | None
) -> list[Text]:
    """Return *rows* as aligned lines of the columns *names*, without as many *dispensable* ones as do not fit.

    Args:
        rows: the cells of each row by the names of their columns.
        names: the columns, in order.
        dispensable: the columns that may be left out, the first of them first.
        width: the columns of the terminal; ``None`` leaves nothing out.
    """
    kept = list(names)
    lines = aligned([[row[name] for name in kept] for row in rows])
    for name in dispensable:
        if width is None or natural_width(lines) <= width:
            break
        kept = [each for each in kept if each != name]
        lines = aligned([[row[each] for each in kept] for row in rows])
    return lines


def natural_width(lines: Iterable[Text]) -> int:
    """Return the number of columns that the longest of *lines* takes."""
    return max((line.cell_len for line in lines), default=0)


def cropped(line: Text, width: int | None) -> Text:
    """Return *line*, cut with ``…`` to *width* columns."""
    if width is not None:
        line.truncate(max(1, width), overflow="ellipsis")
    return line


def shortened_to(text: str, columns: int) -> str:
    """Return *text* with its middle left out where it is wider than *columns*: ids differ at both ends."""
    if cell_len(text) <= columns:
        return text
    half = (columns - 1) // 2
    return f"{set_cell_size(text, columns - 1 - half).rstrip()}…{set_cell_size(text[::-1], half).rstrip()[::-1]}"


def on_one_line_or_two(
    facts: Sequence[Sequence[Cell]], ids: Sequence[Cell], texts: Sequence[Cell], width: int | None
) -> list[Text]:
    """Return a line for each row: its facts, its id and its text, if it has one; on narrow terminals two or three.

    The id and the text then stand on the second line, or on one each. No fact and no id is cut: what is too long for
    the terminal is wrapped by it.
    """
    ends = list(zip(ids, texts, strict=True)) if texts else [(cell,) for cell in ids]
    if width is None or natural_width(aligned([[*row, cell] for row, cell in zip(facts, ids, strict=True)])) <= (
        width - (_LEAST_TEXT if texts else 0)
    ):
        return [cropped(line, width) for line in aligned([[*row, *end] for row, end in zip(facts, ends, strict=True)])]
    has_room = natural_width(map(_indented, ids)) <= width - _LEAST_TEXT
    lines = []
    for fact, second, (identifier, *text) in zip(
        aligned(facts), aligned([[Cell(""), *end] for end in ends]), ends, strict=True
    ):
        below = [cropped(_indented(cell), width) for cell in text if cell.text]
        further = [cropped(second, width)] if has_room else [_indented(identifier), *below]
        lines.append(Text("\n").join((fact, *further)))
    return lines


def _indented(cell: Cell) -> Text:
    return aligned([[Cell(""), cell]])[0]
