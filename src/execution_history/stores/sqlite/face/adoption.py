"""Reading JSON files that somebody else wrote, edited or broke: every record that can still be read.

A file is first read record by record, the way deployments and we lay it out, so that its size does
not matter. One that is laid out differently is parsed whole, and one that does not parse gives up
every object in it that looks like a record.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from execution_history.errors import InvalidIdentifier
from execution_history.jsonvalue import decode
from execution_history.record import KEYS, check_identifier
from execution_history.stores.sqlite.face.layout import HEADER_LIMIT, parse_header

_END: Final = b"    }"
_LIKE_A_RECORD: Final = re.compile(rf'\{{\s*"(?:{"|".join(KEYS)})"\s*:')
_STATED_ID: Final = re.compile(r'"workflow_id"\s*:\s*("(?:[^"\\]|\\.)*")')


class _LaidOutDifferently(Exception):  # noqa: N818 - a finding, not a failure
    """The file cannot be read record by record."""


@dataclass(slots=True)
class FoundFile:
    """What a file turned out to be; complete once ``records`` has been exhausted.

    ``revision`` is the store's revision the file says it is up to, 0 when it is not one of ours.
    ``is_history`` is false for JSON that is something else altogether, which is left alone;
    ``is_damaged`` says that something in it could not be read. ``is_read_again`` says that the file turned out on the
    way to be laid out differently, and its records come once more from the first.
    """

    path: Path
    workflow_id: str | None = None
    revision: int = 0
    is_history: bool = True
    is_damaged: bool = False
    is_read_again: bool = False
    lost: list[str] = field(default_factory=list)

    def records(self) -> Iterator[dict[str, Any]]:
        """Every record that can be read, in the file's order.

        Raises:
            OSError: the file cannot be read at all.
        """
        try:
            yield from self._one_by_one()
        except _LaidOutDifferently:
            self.is_read_again = True
            yield from self._whole()

    def _one_by_one(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            header = parse_header(file.read(HEADER_LIMIT))
            if header is not None:
                self.workflow_id, self.revision = header[0].workflow_id, header[0].revision
            file.seek(0)
            frame: list[bytes] = []
            for line in file:
                if line.lstrip(b" ") == b"{\n" and frame:
                    if self.workflow_id is None and (
                        stated := _STATED_ID.search(b"".join(frame).decode(errors="replace"))
                    ):
                        self._take_id(_text(stated[1]))
                    yield _object(_record_lines(file))
                else:
                    frame.append(line.lstrip(b" "))
        self._check_frame(b"".join(frame))

    def _check_frame(self, text: bytes) -> None:
        """Read what surrounds the records, which must be an object with an empty list in it."""
        frame = _object(text)
        if frame.get("histories") != []:
            raise _LaidOutDifferently
        self._take_id(frame.get("workflow_id"))

    def _whole(self) -> Iterator[dict[str, Any]]:
        data = self.path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
            content = decode(text.encode())
        except ValueError:
            yield from self._salvage(data.decode("utf-8", errors="replace"))
            return
        if isinstance(content, dict) and "histories" in content:
            self._take_id(content.get("workflow_id"))
            content = content["histories"]
        elif not isinstance(content, list) or not any(isinstance(e, dict) and "execute_id" in e for e in content):
            self.is_history = False
            return
        for entry in content if isinstance(content, list) else [content]:
            if isinstance(entry, dict):
                yield entry
            elif entry is not None:
                self.is_damaged = True

    def _salvage(self, text: str) -> Iterator[dict[str, Any]]:
        # Somebody else's file, a configuration with comments, say, is not ours to call damaged.
        self.is_damaged = self.is_history = '"histories"' in text or '"execute_id"' in text
        if stated := _STATED_ID.search(text):
            self._take_id(_text(stated[1]))
        decoder, at = json.JSONDecoder(strict=False), 0
        while candidate := _LIKE_A_RECORD.search(text, at):
            try:
                found, at = decoder.raw_decode(text, candidate.start())
            except (ValueError, RecursionError):
                at = candidate.end()
                continue
            if "execute_id" in found:
                yield found
            elif "histories" in found:
                at = candidate.end()

    def _take_id(self, stated: object) -> None:
        try:
            self.workflow_id = check_identifier("workflow id", stated)
        except InvalidIdentifier:
            self.workflow_id = None


def _record_lines(file: BinaryIO) -> bytes:
    """The lines of the record whose opening brace has just been read."""
    lines = [b"{\n"]
    for line in file:
        lines.append(line)
        if line.startswith(_END):
            lines[-1] = b"}"
            return b"".join(lines)
    raise _LaidOutDifferently


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = decode(text)
    except ValueError:
        raise _LaidOutDifferently from None
    if not isinstance(value, dict):
        raise _LaidOutDifferently
    return value


def _text(literal: str) -> object:
    try:
        return json.loads(literal)
    except ValueError:
        return None
