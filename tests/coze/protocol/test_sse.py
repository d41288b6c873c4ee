"""Server-sent events, whatever the wire does to them."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.coze.protocol.sse import EventDecoder, ServerSentEvent

_STREAM = (
    'id: 0\nevent: Message\ndata: {"content":"第一行\u2028第二行\u0085","node_title":"End"}\n\n'
    ": a comment\nretry: 5\n\n"
    "id: 1\r\nevent: PING\r\ndata: {}\r\n\r\n"
    "data: two\ndata:lines\n\n"
    "event: Done\rdata: {}\r\r"
).encode()

_EVENTS = [
    ServerSentEvent("Message", '{"content":"第一行\u2028第二行\u0085","node_title":"End"}', "0"),
    ServerSentEvent("PING", "{}", "1"),
    ServerSentEvent("message", "two\nlines"),
    ServerSentEvent("Done", "{}"),
]


def _parse(chunks: list[bytes]) -> list[ServerSentEvent]:
    parser = EventDecoder()
    return [event for chunk in chunks for event in parser.feed(chunk)] + parser.close()


@pytest.mark.parametrize("cut", range(len(_STREAM) + 1))
def test_a_stream_cut_anywhere_has_the_same_events(cut: int) -> None:
    """Two chunks, cut at every byte."""
    assert _EVENTS == _parse([_STREAM[:cut], _STREAM[cut:]])


def test_a_stream_of_single_bytes_has_the_same_events() -> None:
    """One byte at a time, with empty chunks between."""
    assert _EVENTS == _parse([part for byte in _STREAM for part in (bytes([byte]), b"")])


def test_a_byte_order_mark_is_not_data() -> None:
    """At the start of the stream only."""
    assert [ServerSentEvent("message", "a")] == _parse([b"\xef\xbb", b"\xbfdata: a\n\n"])


def test_an_event_that_the_end_cuts_off_is_delivered() -> None:
    """As the SDKs do; with its last line unfinished too."""
    assert [ServerSentEvent("Done", "{}")] == _parse([b"event: Done\ndata: {}"])


def test_bytes_that_are_no_text_are_shown() -> None:
    """And cost nothing else."""
    assert [ServerSentEvent("message", r"a\xffb")] == _parse([b"data: a\xffb\n\n"])


@pytest.mark.parametrize("declared", [None, "utf-8", "gbk", "GB2312", "x-unknown"])
def test_another_charset_is_read_event_by_event(declared: str | None) -> None:
    """The declared one, else GB18030 where a line is no UTF-8; a character may be cut by a chunk."""
    decoder = EventDecoder(charset=declared)
    stream = "event: Message\ndata: 你好，世界\n\n".encode("gbk")
    events = [event for byte in stream for event in decoder.feed(bytes([byte]))]
    assert [ServerSentEvent("Message", "你好，世界")] == events
    assert decoder.charset == "gb18030" if declared not in {"gbk", "GB2312"} else decoder.charset in {"gbk", "gb2312"}


def test_a_character_that_the_limit_cuts_is_no_other_charset() -> None:
    """The rest of the text stays what it is."""
    decoder = EventDecoder(largest_event=len("data: 你好".encode()) - 1)
    [event] = decoder.feed("data: 你好\n\n".encode())
    assert ("你\ufffd", True, None) == (event.data, event.is_cut, decoder.charset)


@pytest.mark.parametrize(
    "stream",
    [
        b"id: 0\nevent: Message\ndata: {}\nid: 1\nevent: Done\ndata: {}\n",
        b"event: Message\ndata: {}\nevent: Done\ndata: {}\n\n",
        b"event: Message\ndata: {}\n \t\nevent:\tDone \ndata: {}\n\n",
        b"event: Message\ndata: {}\n\n  event: Done\n data: {}\n\n",
    ],
)
def test_events_are_told_apart_as_the_sdks_do(stream: bytes) -> None:
    """By the next name or id where the blank line is missing, and whatever blanks stand round a line."""
    events = _parse([stream])
    assert [("Message", "{}"), ("Done", "{}")] == [(event.event, event.data) for event in events]


def test_an_enormous_event_is_cut_and_the_next_one_is_whole() -> None:
    """No stream can fill the memory."""
    parser = EventDecoder(largest_event=20)
    events = parser.feed(b"data: " + b"x" * 100 + b"\n\ndata: ok\n\n")
    assert [(True, 14), (False, 2)] == [(event.is_cut, len(event.data)) for event in events]


def test_without_a_limit_an_event_is_whole() -> None:
    """As long as it is."""
    [event] = EventDecoder().feed(b"data: " + b"x" * 1_000_000 + b"\n\n")
    assert (False, 1_000_000) == (event.is_cut, len(event.data))


def test_a_compressed_stream_has_the_same_events() -> None:
    """The decoder of a response undoes its content encoding, chunk by chunk."""
    headers = {"content-type": "text/event-stream; charset=utf-8", "content-encoding": "gzip"}
    decoder = EventDecoder.for_response(headers)
    packed = gzip.compress(_STREAM)
    events = [event for byte in packed for event in decoder.feed(bytes([byte]))]
    assert _EVENTS == events + decoder.close()


def test_blanks_round_the_name_of_an_event_do_not_count() -> None:
    """The SDKs for Coze trim it; the data keeps its own."""
    assert [ServerSentEvent("Done", " {} ")] == _parse([b"event:  Done \ndata:  {} \n\n"])


@pytest.mark.parametrize("body", [b'{"code":4000,\n"msg":"no",\n"data":""}\n', b"<html>\n<p>data: x</p>\n", b""])
def test_any_other_response_has_no_events(body: bytes) -> None:
    """An envelope, or a page."""
    assert [] == _parse([body])


@given(st.lists(st.binary(max_size=30)))
def test_no_bytes_break_the_parser(chunks: list[bytes]) -> None:
    """And where they are cut makes no difference."""
    assert _parse([b"".join(chunks)]) == _parse(chunks)
