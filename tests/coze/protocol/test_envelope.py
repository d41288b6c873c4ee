"""Outputs and envelopes: what a record keeps of them, and what is given back."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from execution_history.coze.protocol.envelope import read_envelope, read_output
from execution_history.coze.protocol.messages import Outcome, RunRequest
from execution_history.coze.protocol.run_history import RunHistory, read_history
from execution_history.coze.protocol.run_history_response import render_history, translate_studio
from execution_history.coze.protocol.sse import EventDecoder
from execution_history.coze.protocol.stream_reader import StreamReader
from execution_history.coze.tracking.history_merge import document_of
from execution_history.records.encoding import encode

_TEXTS = [
    "3.10", "1.0", "2024.10", "null", "true", "false", "1e5", "12345678901234567890123", "00123", "-1", '"quoted"',
    '"', "NaN", " 7 ", "plain {text}", "{not json", "[1,2", "{'a': 1}", "",
]  # fmt: skip


def _wrapped(words: str) -> str:
    return json.dumps({"content_type": 1, "data": words, "original_result": None, "type_for_model": 2})


def _run(said: str) -> Outcome:
    return read_envelope(RunRequest("run", "7"), 200, json.dumps({"code": 0, "data": said}).encode(), {})


def _streamed(said: str) -> Outcome:
    reader = StreamReader(EventDecoder(), 0)
    message = {"content": said, "node_title": "End", "node_type": "End", "node_is_finish": True}
    reader.feed(b"event: Message\ndata: %s\n\nevent: Done\ndata: {}\n\n" % json.dumps(message).encode(), 1)
    return reader.outcome()


def _chatted(said: str) -> Outcome:
    reader = StreamReader(EventDecoder(), 0)
    message = json.dumps({"type": "answer", "id": "m", "content": said}).encode()
    reader.feed(b"event: conversation.message.completed\ndata: %s\n\nevent: done\ndata: {}\n\n" % message, 1)
    return reader.outcome()


def _told(said: str) -> Outcome:
    entry = {"execute_id": "1", "execute_status": "Success", "output": json.dumps({"Output": said})}
    history = read_history(200, json.dumps({"code": 0, "data": [entry]}).encode())
    assert isinstance(history, RunHistory)
    return history.outcome


_WAYS: list[Callable[[str], Outcome]] = [_run, lambda said: _run(_wrapped(said)), _streamed, _chatted, _told]


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("words", _TEXTS)
def test_text_stays_text(words: str, way: Callable[[str], Outcome]) -> None:
    """In every kind of answer, whatever it looks like."""
    outcome = way(words)
    expected = None if way is _told and not words else words
    assert ("success", expected, None) == (outcome.status, outcome.output, outcome.output_text)


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize(
    ("words", "output", "is_kept"),
    [
        ('{"a":1}', {"a": 1}, False),
        (' \n[1, {"b": "2"}]', [1, {"b": "2"}], False),
        ('{"a":3.10,"b":9223372036854775807,"c":0.1234567890123456}', None, False),
        ('{"id":"7531293268223459329","n":1234567890123456789}', None, False),
        ('{"n":80241446968629135069}', {"n": "80241446968629135069"}, True),
        ('{"n":100000000000000000000}', {"n": "100000000000000000000"}, True),
        ('{"n":3.14159265358979323846}', {"n": "3.14159265358979323846"}, True),
        ('{"n":1e400,"m":1e-400}', {"n": "1e400", "m": "1e-400"}, True),
        ('{"n":NaN,"m":-Infinity}', {"n": "NaN", "m": "-Infinity"}, True),
        ('{"half":"\\ud83d"}', {"half": r"\ud83d"}, True),
        ('{"line":"a\nb"}', {"line": "a\nb"}, True),
        ('{"a":1,"a":2}', {"a": 2}, False),
        ("[" * 200 + "]" * 200, ..., True),
    ],
)
def test_json_is_opened_and_its_text_kept_where_values_change(
    words: str, output: Any, is_kept: bool, way: Callable[[str], Outcome]
) -> None:
    """Values have the documented forms, and whoever asks for the history gets what Coze wrote."""
    outcome = way(words)
    assert (words if is_kept else None) == outcome.output_text
    if output is not ...:
        assert (json.loads(words) if output is None else output) == outcome.output
    orjson.dumps(outcome.output)


@pytest.mark.parametrize(
    "words", [*_TEXTS[:-1], '{"n":80241446968629135069}', '{"n":NaN}', '{"half":"\\ud83d"}', "[1]"]
)
def test_a_history_gives_back_the_text_that_coze_gave(words: str) -> None:
    """From a record, and translated from Studio's."""
    entry = {"execute_id": "1", "execute_status": "Success", "output": json.dumps({"Output": words})}
    body = json.dumps({"code": 0, "data": [entry]}).encode()
    history = read_history(200, body)
    assert isinstance(history, RunHistory)
    record = orjson.loads(document_of("7", "e", history, "1", 9_000, "default").body)
    assert words == json.loads(render_history(record)["output"])["Output"]
    translated = translate_studio(body)
    assert translated is not None
    assert words == json.loads(json.loads(translated)["data"][0]["output"])["Output"]


