"""What Coze's requests, answers and streams mean (coze-protocol, sections 1 to 3)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.coze.protocol.envelope import read_envelope, read_output
from execution_history.coze.protocol.messages import Outcome, RunRequest, execute_id_of, run_kind
from execution_history.coze.protocol.request_reader import parse_run_request
from execution_history.coze.protocol.sse import EventDecoder
from execution_history.coze.protocol.stream_reader import StreamReader
from execution_history.records.proof import Proof

_URL = "https://www.coze.cn/work_flow?execute_id=111&space_id=222&workflow_id=333"
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def _event(name: str, data: dict[str, Any], number: int = 0) -> bytes:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _message(content: str, title: str = "End", *, finish: bool = False, **more: Any) -> bytes:
    return _event(
        "Message", {"content": content, "node_title": title, "node_is_finish": finish, "node_seq_id": "0"} | more
    )


def _read(*parts: bytes, failure: Outcome | None = None) -> tuple[StreamReader, Outcome]:
    reading = StreamReader(EventDecoder(), 1_000)
    for number, part in enumerate(parts):
        reading.feed(part, 1_000 + number)
    reading.close(2_000)
    return reading, reading.outcome(failure)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/workflow/run", "run"),
        ("post", "//v1//workflow/stream_run", "stream_run"),
        ("POST", "/v1/chat/../workflow/stream_resume", "stream_resume"),
        ("POST", "/v1/workflows/resume", "resume"),
        ("POST", "/v1/workflows/chat", "chat"),
        ("GET", "/v1/workflow/run", None),
        ("POST", "/v1/workflows", None),
    ],
)
def test_recorded_calls_are_recognised(method: str, path: str, expected: str | None) -> None:
    """By method and path, double slashes counting as one, and ``..`` as servers read it."""
    assert expected == run_kind(method, path)


def test_a_request_says_what_runs_with_what() -> None:
    """Every field that the record keeps."""
    body = {
        "workflow_id": "7", "parameters": '{"a": 1}', "bot_id": 5, "connector_id": "1024",
        "ext": {"user_id": "u"}, "is_async": True, "unknown": [],
    }  # fmt: skip
    call = parse_run_request("run", json.dumps(body).encode())
    assert RunRequest("run", "7", {"a": 1}, "5", connector_id="1024", connector_uid="u", is_async=True) == call
    assert 2 == call.run_mode


@pytest.mark.parametrize(
    "run",
    [
        RunRequest("run", "7", {"a": 1}, "5", connector_uid="u", is_async=True),
        RunRequest("stream_run", "7", {}, app_id="6"),
        RunRequest("resume", "7", event_id="8/1", resume_data="Oslo", interrupt_type=2),
    ],
    ids=lambda run: run.kind,
)
def test_a_body_is_parsed_to_the_request_that_it_was_written_for(run: RunRequest) -> None:
    """Writing and reading agree on every field, and the path on the kind."""
    assert run == parse_run_request(run.kind, json.dumps(run.body()).encode())
    assert run.kind == run_kind("POST", run.path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"output":"hello"}', {"output": "hello"}),
        ("plain {text}", "plain {text}"),
        ('{"content_type":1,"data":"text","original_result":null,"type_for_model":2}', "text"),
        ('{"content_type":1,"data":"{\\"a\\":1}"}', {"a": 1}),
        ("[1,2]", [1, 2]),
        ("", ""),
        (None, None),
        ({"already": 1}, {"already": 1}),
    ],
)
def test_an_output_is_json_where_it_is_json_and_text_where_it_is_text(data: object, expected: object) -> None:
    """The end node's text wrapper is unwrapped."""
    assert (expected, None) == read_output(data)


def _answered(content: object, status: int = 200, *, is_async: bool = False) -> Outcome:
    return read_envelope(
        RunRequest("run", "7", is_async=is_async), status, json.dumps(content).encode(), {"x-tt-logid": "L"}
    )


def test_a_synchronous_success() -> None:
    """Output, usage, ids; the execute id from the debug address where the answer has none."""
    usage = {"input_count": 1, "output_count": 2, "token_count": 3}
    outcome = _answered({"code": 0, "msg": "", "data": '{"output":"hi"}', "debug_url": _URL, "usage": usage})
    assert Outcome("success", Proof.ENVELOPE, {"output": "hi"}, None, None, _URL, usage, "111", "L") == outcome


