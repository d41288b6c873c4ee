"""Server-sent events, decoded from the bytes of a response (WHATWG HTML, section 9.2.6). Pure: no I/O, no clock.

An event ends at a blank line, and where the next one's name or id follows its data, as the SDKs for Coze count lines
(coze-protocol 2.4). Lines end with CR, LF or CRLF and with nothing else, so that U+2028 and U+0085 inside a payload
stay where they are. Names are read without the blanks round them. Text is read as UTF-8, which is what the standard
knows, unless the response declares another charset or a line can only be GB18030.
"""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.messages import charset_of, parse_json
from execution_history.records.charset import BYTE_ORDER_MARK, UTF_8, charset_name, decode_text


class ServerSentEvent(NamedTuple):
    """One event.

    Attributes:
        event: its name; ``message`` where the stream names none.
        data: its data, the lines joined.
        id: its id, where it has one.
        is_cut: whether it was larger than the limit and lost its end.
    """

    event: str
    data: str
    id: str | None = None
    is_cut: bool = False

    def content(self) -> Any:  # noqa: ANN401 - JSON is any of six things
        """Return the value of the data as JSON, or ``None`` where it is not JSON."""
        return parse_json(self.data)


class EventDecoder:
    """Decodes the chunks of a response, cut anywhere, into events.

    Args:
        encoding: the response's ``Content-Encoding``; empty for none.
        largest_event: the most bytes of one event that are kept; all of them unless given.
        charset: what the response declares, if anything.

    Attributes:
        charset: the charset in which something was read that is no UTF-8; ``None`` so far.
    """

    def __init__(self, encoding: str = "", largest_event: int = sys.maxsize, charset: str | None = None) -> None:
        self._decoder = ContentDecoder(encoding)
        self._declared = charset_name(charset)
        self._is_utf_8 = self._declared in {None, UTF_8}
        self.charset: str | None = None
        self._largest = largest_event
        self._line: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._at_start = True
        self._clear()

    @classmethod
    def for_response(cls, headers: Mapping[str, str]) -> Self:
        """Return the decoder of a response with these headers, whose names are in lower case or of httpx."""
        return cls(headers.get("content-encoding", ""), charset=charset_of(headers.get("content-type")))

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that *chunk* completes."""
        events: list[ServerSentEvent] = []
        for piece in self._decoder.pieces(chunk):
            self._feed(piece, events)
        return events

    def _feed(self, chunk: bytes, events: list[ServerSentEvent]) -> None:
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk[1:] if chunk[:1] == b"\n" else chunk
        self._after_cr = chunk.endswith(b"\r") or (self._after_cr and not chunk)
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._line or len(line) > self._largest - self._size:
                self._extend_line(line)
                self._end_line(b"".join(self._line), events)
                self._line.clear()
            else:
                self._size += len(line)
                self._end_line(line, events)
        self._extend_line(rest)

    def close(self) -> list[ServerSentEvent]:
        """Return the event that the end of the stream cuts off, where its data has begun.

        The standard drops it; the SDKs for Coze deliver it (coze-protocol 2.4), and so does this.
        """
        events: list[ServerSentEvent] = []
        if self._line:
            self._end_line(b"".join(self._line), events)
        self._dispatch(events)
        return events

    def _clear(self) -> None:
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._is_cut = False
        self._size = 0

    def _extend_line(self, part: bytes) -> None:
        if not part:
            return
        room = self._largest - self._size
        if len(part) > room:
            self._is_cut = True
            part = part[: max(0, room)]
        self._size += len(part)
        self._line.append(part)

    def _end_line(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(self._text(value.removeprefix(b" ")))
        elif name == b"event":
            if self._data and self._event:
                self._dispatch(events)
            self._event = self._text(value).strip()
        elif name == b"id":
            if self._data and self._id is not None:
                self._dispatch(events)
            number = self._text(value).strip()
            self._id = self._id if "\0" in number else number
        elif not (bare := line.strip()):
            self._dispatch(events)
        elif len(bare) < len(line) and bare != line.rstrip():
            self._end_line(bare, events)

    def _text(self, value: bytes) -> str:
        if self._is_utf_8:
            try:
                return value.decode()
            except UnicodeDecodeError:
                if self._is_cut:  # in the middle of a character, perhaps
                    return value.decode(errors="replace")
        text, charset = decode_text(value, self._declared)
        self.charset = self.charset if charset == UTF_8 else charset
        return text

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data or self._event:
            events.append(ServerSentEvent(self._event or "message", "\n".join(self._data), self._id, self._is_cut))
        self._clear()