def test_the_wrapper_of_a_text_is_opened_once() -> None:
    """What is wrapped again is the output."""
    twice = _wrapped(_wrapped("x"))
    assert (json.loads(_wrapped("x")), None) == read_output(twice)
    assert ("null", None) == read_output(_wrapped("null"))
    assert ({"n": "80241446968629135069"}, '{"n":80241446968629135069}') == read_output(
        _wrapped('{"n":80241446968629135069}')
    )


def test_half_of_a_surrogate_pair_is_no_failure() -> None:
    """A successful answer stays one, in an envelope and behind its encoding."""
    body = rb'{"code":0,"msg":"","data":"{\"content_type\":1,\"data\":\"cut at 20: \ud83d\"}"}'
    outcome = read_envelope(RunRequest("run", "7"), 200, body, {})
    assert ("success", r"cut at 20: \ud83d") == (outcome.status, outcome.output)
    assert r"\ud83d" in (_run("\ud83d said").output or "")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_fault_of_a_server_leaves_open_whether_it_ran(status: int) -> None:
    """With an envelope as without one; only where the run has an id did it fail itself."""
    outcome = read_envelope(RunRequest("run", "7"), status, b'{"code":5000,"msg":"busy"}', {})
    assert ("failed", "http_status", 5000) == (outcome.status, outcome.proof, outcome.error_code)
    assert "busy" in (outcome.error_message or "")
    assert "may still have run" in (outcome.error_message or "")
    known = read_envelope(RunRequest("run", "7"), status, b'{"code":5000,"msg":"busy","execute_id":"9"}', {})
    assert ("envelope", "busy") == (known.proof, known.error_message)


@pytest.mark.parametrize("code", [0, None, "0"])
def test_a_code_of_zero_is_none(code: object) -> None:
    """As a number, as a text, or not there."""
    assert "success" == read_envelope(RunRequest("run", "7"), 200, encode({"code": code, "data": "x"}), {}).status


@pytest.mark.parametrize(
    ("body", "reason"), [({"detail": "Not Found"}, "Not Found"), ({"message": "no"}, "no"), ({}, "no reason")]
)
def test_a_refusal_gives_the_reason_that_there_is(body: dict[str, str], reason: str) -> None:
    """Whoever between here and Coze wrote it."""
    outcome = read_envelope(RunRequest("run", "7"), 404, encode(body), {})
    assert ("rejected", 404) == (outcome.proof, outcome.error_code)
    assert reason in (outcome.error_message or "")


def test_an_answer_in_another_charset_is_read_in_it() -> None:
    """And the record says so."""
    body = '{"code":0,"data":"{\\"output\\":\\"你好\\"}"}'.encode("gbk")
    for headers in ({}, {"content-type": "application/json; charset=gb18030"}):
        outcome = read_envelope(RunRequest("run", "7"), 200, body, headers)
        assert ({"output": "你好"}, {"answer_charset": "gb18030", "proof": "envelope"}) == (
            outcome.output, outcome.metadata(),
        )  # fmt: skip