def test_an_asynchronous_start_is_running() -> None:
    """Its end is not known yet; the code may be absent."""
    outcome = _answered({"execute_id": "9", "debug_url": _URL, "msg": ""}, is_async=True)
    assert ("running", "accepted", "9") == (outcome.status, outcome.proof, outcome.execute_id)


def test_a_question_interrupts() -> None:
    """What is needed to resume is kept, the execute id from the event id."""
    data = {"event_id": "111/2", "type": 2, "data": ""}
    outcome = _answered({"code": 0, "interrupt_data": data})
    assert ("interrupted", "111", data) == (outcome.status, outcome.execute_id, outcome.interrupt)


@pytest.mark.parametrize(
    ("content", "status", "proof", "code"),
    [
        ({"code": 4200, "msg": "not found"}, 200, "rejected", 4200),
        ({"code": 720702017, "msg": "failed", "debug_url": _URL}, 200, "envelope", 720702017),
        ({"code": 4100, "msg": "auth"}, 401, "rejected", 4100),
        ({"msg": "bad gateway"}, 502, "http_status", 502),
        ({"detail": "Not Found"}, 404, "rejected", 404),
    ],
)
def test_a_failure_is_told_from_a_rejection(content: object, status: int, proof: str, code: int) -> None:
    """Where there is an execution it failed, where there is none the request was refused."""
    outcome = _answered(content, status)
    assert ("failed", proof, code) == (outcome.status, outcome.proof, outcome.error_code)
    assert outcome.error_message


@pytest.mark.parametrize(
    ("status", "proof"), [(200, "not_json"), (401, "http_status"), (500, "http_status"), (504, "http_status")]
)
def test_an_answer_that_is_no_json_is_a_failure_with_a_sentence(status: int, proof: str) -> None:
    """And a server's fault leaves open what became of the run."""
    outcome = read_envelope(RunRequest("run", "7"), status, b"<html>", {})
    assert ("failed", proof) == (outcome.status, outcome.proof)
    assert outcome.error_message
    assert ("may still have run" in outcome.error_message) == (status >= 500)


def test_a_stream_ends_in_success_with_done() -> None:
    """All messages of all nodes are kept in order, the end node's are the output."""
    usage = {"token_count": 3}
    reading, outcome = _read(
        _message("part", "Writer", node_id="1", node_type="Message"),
        _event("PING", {"content": "{}"}),
        _message('{"a":', node_id="2", node_type="End"),
        _message(" one", "Writer", node_id="1", finish=True),
        _message("1}", node_id="2", finish=True, usage=usage),
        _event("Done", {"debug_url": _URL}),
    )
    assert ("success", "done_event", {"a": 1}, usage, "111", _URL) == (
        outcome.status, outcome.proof, outcome.output, outcome.usage, outcome.execute_id, outcome.debug_url,
    )  # fmt: skip
    timeline = reading.timeline()
    assert timeline is not None
    assert ["Writer", "End"] == list(timeline)
    assert ("part one", [[1, 0, 4], [3, 3, 4]], True) == (
        timeline["Writer"]["content"], timeline["Writer"]["packets"], timeline["Writer"]["is_finish"],
    )  # fmt: skip


def test_nodes_of_one_title_are_kept_apart() -> None:
    """By their run, then their id."""
    reading, _ = _read(_message("a", "Loop", node_execute_uuid="u1"), _message("b", "Loop", node_execute_uuid="u2"))
    assert {"Loop": "a", "Loop (2)": "b"} == {
        name: node["content"] for name, node in (reading.timeline() or {}).items()
    }


def test_a_stream_without_a_terminator_did_not_succeed() -> None:
    """However clean its end was."""
    _, outcome = _read(_message('{"a":1}', finish=True))
    assert ("failed", "stream_ended_early") == (outcome.status, outcome.proof)
    assert "may still be running" in (outcome.error_message or "")


def test_a_broken_stream_says_how_it_broke() -> None:
    """The failure that the transport saw is the reason, unless Coze had said how the run ended."""
    broken = Outcome("failed", Proof.CONNECTION_BROKEN, error_message="broke")
    assert "connection_broken" == _read(_message("x"), failure=broken)[1].proof
    assert "done_event" == _read(_message("x"), _event("Done", {}), failure=broken)[1].proof


