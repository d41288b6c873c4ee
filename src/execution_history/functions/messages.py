"""What a run says while it runs: each message with its time and size, and all of them as the output. Pure."""

from dataclasses import replace
from typing import Any

import orjson

from execution_history.records.timeline import Node, timeline_of


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
        self._node = Node(node_title=title, node_type=kind)
        self._began = began
        self._keeps_content = keeps_content
        self._pieces: list[str | bytes] = []
        self._room = largest
        self.size: int = 0
        self.is_cut: bool = False
        self.is_finished = False

    def __len__(self) -> int:
        return self._node.packet_count or 0

    def add(self, document: bytes, now: int) -> None:
        """Take in one message, as JSON, said at *now* (milliseconds)."""
        piece = orjson.loads(document) if document.startswith(b'"') else document
        self._node.start_time, self._node.update_time = self._node.start_time or now, now
        self._node.add_packet(len(self) + 1, now - self._began, len(piece))
        self.size += len(document)
        if len(document) > self._room:
            self.is_cut, self._room = True, 0
        elif self._keeps_content:
            self._room -= len(document)
            self._pieces.append(piece)

    def timeline(self) -> dict[str, Any] | None:
        """Return the messages as a record's timeline has those of a workflow's node; ``None`` when there were none."""
        if not len(self):
            return None
        pieces = list(self._pieces)
        separator = "" if all(isinstance(piece, str) for piece in pieces) else "\n"
        shown = separator.join(piece if isinstance(piece, str) else piece.decode() for piece in pieces)
        node = replace(self._node, is_finish=self.is_finished, content=shown, packets=list(self._node.packets))
        return timeline_of([node])

    def output(self) -> bytes:
        """All messages as JSON: the whole text when each is a text, otherwise their list."""
        if self._pieces and all(isinstance(piece, str) for piece in self._pieces):
            return orjson.dumps("".join(map(str, self._pieces)))
        return orjson.dumps([piece if isinstance(piece, str) else orjson.Fragment(piece) for piece in self._pieces])
