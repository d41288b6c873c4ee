"""What an answer is, whatever its content type and its encoding say."""

import gzip
import json
import zlib
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from execution_history.coze.protocol.messages import Outcome, RunRequest
from execution_history.coze.protocol.request_reader import parse_run_request
from execution_history.coze.protocol.response_reader import ResponseReader
from execution_history.records.proof import UNCERTAIN, Proof

_MESSAGE = b'id: 0\nevent: Message\ndata: {"content":"hello","node_title":"End","node_is_finish":true}\n\n'
_DONE = b'id: 1\nevent: Done\ndata: {"debug_url":"https://x/?execute_id=9"}\n\n'
_EVENTS = _MESSAGE + _DONE
_REFUSED = b'{"code":4000,"msg":"The parameter city is missing","detail":{"logid":"L"}}'
_TYPES = [
    "text/event-stream", "Text/Event-Stream; Charset=UTF-8", "text/plain; charset=utf-8", "application/octet-stream",
    "TEXT/HTML", "", "application/json", "application/json; charset=utf-8", "application/problem+json", "text/json",
]  # fmt: skip


def _read(*chunks: bytes, status: int = 200, kind: Any = "stream_run", largest: int = 10**9, **headers: str) -> Outcome:
    return _reader(*chunks, status=status, kind=kind, largest=largest, **headers).outcome()


def _reader(
    *chunks: bytes, status: int = 200, kind: Any = "stream_run", largest: int = 10**9, **headers: str
) -> ResponseReader:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reader = ResponseReader(RunRequest(kind, "7"), status, named, 1_000, None, largest)
    for number, chunk in enumerate(chunks):
        reader.feed(chunk, 1_001 + number)
    reader.close(2_000)
    return reader


@pytest.mark.parametrize("content_type", _TYPES)
def test_a_stream_is_one_under_any_content_type(content_type: str) -> None:
    """Its first line shows, however it is cut; from then on its bytes are passed on at once."""
    for chunks in (
        [_EVENTS],
        [bytes([byte]) for byte in _EVENTS],
        [b"\xef\xbb\xbf\r\n", _EVENTS],
        [b": ping\n\n", _EVENTS],
    ):
        reader = _reader(*chunks, content_type=content_type, x_tt_logid="L")
        outcome = reader.outcome()
        assert ("success", "hello", "9", "L") == (outcome.status, outcome.output, outcome.execute_id, outcome.log_id)
        assert reader.is_stream


@pytest.mark.parametrize("content_type", _TYPES)
@pytest.mark.parametrize(("status", "code"), [(200, 4000), (400, 4000), (401, 4000)])
def test_an_envelope_is_one_under_any_content_type(content_type: str, status: int, code: int) -> None:
    """It gives its code, its sentence and its log id."""
    for body in (
        _REFUSED,
        b"\n " + _REFUSED,
        b"\xef\xbb\xbf" + _REFUSED,
        json.dumps(json.loads(_REFUSED), indent=1).encode(),
    ):
        reader = _reader(*(bytes([byte]) for byte in body), status=status, content_type=content_type)
        outcome = reader.outcome()
        assert ("failed", Proof.REJECTED, code, "L") == (
            outcome.status,
            outcome.proof,
            outcome.error_code,
            outcome.log_id,
        )
        assert "The parameter city is missing" in (outcome.error_message or "")
        assert not reader.is_stream


@pytest.mark.parametrize("content_type", _TYPES)
@pytest.mark.parametrize("body", [b"<html>504 Gateway Time-out</html>", b"upstream request timeout", b"", b"\n"])
@pytest.mark.parametrize("status", [401, 404, 504])
def test_what_a_proxy_says_gives_the_status(content_type: str, body: bytes, status: int) -> None:
    """And leaves open what became of the run where the server is at fault."""
    outcome = _read(body, status=status, content_type=content_type)
    assert ("failed", Proof.HTTP_STATUS, status) == (outcome.status, outcome.proof, outcome.error_code)
    assert ("may still have run" in (outcome.error_message or "")) == (status >= 500)


