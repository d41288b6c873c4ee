"""What is read of a request's body, whatever it is."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.coze.protocol.messages import UNKNOWN_WORKFLOW, RunRequest, claims_json, claims_stream
from execution_history.coze.protocol.request_reader import parse_run_request
from execution_history.records.encoding import encode
from execution_history.records.identifiers import is_identifier

_TEXT = "你好"


def _body(words: str = _TEXT) -> str:
    return json.dumps({"workflow_id": "7", "parameters": {"q": words}}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("body", "content_type", "charset"),
    [
        (_body().encode(), None, None),
        (_body().encode(), "application/json; charset=UTF-8", None),
        (b"\xef\xbb\xbf" + _body().encode(), None, None),
        (_body().encode("gbk"), None, "gb18030"),
        (_body().encode("gbk"), "application/json; charset=utf-8", "gb18030"),
        (_body().encode("gbk"), 'application/json; Charset="GBK"', "gbk"),
        (_body().encode("big5"), "application/json;charset=big5", "big5"),
        (_body().encode("utf-16"), None, "utf-16"),
        (_body().encode(), "application/json; charset=no-such", None),
    ],
)
def test_a_body_is_read_in_the_charset_that_it_is_in(
    body: bytes, content_type: str | None, charset: str | None
) -> None:
    """The declared one, else UTF-8, else GB18030; the record says which."""
    run = parse_run_request("run", body, content_type)
    assert ("7", {"q": _TEXT}, charset, None) == (run.workflow_id, run.parameters, run.charset, run.unread)
    assert run.metadata() == ({} if charset is None else {"request_charset": charset})


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e400", "1e400"),
        ("80241446968629135069", "80241446968629135069"),
        ("9223372036854775807", 9223372036854775807),
        ("3.10", 3.1),
        (r'"half \ud83d"', r"half \ud83d"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        ('"a\nb\tc"', "a\nb\tc"),
    ],
)
def test_what_json_has_no_form_for_is_read(written: str, value: object) -> None:
    """Python, Java and JavaScript write it; as parameters and in parameters that are a text."""
    for parameters in (f'{{"q":{written}}}', json.dumps(f'{{"q":{written}}}')):
        run = parse_run_request("run", f'{{"workflow_id":"7","parameters":{parameters}}}'.encode())
        assert ("7", None) == (run.workflow_id, run.unread)
        assert {"q": value} == json.loads(encode(run.parameters))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", None),
        (b"{", "{"),
        (b"[]", "[]"),
        (b'"x"', '"x"'),
        (b"workflow_id=7&q=x", "workflow_id=7&q=x"),
        (
            b'{"workflow_id":"7","parameters":{"q":"\xff\xfe\xfd"',
            r'{"workflow_id":"7","parameters":{"q":"\xff\xfe\xfd"',
        ),
    ],
)
def test_a_request_that_is_no_object_is_kept_as_text(body: bytes, text: str | None) -> None:
    """Under a workflow id that says so; a recorded path never passes unrecorded."""
    run = parse_run_request("run", body)
    assert (UNKNOWN_WORKFLOW, text) == (run.workflow_id, run.parameters)
    assert "text" in run.metadata()["unread"]


@pytest.mark.parametrize("workflow_id", [None, "", "x" * 5_000, {}, True])
@pytest.mark.parametrize("kind", ["run", "resume"])
def test_a_request_without_a_workflow_is_kept_whole(kind: Any, workflow_id: object) -> None:
    """An answer to a question too, which may still name the run by its event."""
    content = {"workflow_id": workflow_id, "parameters": {"a": 1}, "event_id": "5/1", "resume_data": "yes"}
    run = parse_run_request(kind, json.dumps(content).encode())
    assert (UNKNOWN_WORKFLOW, content, "5/1", "yes") == (
        run.workflow_id, run.parameters, run.event_id, run.resume_data,
    )  # fmt: skip
    assert run.unread is not None


def test_a_chat_keeps_its_messages_beside_its_parameters() -> None:
    """And its last message is what answers a question."""
    messages = [{"role": "user", "content": "first"}, {"role": "user", "content": "four"}]
    content = {"workflow_id": "7", "conversation_id": "c", "additional_messages": messages, "parameters": {"a": 1}}
    run = parse_run_request("chat", json.dumps(content).encode())
    assert ({"additional_messages": messages, "a": 1}, "four", "c") == (
        run.parameters, run.resume_data, run.conversation_id,
    )  # fmt: skip
    assert {"a": 1} == parse_run_request("run", json.dumps(content).encode()).parameters


def test_half_of_a_surrogate_pair_in_an_id_is_its_escape() -> None:
    """No store takes it as it is."""
    run = parse_run_request("run", rb'{"workflow_id":"7","bot_id":"b\ud83d","conversation_id":"\ud83d\ude00"}')
    assert (r"b\ud83d", "\U0001f600") == (run.bot_id, run.conversation_id)


@given(st.binary(), st.none() | st.text(max_size=30))
def test_every_request_can_have_a_record(body: bytes, content_type: str | None) -> None:
    """Whatever its bytes are, and whatever they claim to be."""
    for kind in ("run", "resume", "chat"):
        run = parse_run_request(kind, body, content_type)
        assert is_identifier(run.workflow_id)
        encode(run.parameters)


def test_an_ordinary_request_says_nothing_of_how_it_was_read() -> None:
    """Its record has no key more."""
    run = parse_run_request("run", b'{"workflow_id":"7","parameters":{}}', "application/json")
    assert (RunRequest("run", "7", {}), {}) == (run, run.metadata())


@pytest.mark.parametrize(
    ("content_type", "is_json", "is_stream"),
    [
        ("application/json", True, False),
        ("Application/JSON; charset=utf-8", True, False),
        ("application/problem+json", True, False),
        ("text/json", True, False),
        ("application/x-ndjson", False, False),
        ("text/plain; note=json", False, False),
        ("text/html", False, False),
        ("", False, False),
        (None, False, False),
        ("Text/Event-Stream; charset=utf-8", False, True),
    ],
)
def test_a_content_type_claims_what_it_is(content_type: str | None, is_json: bool, is_stream: bool) -> None:
    """By its media type alone; where a stream was asked for, all but JSON is one."""
    assert is_json is claims_json(content_type)
    assert is_stream is claims_stream(content_type, is_streamed=False)
    assert (not is_json) is claims_stream(content_type, is_streamed=True)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(_body().encode())),
        ("deflate", zlib.compress(_body().encode())),
        ("gzip, gzip", gzip.compress(gzip.compress(_body().encode()))),
        ("utf-8", _body().encode()),
        (None, _body().encode()),
    ],
)
def test_an_encoded_body_is_read_as_what_it_encodes(encoding: str | None, body: bytes) -> None:
    """It goes on as it came."""
    run = parse_run_request("run", body, "application/json", encoding)
    assert ("7", {"q": _TEXT}, None) == (run.workflow_id, run.parameters, run.unread)


@pytest.mark.parametrize("body", [_body().encode(), gzip.compress(_body().encode())[:-5]])
def test_a_body_that_is_not_in_its_encoding_says_so(body: bytes) -> None:
    """The run is recorded all the same."""
    run = parse_run_request("run", body, None, "gzip")
    assert (UNKNOWN_WORKFLOW, None) == (run.workflow_id, run.parameters)
    assert "its encoding" in (run.unread or "") or "in the encoding" in (run.unread or "")


def test_a_parameter_does_not_hide_the_messages_of_a_chat() -> None:
    """Even where it has their name."""
    messages = [{"role": "user", "content": "hello"}]
    content = {"workflow_id": "7", "parameters": {"additional_messages": "mine"}, "additional_messages": messages}
    run = parse_run_request("chat", json.dumps(content).encode())
    assert {"additional_messages": messages} == run.parameters
