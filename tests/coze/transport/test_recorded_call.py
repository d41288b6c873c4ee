"""What is recorded of a call, decided without a socket, a clock or an event loop."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.coze.protocol.messages import Outcome, RunRequest
from execution_history.coze.transport.recorded_call import NEVER_SENT, STOPPED, CloseRecord, RecordedCall
from execution_history.records.proof import Proof

_JSON = {"content-type": "application/json", "x-tt-logid": "L"}
_EVENTS = {"content-type": "text/event-stream", "x-tt-logid": "L"}
_BROKEN = Outcome("failed", Proof.CONNECTION_BROKEN, error_message="It broke.")
_DONE = b'event: Done\ndata: {"debug_url":"http://x/?execute_id=77"}\n\n'


def _message(content: str, *, last: bool = False) -> bytes:
    data = {"content": content, "node_title": "End", "node_is_finish": last}
    return f"event: Message\ndata: {json.dumps(data)}\n\n".encode()


def _call(run: RunRequest | None = None, **options: Any) -> RecordedCall:
    call = RecordedCall(run or RunRequest("run", "7"), lambda: 5_000, **options)
    call.opened(1_000)
    return call


def _closed(
    call: RecordedCall, headers: Mapping[str, str], *chunks: bytes, failure: Outcome | None = None, status: int = 200
) -> CloseRecord:
    call.receive_head(status, headers)
    for chunk in chunks:
        call.receive_data(chunk)
    action = call.end(failure)
    assert action is not None
    return action


def test_the_end_of_a_whole_answer_is_held_back_until_its_record_can_be_closed() -> None:
    """The chunks before it pass one by one, and what is held back is released once."""
    call = _call()
    call.receive_head(200, _JSON)
    assert [b"", b'{"code"', b":0,"] == [call.receive_data(part) for part in (b'{"code"', b":0,", b'"data":"1"}')]
    action = call.end()
    assert action is not None
    assert ("success", "1") == (action.outcome.status, action.fields["output"])
    assert [b'"data":"1"}', b""] == [call.release(), call.release()]


def test_a_stream_passes_at_once_and_shows_its_progress() -> None:
    """Nothing of it is held back; what has come so far can be saved at any time."""
    call = _call(RunRequest("stream_run", "7"))
    call.receive_head(200, _EVENTS)
    assert _message("half") == call.receive_data(_message("half"))
    progress: Any = call.progress()
    assert (True, "half", b"") == (call.is_stream, progress["node_execute_status"]["End"]["content"], call.release())


def test_a_call_ends_once() -> None:
    """Whoever comes second has nothing to close."""
    call = _call()
    call.receive_head(200, _JSON)
    assert (False, True, None, True) == (call.has_ended, call.end() is not None, call.end(STOPPED), call.has_ended)


def test_a_stream_ends_with_what_it_said() -> None:
    """Its output, timeline, ids and proof are the record's."""
    action = _closed(_call(RunRequest("stream_run", "7")), _EVENTS, _message("a"), _message("b", last=True) + _DONE)
    assert ("success", "ab") == (action.outcome.status, action.fields["output"])
    assert {"proof": "done_event", "log_id": "L", "coze_execute_id": "77"} == action.metadata
    assert [[1, 4_000, 1], [2, 4_000, 1]] == action.fields["node_execute_status"]["End"]["packets"]
    assert (None, None) == (action.polled_id, action.fallback)


def test_an_accepted_run_stays_open_and_is_polled() -> None:
    """Under the id that it has upstream; nothing can be said in its place."""
    run = RunRequest("run", "7", is_async=True)
    action = _closed(_call(run), _JSON, b'{"code":0,"execute_id":"77"}')
    assert ("running", "accepted", "77", None) == (
        action.outcome.status, action.outcome.proof, action.polled_id, action.fallback,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event_id", "status", "polled_id"), [("77/1", "running", "77"), (None, "failed", None)], ids=["named", "unnamed"]
)
def test_a_broken_stream_is_followed_where_the_run_has_a_name(
    event_id: str | None, status: str, polled_id: str | None
) -> None:
    """And says itself how it ended where the upstream cannot be asked."""
    run = RunRequest("stream_resume", "7", event_id=event_id)
    action = _closed(_call(run), _EVENTS, _message("a"), failure=_BROKEN)
    assert (status, polled_id) == (action.outcome.status, action.polled_id)
    failed = action.fallback or action.outcome
    assert ("failed", "connection_broken", "It broke.") == (failed.status, failed.proof, failed.error_message)


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (Outcome("failed", Proof.CONNECTION_FAILED, error_message="h could not be reached, so the run never began."),
         "The answer did not get to Coze: h could not be reached."),
        (NEVER_SENT, "The answer was not sent, because its caller left before."),
        (None, "Coze did not take the answer: no such event"),
    ],
    ids=["connection_failed", "never_sent", "rejected"],
)  # fmt: skip
def test_a_run_whose_answer_did_not_get_through_asks_on(failure: Outcome | None, sentence: str) -> None:
    """It is interrupted as before, and the sentence is about the answer."""
    call = _call(RunRequest("resume", "7", event_id="77/1"))
    call.opened(1_000, None, {"event_id": "77/1"})
    action = _closed(call, _JSON, b'{"code":4000,"msg":"no such event"}', failure=failure)
    assert ("interrupted", {"event_id": "77/1"}, sentence) == (
        action.outcome.status, action.metadata["interrupt"], action.fields["error_message"],
    )  # fmt: skip