def test_an_error_whose_text_looks_like_an_event_gives_the_status() -> None:
    """It has no event that Coze knows."""
    assert Proof.HTTP_STATUS == _read(b"data: no upstream\n", status=502, content_type="text/plain").proof


@pytest.mark.parametrize(("content_type", "is_stream"), [("text/event-stream", True), ("", True), ("text/plain", True),
                                                         ("application/json", False), ("a/b+json", False)])  # fmt: skip
def test_before_the_first_byte_the_content_type_tells(content_type: str, is_stream: bool) -> None:
    """As it does for the SDKs: what is not JSON is a stream, where one was asked for and HTTP is content."""
    run = RunRequest("stream_run", "7")
    assert is_stream is ResponseReader(run, 200, {"content-type": content_type}, 0).is_stream
    assert not ResponseReader(run, 500, {"content-type": content_type}, 0).is_stream
    is_named = content_type == "text/event-stream"
    assert is_named is ResponseReader(RunRequest("run", "7"), 200, {"content-type": content_type}, 0).is_stream


@pytest.mark.parametrize("body", [b"", b"\n\n", b": ping\n\n", b"event: PING\ndata: {}\n\n", b"even"])
def test_a_stream_of_nothing_ended_early(body: bytes) -> None:
    """It may still be running there."""
    outcome = _read(body, content_type="text/event-stream")
    assert ("failed", Proof.STREAM_ENDED_EARLY) == (outcome.status, outcome.proof)


@pytest.mark.parametrize("body", [b"", b"OK", b"<html>"])
def test_a_body_that_is_nothing_of_this_is_not_json(body: bytes) -> None:
    """Where HTTP claims success."""
    assert Proof.NOT_JSON == _read(body, kind="run", content_type="text/html").proof


def test_an_envelope_within_an_event_counts() -> None:
    """Some write a refusal as the data of an event without a name."""
    outcome = _read(b"data: " + _REFUSED + b"\n\n", content_type="text/event-stream")
    assert ("failed", Proof.ERROR_EVENT, 4000) == (outcome.status, outcome.proof, outcome.error_code)


def test_a_redirection_that_nobody_followed_says_so() -> None:
    """It is no answer."""
    outcome = _read(status=307, location="http://elsewhere")
    assert ("failed", Proof.HTTP_STATUS) == (outcome.status, outcome.proof)
    assert "HTTP 307" in (outcome.error_message or "")


@pytest.mark.parametrize("kind", ["run", "stream_run"])
@pytest.mark.parametrize("body", [_REFUSED, _EVENTS])
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, br", "no-such"])
def test_what_cannot_be_decoded_is_no_failure_of_the_run(kind: str, body: bytes, encoding: str) -> None:
    """It is interrupted, and the sentence says that it could not be read here."""
    outcome = _read(body[::-1] if encoding == "no-such" else body, kind=kind, content_encoding=encoding, x_tt_logid="L")
    assert ("interrupted", Proof.UNREADABLE, "L") == (outcome.status, outcome.proof, outcome.log_id)
    assert f"“{encoding}”" in (outcome.error_message or "")
    assert outcome.proof in UNCERTAIN


@pytest.mark.parametrize("body", [_REFUSED, _EVENTS])
@pytest.mark.parametrize("encoding", ["utf-8", "none", "gzip, utf-8"])
def test_an_encoding_that_is_none_does_not_matter(body: bytes, encoding: str) -> None:
    """The clients of the SDKs pass over it."""
    assert _read(body, content_encoding=encoding).proof in {Proof.REJECTED, Proof.DONE_EVENT}


