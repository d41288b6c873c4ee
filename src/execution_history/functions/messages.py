"""What a run says while it runs: each message with its time and size, and all of them as the output. Pure."""

from typing import Any, Final

import orjson

_MOST_PACKETS: Final = 2_000


class Messages:
    """The messages of one run.

    Args:
        title: what the timeline calls the one who speaks.
        kind: what that is.
        began: when the run began, in milliseconds.
        largest: bytes of messages that are kept; what is beyond is only counted.
        keeps_content: whether what is said is kept, or only when and how much.

    Attributes:
        size: the bytes of all messages.
        is_cut: whether some are left out, as they would be more than a record may have.
    """

    def __init__(self, title: str, kind: str, began: int, *, largest: int, keeps_content: bool = True) -> None:
        self._title = title
        self._kind = kind
        self._began = began
        self._keeps_content = keeps_content
        self._pieces: list[str | bytes] = []
        self._packets: list[list[int]] = []
        self._count = 0
        self._room = largest
        self._first = self._last = 0
        self.size: int = 0
        self.is_cut: bool = False
        self.is_finished = False

    def __len__(self) -> int:
        return self._count

    def add(self, document: bytes, now: int) -> None:
        """Take in one message, as JSON, said at *now* (milliseconds)."""
        piece = orjson.loads(document) if document.startswith(b'"') else document
        self._first, self._last = self._first or now, now
        self._count += 1
        self.size += len(document)
        if len(self._packets) < _MOST_PACKETS:
            self._packets.append([self._count, now - self._began, len(piece)])
        else:
            self._packets[-1] = [self._count, now - self._began, self._packets[-1][2] + len(piece)]
        if len(document) > self._room:
            self.is_cut, self._room = True, 0
        elif self._keeps_content:
            self._room -= len(document)
            self._pieces.append(piece)

    def timeline(self) -> dict[str, Any] | None:
        """The messages as a record's timeline has those of a workflow's node; ``None`` when there were none."""
        if not self._count:
            return None
        pieces = list(self._pieces)
        separator = "" if all(isinstance(piece, str) for piece in pieces) else "\n"
        shown = separator.join(piece if isinstance(piece, str) else piece.decode() for piece in pieces)
        return {
            self._title: {
                "node_id": None,
                "node_title": self._title,
                "node_type": self._kind,
                "node_execute_uuid": None,
                "is_finish": self.is_finished,
                "start_time": self._first,
                "update_time": self._last,
                "content": shown,
                "packets": list(self._packets),
                "packet_count": self._count,
                "usage": None,
            }
        }

    def output(self) -> bytes:
        """All messages as JSON: the whole text when each is a text, otherwise their list."""
        if self._pieces and all(isinstance(piece, str) for piece in self._pieces):
            return orjson.dumps("".join(map(str, self._pieces)))
        return orjson.dumps([piece if isinstance(piece, str) else orjson.Fragment(piece) for piece in self._pieces])