@pytest.mark.parametrize("name", ["Error", "error"])
def test_an_error_event_ends_in_failure(name: str) -> None:
    """With its code and message, and Studio's debug address."""
    _, outcome = _read(_event(name, {"error_code": 4000, "error_message": "bad", "debug_url": _URL}))
    assert ("failed", "error_event", 4000, "bad", "111") == (
        outcome.status, outcome.proof, outcome.error_code, outcome.error_message, outcome.execute_id,
    )  # fmt: skip


def test_an_error_that_is_no_json_is_kept_as_text() -> None:
    """As Studio's transport errors are."""
    _, outcome = _read(b"event: error\ndata: stream broke\n\n")
    assert ("failed", "stream broke") == (outcome.status, outcome.error_message)


def test_an_interrupt_keeps_what_a_resume_needs() -> None:
    """And the node that asks."""
    _, outcome = _read(_event("Interrupt", {"interrupt_data": {"event_id": "5/1", "type": 2}, "node_title": "Ask"}))
    assert ("interrupted", "5", {"event_id": "5/1", "type": 2, "node_title": "Ask"}) == (
        outcome.status, outcome.execute_id, outcome.interrupt,
    )  # fmt: skip


def test_a_chat_stream_is_read_too() -> None:
    """Its answer is the output, its own events say how it ended."""
    _, outcome = _read(
        _event("conversation.chat.created", {"conversation_id": "c"}),
        _event("conversation.message.delta", {"type": "answer", "content": "He"}),
        _event("conversation.message.completed", {"type": "answer", "content": "Hello"}),
        _event("conversation.chat.completed", {"usage": {"token_count": 1}}),
        _event("done", {"debug_url": _URL}),
    )
    assert ("success", "Hello", {"token_count": 1}, "111") == (
        outcome.status, outcome.output, outcome.usage, outcome.execute_id,
    )  # fmt: skip


def test_many_packets_do_not_grow_the_timeline_without_bound() -> None:
    """The content stays whole."""
    reading, _ = _read(*(_message(f"{number} ") for number in range(2_500)))
    node = (reading.timeline() or {})["End"]
    assert (2_000, 2_500, "".join(f"{number} " for number in range(2_500))) == (
        len(node["packets"]), node["packet_count"], node["content"],
    )  # fmt: skip


def test_an_escaped_debug_address_is_read() -> None:
    """JSON may spell the ampersand as an escape; a malformed address has no id."""
    assert "111" == execute_id_of(json.loads('"https://x/w?space_id=2\\u0026execute_id=111"'))
    assert execute_id_of("http://[") is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?execute_id=1", "1"),
        ("?execute_id=A&execute_id=B", "A"),
        ("?x=1&execute_id=2&execute_id=3#end", "2"),
        ("?execute_id=&execute_id=4", "4"),
        ("?execute_id=a%2Fb+c", "a/b c"),
        ("?old_execute_id=1", None),
        ("#?execute_id=1", None),
        ("/execute_id=1", None),
    ],
)
def test_the_execute_id_is_that_of_the_query(query: str, found: str | None) -> None:
    """The first one that is not empty, without its encoding; nothing like it elsewhere in the address."""
    assert found == execute_id_of(f"https://www.coze.cn/work_flow{query}")


@given(_json, st.integers(100, 599))
def test_no_answer_breaks_the_reading(content: object, status: int) -> None:
    """Any JSON in the place of an envelope, and of every field of one."""
    for body in (content, {"code": 0, "data": content}, {"code": content, "msg": content, "detail": content},
                 {"code": 0, "interrupt_data": content, "debug_url": content, "usage": content}):  # fmt: skip
        assert read_envelope(RunRequest("run", "7"), status, json.dumps(body).encode(), {}).status in {
            "running", "success", "failed", "interrupted",
        }  # fmt: skip


@given(st.sampled_from(["Message", "Error", "Interrupt", "Done", "conversation.message.completed"]), _json)
def test_no_event_breaks_the_reading(name: str, content: Any) -> None:
    """Any JSON as an event's data, and in its fields."""
    keys = (
        "content",
        "node_title",
        "node_id",
        "usage",
        "interrupt_data",
        "error_code",
        "error_message",
        "debug_url",
        "type",
    )
    reading, outcome = _read(_event(name, content), _event(name, dict.fromkeys(keys, content)))
    assert outcome.status in {"success", "failed", "interrupted"}
    json.dumps(reading.timeline())


@given(st.binary(), st.binary())
def test_no_bytes_break_the_reading(request: bytes, stream: bytes) -> None:
    """Neither as a request nor as a stream."""
    parse_run_request("run", request)
    _read(stream)