def test_a_resumed_run_continues_its_timeline() -> None:
    """What an earlier part has said stays before what comes now."""
    before: Any = _closed(_call(RunRequest("stream_run", "7")), _EVENTS, _message("one, "), failure=_BROKEN)
    call = _call(RunRequest("stream_resume", "7"))
    call.opened(1_000, before.fields["node_execute_status"])
    action = _closed(call, _EVENTS, _message("two", last=True) + _DONE)
    assert "one, two" == action.fields["output"]


def test_an_answer_beyond_the_limit_only_passes() -> None:
    """All its bytes do; the record says why it has none."""
    call = _call(largest=10)
    action = _closed(call, _JSON, b"x" * 11)
    assert ("interrupted", "unreadable", b"x" * 11) == (action.outcome.status, action.outcome.proof, call.release())
    assert "larger than the 10 bytes" in action.fields["error_message"]


def test_a_stream_beyond_the_limit_says_that_it_is_cut() -> None:
    """It still ended as it did."""
    action = _closed(_call(RunRequest("stream_run", "7"), largest=100), _EVENTS, _message("x" * 200), _DONE)
    assert ("success", True) == (action.outcome.status, action.metadata["recording_is_cut"])


def test_a_fault_of_the_recording_costs_no_byte() -> None:
    """What follows it passes unread, and the record claims nothing."""

    def clock() -> int:
        raise LookupError("The clock has stopped.")

    call = RecordedCall(RunRequest("stream_run", "7"), clock)
    call.opened(1_000)
    call.receive_head(200, _EVENTS)
    assert [_message("a"), _DONE] == [call.receive_data(_message("a")), call.receive_data(_DONE)]
    action = call.end()
    assert action is not None
    assert ("interrupted", {"proof": "abandoned"}, False) == (action.outcome.status, action.metadata, call.is_stream)


def test_a_terminator_ends_the_call_and_what_follows_completes_it() -> None:
    """Also where the connection breaks behind it; only what is new is added, and only once it is known."""
    call = _call(RunRequest("stream_run", "7"))
    call.receive_head(200, _EVENTS)
    call.receive_data(_message("a", last=True))
    assert not call.is_over
    call.receive_data(b'event: Error\ndata: {"error_code":5,"error_message":"No."}\n\n')
    assert call.is_over
    action = call.end()
    assert action is not None
    assert ("failed", False, None, None) == (action.outcome.status, call.is_over, call.end(_BROKEN), call.complete())
    call.receive_data(_DONE)
    completion = call.complete()
    assert completion is not None
    assert ("failed", {"debug_url": "http://x/?execute_id=77"}, {"coze_execute_id": "77"}) == (
        completion.status, completion.fields, completion.metadata,
    )  # fmt: skip


def test_only_one_terminator_counts() -> None:
    """The first one; others in the same chunk, or later, change nothing."""
    call = _call(RunRequest("stream_run", "7"))
    action = _closed(call, _EVENTS, b"event: Done\ndata: {}\n\nevent: Error\ndata: {}\n\n")
    call.receive_data(b"event: Error\ndata: {}\n\n")
    assert ("success", None) == (action.outcome.status, call.complete())


@pytest.mark.parametrize("failure", [_BROKEN, STOPPED])
def test_the_log_id_of_a_broken_answer_is_kept(failure: Outcome) -> None:
    """It came with the head."""
    action = _closed(_call(), _JSON, b'{"code"', failure=failure)
    assert (failure.status, "L") == (action.outcome.status, action.metadata["log_id"])


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://user:pass@h/v1/run?token=1#x", "https://h/v1/run"),
        ("/moved?a=1", "/moved"),
        ("//h/x", "//h/x"),
        ("", ""),
    ],
)
def test_a_redirected_run_never_began(location: str, shown: str) -> None:
    """Whatever came with the redirect; the sentence shows where it leads without what may be secret."""
    action = _closed(_call(), {**_EVENTS, "location": location}, b"<html>", failure=_BROKEN, status=307)
    assert ("failed", 307, f"The upstream redirected the run to {shown} (HTTP 307), so this call began no run.") == (
        action.outcome.status, action.fields["error_code"], action.fields["error_message"],
    )  # fmt: skip


@given(
    st.sampled_from(["application/json", "text/event-stream"]),
    st.sampled_from(["", "gzip", "br", "zstd", "mystery"]),
    st.integers(100, 599),
    st.lists(st.binary(max_size=30)),
    st.sampled_from([None, STOPPED, _BROKEN]),
)
def test_every_byte_passes_in_its_order(
    kind: str, encoding: str, status: int, chunks: list[bytes], failure: Outcome | None
) -> None:
    """Whatever the answer is, and however it ends."""
    call = _call()
    call.receive_head(status, {"content-type": kind, "content-encoding": encoding})
    passed = b"".join([call.receive_data(chunk) for chunk in chunks])
    assert call.end(failure) is not None
    assert b"".join(chunks) == passed + call.release()
