"""Reading a file line by line, whatever is in it: a line that is too long is passed over, not read into memory."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from execution_history.errors import ImportFailed, quoted
from execution_history.upkeep.items import LONGEST_LINE

_MARK: Final = b"\xef\xbb\xbf"
_PIECE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, ``None`` when it was too long; ``is_ended`` says that a line break followed."""

    number: int
    content: bytes | None
    is_ended: bool


def check_is_file(path: Path) -> None:
    """See that *path* is a file, before it is opened: a pipe waits for a writer, and a device may never end.

    Raises:
        ImportFailed: it is something else.
        OSError: there is nothing there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ImportFailed(
            f"{quoted(path)} is a device, a pipe or a socket, which may never end: put what it gives into a file and "
            "import that."
        )


class LineReader:
    """The lines of *stream* that are not blank, numbered from 1; ``size`` counts the bytes that have been read."""

    def __init__(self, stream: BinaryIO, longest: int = LONGEST_LINE) -> None:
        self._stream = stream
        self._longest = longest
        self.size = 0

    def __iter__(self) -> Iterator[Line]:
        """Every line, without a byte order mark before the first and CR before the line break.

        Raises:
            OSError: the file cannot be read.
        """
        number = 0
        while piece := self._stream.readline(self._longest + 2):
            number += 1
            self.size += len(piece)
            is_ended = piece.endswith(b"\n")
            content = piece.removesuffix(b"\n").removesuffix(b"\r") if is_ended else piece
            if number == 1:
                content = content.removeprefix(_MARK)
            if len(content) > self._longest:
                yield Line(number, None, is_ended or self._pass_over())
            elif content.strip():
                yield Line(number, content, is_ended)

    def _pass_over(self) -> bool:
        """Read on to the end of a line; whether there was a line break."""
        while piece := self._stream.readline(_PIECE):
            self.size += len(piece)
            if piece.endswith(b"\n"):
                return True
        return False