def test_a_stream_that_loses_its_encoding_keeps_what_it_said() -> None:
    """Before its terminator it cannot be read; behind it that is nothing to the run."""
    packed = gzip.compress(_MESSAGE)
    reader = _reader(packed, b"no gzip", gzip.compress(_DONE)[:5], content_encoding="gzip")
    assert Proof.STREAM_ENDED_EARLY == reader.outcome().proof  # what follows a member counts for nothing
    broken = bytearray(zlib.compress(_MESSAGE + bytes(range(256)) * 40, wbits=31))
    broken[len(broken) // 2] ^= 0xFF
    reader = _reader(bytes(broken), content_encoding="gzip")
    assert Proof.UNREADABLE == reader.outcome().proof
    compressor = zlib.compressobj(wbits=31)
    flushed = compressor.compress(_EVENTS) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert ("success", "hello") == ((whole := _read(flushed, content_encoding="gzip")).status, whole.output)
    compressor = zlib.compressobj(wbits=31)
    flushed = compressor.compress(_MESSAGE) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert Proof.UNREADABLE == _read(flushed, content_encoding="gzip").proof


def test_a_broken_connection_is_the_reason_even_in_an_encoding() -> None:
    """The end in the middle of the encoding only follows from it; the log id is kept."""
    broken = Outcome("failed", Proof.CONNECTION_BROKEN, error_message="broke")
    for kind, body in (("stream_run", _MESSAGE), ("run", _REFUSED)):
        reader = _reader(gzip.compress(body)[:-9], kind=kind, content_encoding="gzip", x_tt_logid="L")
        outcome = reader.outcome(broken)
        assert (Proof.CONNECTION_BROKEN, "L") == (outcome.proof, outcome.log_id)


def test_an_answer_larger_than_is_kept_is_not_told_as_a_failure() -> None:
    """Only who called knows what it says; an HTTP status still counts."""
    body = b'{"code":0,"data":"%s"}' % (b"x" * 100)
    outcome = _read(body, kind="run", largest=50)
    assert ("interrupted", Proof.UNREADABLE) == (outcome.status, outcome.proof)
    assert "larger than the 50 bytes" in (outcome.error_message or "")
    assert Proof.HTTP_STATUS == _read(body, kind="run", largest=50, status=502).proof
    assert "success" == _read(body, kind="run").status


def test_a_declared_charset_is_honoured_in_streams() -> None:
    """And the record says so."""
    stream = _EVENTS.replace(b"hello", "你好".encode("gbk"))
    for content_type in ("text/event-stream; charset=gbk", "text/event-stream"):
        outcome = _read(*(bytes([byte]) for byte in stream), content_type=content_type)
        assert ("success", "你好") == (outcome.status, outcome.output)
        assert outcome.metadata()["answer_charset"] in {"gbk", "gb18030"}


def test_what_follows_the_end_of_a_run_completes_it() -> None:
    """The end is known at once; debug address, usage and id come to it."""
    reader = ResponseReader(RunRequest("stream_run", "7"), 200, {}, 0)
    reader.feed(b'event: Error\ndata: {"error_code":1,"error_message":"no"}\n\n', 1)
    assert reader.ending is not None
    assert ("failed", None) == (reader.ending.status, reader.outcome().execute_id)
    reader.feed(b'event: Done\ndata: {"debug_url":"https://x/?execute_id=9","usage":{"token_count":3}}\n\n', 2)
    reader.close(3)
    outcome = reader.outcome(Outcome("failed", Proof.CONNECTION_BROKEN, error_message="later"))
    assert ("failed", Proof.ERROR_EVENT, 1, "9", {"token_count": 3}) == (
        outcome.status, outcome.proof, outcome.error_code, outcome.execute_id, outcome.usage,
    )  # fmt: skip


@given(
    st.lists(st.binary(max_size=60)),
    st.sampled_from(_TYPES),
    st.sampled_from(["", "gzip", "br"]),
    st.integers(200, 599),
)
def test_no_answer_breaks_the_reading(chunks: list[bytes], content_type: str, encoding: str, status: int) -> None:
    """And where it is cut makes no difference to what it is."""
    parts = _read(*chunks, status=status, content_type=content_type, content_encoding=encoding)
    whole = _read(b"".join(chunks), status=status, content_type=content_type, content_encoding=encoding)
    assert (parts.status, parts.proof) == (whole.status, whole.proof)


@pytest.mark.parametrize(
    ("kind", "beginning", "part", "encoding"),
    [
        ("run", b'{"data":"', b" ", "gzip"),
        ("run", b'{"data":"', b" ", "zstd"),
        ("run", b'{"data":"', b" ", "gzip, gzip"),
        ("stream_run", b": ", b" ", "gzip"),
        ("stream_run", b"", b"data:x\n\n", "gzip"),
        ("stream_run", b"", b"data:{\n\n", "gzip"),
        ("stream_run", b"", b"\n", "gzip"),
        ("stream_run", b"", _MESSAGE, "gzip"),
        ("stream_run", b"", _MESSAGE, "zstd"),
        ("stream_run", b"", _MESSAGE, "gzip, gzip"),
    ],
)
def test_a_small_answer_that_becomes_a_huge_one_is_not_read(
    kind: str, beginning: bytes, part: bytes, encoding: str
) -> None:
    """It passes, the record says why, and nobody waits for it meanwhile."""
    body = beginning + part * (20_000_000 // len(part))
    packed = zstandard.compress(body) if encoding == "zstd" else gzip.compress(body, 1)
    packed = gzip.compress(packed) if "," in encoding else packed
    outcome = _read(packed, kind=kind, largest=1_000_000, content_encoding=encoding)
    assert ("interrupted", Proof.UNREADABLE) == (outcome.status, outcome.proof)


def test_a_run_that_ended_before_its_stream_expanded_has_ended() -> None:
    """What is behind the terminator is nothing to it."""
    outcome = _read(gzip.compress(_EVENTS + b"data:x\n\n" * 3_000_000), largest=1_000_000, content_encoding="gzip")
    assert ("success", "hello") == (outcome.status, outcome.output)


def test_a_body_of_repetitions_is_read_up_to_the_limit() -> None:
    """However small it is on the wire, and in two encodings."""
    body = b'{"code":0,"data":"%s"}' % (b"x" * 900_000)
    packed = gzip.compress(gzip.compress(body))
    outcome = _read(packed, kind="run", largest=1_000_000, content_encoding="gzip, gzip")
    assert ("success", "x" * 900_000) == (outcome.status, outcome.output)
    stream = _MESSAGE.replace(b"hello", b"x" * 900_000) + _DONE
    outcome = _read(gzip.compress(stream), largest=1_000_000, content_encoding="gzip")
    assert ("success", "x" * 900_000) == (outcome.status, outcome.output)


def test_the_end_of_a_long_stream_is_found_behind_what_is_kept() -> None:
    """As far as eight times of it."""
    compressor = zlib.compressobj(wbits=31)
    chunks = [compressor.compress(_MESSAGE * 5_000) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in range(6)]
    end = compressor.compress(_DONE) + compressor.flush()
    assert "success" == _read(*chunks, end, largest=400_000, content_encoding="gzip").status


@pytest.mark.parametrize("declared", ["ISO-8859-1", "gbk", "windows-1252", "utf-16", "UTF-16LE", "utf-32", "big5"])
def test_a_charset_that_is_declared_and_not_written_does_not_count(declared: str) -> None:
    """What plainly is UTF-8 is read as that, in an envelope, in a stream and in a request."""
    body = '{"code":0,"data":"你好，世界"}'.encode()
    outcome = _read(body, kind="run", content_type=f"application/json;charset={declared}")
    assert ("success", "你好，世界", None) == (outcome.status, outcome.output, outcome.charset)
    stream = _EVENTS.replace(b"hello", "你好，世界".encode())
    outcome = _read(stream, content_type=f"text/event-stream; charset={declared}")
    assert ("success", "你好，世界", None) == (outcome.status, outcome.output, outcome.charset)
    request = '{"workflow_id":"7","parameters":{"a":"你好，世界"}}'.encode()
    run = parse_run_request("run", request, f"application/json; charset={declared}")
    assert ("7", {"a": "你好，世界"}, None, None) == (run.workflow_id, run.parameters, run.charset, run.unread)
