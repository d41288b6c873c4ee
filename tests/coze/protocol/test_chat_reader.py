"""Chatflows: their answers, their questions and their ends."""

import json
from typing import Any

import pytest

from execution_history.coze.protocol.messages import Outcome, is_chat_question
from execution_history.coze.protocol.sse import EventDecoder
from execution_history.coze.protocol.stream_reader import StreamReader
from execution_history.presentation.formatting import question_text
from execution_history.records.proof import Proof

_URL = "https://www.coze.cn/work_flow?execute_id=888&space_id=1&workflow_id=2"


def _event(name: str, data: object = None, number: int | None = None) -> bytes:
    written = data if isinstance(data, str) else json.dumps({} if data is None else data)
    prefix = "" if number is None else f"id: {number}\n"
    return f"{prefix}event: {name}\ndata: {written}\n\n".encode()


def _delta(content: str, message_id: str | None = None, number: int | None = None, **more: Any) -> bytes:
    known = {"type": "answer", "content": content, "conversation_id": "c"} | more
    return _event("conversation.message.delta", known | ({} if message_id is None else {"id": message_id}), number)


def _whole(content: str, message_id: str | None = None, number: int | None = None, **more: Any) -> bytes:
    known = {"type": "answer", "content": content, "conversation_id": "c"} | more
    return _event("conversation.message.completed", known | ({} if message_id is None else {"id": message_id}), number)


def _chat(status: str, **more: Any) -> bytes:
    return _event(f"conversation.chat.{status}", {"id": "h", "conversation_id": "c", "status": status} | more)


_COMPLETED = _chat("completed", usage={"token_count": 32})
_DONE = _event("done", {"debug_url": _URL})


def _reader(*events: bytes, timeline: object = None) -> StreamReader:
    reader = StreamReader(EventDecoder(), 1_000, timeline)
    for number, event in enumerate(events):
        reader.feed(event, 1_001 + number)
    reader.close(2_000)
    return reader


def _contents(reader: StreamReader) -> dict[str, Any]:
    return {name: node["content"] for name, node in (reader.timeline() or {}).items()}


def test_every_answer_is_kept() -> None:
    """A node for each message, and the output has all of them in order."""
    reader = _reader(
        _chat("created"),
        _delta("Looking up ", "m1"), _delta("the ferry.", "m1"), _whole("Looking up the ferry.", "m1"),
        _delta("It leaves ", "m2"), _delta("at 9:40.", "m2"), _whole("It leaves at 9:40.", "m2"), _COMPLETED, _DONE,
    )  # fmt: skip
    outcome = reader.outcome()
    assert ("success", "Looking up the ferry.\n\nIt leaves at 9:40.", {"token_count": 32}, "888", "c") == (
        outcome.status, outcome.output, outcome.usage, outcome.execute_id, reader.conversation_id,
    )  # fmt: skip
    timeline = reader.timeline() or {}
    assert [("answer", "m1", True, 2), ("answer (2)", "m2", True, 2)] == [
        (name, node["node_id"], node["is_finish"], node["packet_count"]) for name, node in timeline.items()
    ]


def test_answers_that_are_given_in_turns_are_kept_apart() -> None:
    """By the ids of their messages."""
    reader = _reader(_delta("a", "1"), _delta("x", "2"), _delta("b", "1"), _delta("y", "2"), _whole("ab", "1"), _DONE)
    assert {"answer": "ab", "answer (2)": "xy"} == _contents(reader)
    assert "ab\n\nxy" == reader.outcome().output


def test_messages_without_an_id_belong_to_the_answer_that_is_being_given() -> None:
    """After its end a new one begins."""
    reader = _reader(_delta("a"), _delta("b"), _whole("ab"), _delta("c"), _whole("c", "m2"), _DONE)
    assert {"answer": "ab", "answer (2)": "c"} == _contents(reader)


def test_a_whole_answer_may_have_another_id_than_its_pieces() -> None:
    """As in the example of Coze's documentation."""
    assert {"answer": "lunch?"} == _contents(_reader(_delta("lunch?", "122"), _whole("lunch?", "124"), _DONE))


@pytest.mark.parametrize("number", [None, 3])
def test_a_whole_answer_takes_the_place_of_its_pieces(number: int | None) -> None:
    """It may also come alone, or with more than they had; its characters are those of a packet."""
    assert {"answer": "Hello"} == _contents(_reader(_delta("He", "m", number), _whole("Hello", "m", number)))
    timeline = _reader(_delta("He", "m", number), _whole("Hello", "m", number)).timeline() or {}
    assert [2, 3] == [characters for _, _, characters in timeline["answer"]["packets"]]
    assert {"answer": "Hello"} == _contents(_reader(_whole("Hello", "m", number)))


def test_a_corrected_answer_is_the_one_that_counts() -> None:
    """Coze may state another text in the end than it streamed."""
    assert {"answer": "b"} == _contents(_reader(_delta("aaa", "m"), _whole("b", "m")))


def test_studios_last_piece_is_a_piece() -> None:
    """Its events have ids, and older ones end a message with what is left of it."""
    reader = _reader(_delta("one ", "m", 1), _delta("two ", "m", 2), _whole("three", "m", 3))
    assert {"answer": "one two three"} == _contents(reader)


def test_a_character_in_two_messages_is_one() -> None:
    """Each of them holds half of a surrogate pair."""
    halves = [f'event: conversation.message.delta\ndata: {{"content":"\\ud83{half}"}}\n\n'.encode() for half in "d"]
    rest = b'event: conversation.message.delta\ndata: {"content":"\\ude00!"}\n\n'
    assert "\U0001f600!" == _reader(*halves, rest, _DONE).outcome().output
    assert r"\ud83d" == _reader(*halves, _DONE).outcome().output


@pytest.mark.parametrize(
    "kind", ["function_call", "tool_output", "tool_response", "follow_up", "verbose", "knowledge", "question"]
)
def test_messages_of_other_types_are_no_answers(kind: str) -> None:
    """Whether they come in pieces or whole."""
    reader = _reader(_delta("x", "n", type=kind), _whole("y", "m"), _whole('{"name":"x"}', "n", type=kind), _DONE)
    assert ({"answer": "y"}, "y") == (_contents(reader), reader.outcome().output)


def test_what_a_model_thought_is_kept_beside_its_answer() -> None:
    """Under the name that Coze gives it."""
    reader = _reader(
        _delta("", "m", reasoning_content="Let me "), _delta("", "m", reasoning_content="see."), _delta("4", "m"), _DONE
    )
    node = (reader.timeline() or {})["answer"]
    assert ("4", "Let me see.") == (node["content"], node["reasoning_content"])
    assert "4" == reader.outcome().output


def _asks(**more: Any) -> bytes:
    return _chat("requires_action", **more)


def _said(kind: str, data: object = "") -> bytes:
    return _whole(json.dumps({"msg_type": kind, "data": data}), "v", type="verbose")


_REPLY = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [{"id": "", "type": "reply_message"}]}}
_PLUGIN = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [{"id": "1", "type": "function"}]}}


@pytest.mark.parametrize(
    "ending",
    [
        (_asks(execute_id="888"), _DONE),
        (_said("interrupt"), _asks(required_action=_REPLY), _DONE),
        (_said("interrupt"), _said("generate_answer_finish"), _DONE),
        (_said("interrupt", json.dumps({"event_id": "888/1", "type": 2, "data": ""})), _event("done", "[DONE]")),
        (_said("interrupt"), _COMPLETED, _DONE),
    ],
)
def test_a_question_interrupts_the_run(ending: tuple[bytes, ...]) -> None:
    """It is what the chat said last; the next message answers it."""
    reader = _reader(_delta("For how many?", "q"), _whole("For how many?", "q"), *ending)
    outcome = reader.outcome()
    assert ("interrupted", Proof.INTERRUPT_EVENT, "888") == (outcome.status, outcome.proof, outcome.execute_id)
    assert outcome.interrupt is not None
    assert is_chat_question(outcome.interrupt)
    assert ("For how many?", "c", "requires_action") == (
        question_text(outcome.interrupt), outcome.interrupt["conversation_id"], outcome.interrupt["status"],
    )  # fmt: skip
    assert "event_id" not in outcome.interrupt


def test_a_card_of_studio_asks_what_it_shows() -> None:
    """Its questions with options and its forms are messages that hold JSON in JSON."""

    def asked(**info: Any) -> dict[str, Any]:
        card = json.dumps({"card_type": 3, "data": "{}", "x_properties": {"workflow_card_info": json.dumps(info)}})
        return _reader(_whole(card, "q", content_type="card"), _asks(), _DONE).outcome().interrupt or {}

    interrupt = asked(question_card_data={"Title": "Which?", "Options": [{"name": "Oslo"}, {"name": "Rome"}]})
    assert is_chat_question(interrupt)
    assert "Which?" == question_text(interrupt)
    assert [{"name": "Oslo"}, {"name": "Rome"}] == json.loads(interrupt["data"])["content"]["options"]
    interrupt = asked(input_card_data=[{"type": "string", "name": "city", "required": True}])
    assert ("", True) == (question_text(interrupt), interrupt["required_parameters"]["city"]["required"])


@pytest.mark.parametrize("said", ["{", "{}", '{"x_properties":7}', '{"x_properties":{"workflow_card_info":"{"}}'])
def test_what_is_no_card_is_the_question_itself(said: str) -> None:
    """Whatever it looks like."""
    assert said == (_reader(_whole(said, "q"), _asks(), _DONE).outcome().interrupt or {})["data"]


def test_a_chat_that_waits_for_a_plugin_asks_nobody() -> None:
    """Its next message is no answer to it, and an interrupt of a workflow is none of a chat."""
    outcome = _reader(_asks(required_action=_PLUGIN), _DONE).outcome()
    assert "interrupted" == outcome.status
    assert not is_chat_question(outcome.interrupt)
    assert not is_chat_question({"event_id": "1/2", "type": 2})
    assert not is_chat_question(None)


def test_the_end_is_known_before_the_connection_closes() -> None:
    """A question counts at once, as does a failure; what succeeds ends with its last event."""
    reader = StreamReader(EventDecoder(), 0)
    reader.feed(_delta("Hi", "m") + _COMPLETED, 1)
    assert reader.ending is None
    reader.feed(_DONE, 2)
    assert reader.ending is not None
    assert "success" == reader.ending.status
    for event, status in ((_asks(), "interrupted"), (_chat("failed"), "failed"), (_event("error"), "failed")):
        reader = StreamReader(EventDecoder(), 0)
        reader.feed(event, 1)
        assert reader.ending is not None
        assert status == reader.ending.status
        reader.feed(_DONE, 2)
        assert (status, "888") == ((outcome := reader.outcome()).status, outcome.execute_id)


@pytest.mark.parametrize("ending", [(_COMPLETED,), (_COMPLETED, _DONE), (_DONE,), (_event("done", "[DONE]"),)])
def test_a_chat_that_says_its_end_succeeded(ending: tuple[bytes, ...]) -> None:
    """By its own event, by the stream's, or by both."""
    outcome = _reader(_whole("Hi", "m"), *ending).outcome()
    assert ("success", "Hi", Proof.DONE_EVENT) == (outcome.status, outcome.output, outcome.proof)


@pytest.mark.parametrize(
    ("event", "code", "message"),
    [
        (_chat("failed", last_error={"code": 4000, "msg": "no"}), 4000, "no"),
        (
            _event("conversation.chat.failed", {"code": "720702204", "msg": "no such conversation"}),
            "720702204",
            "no such",
        ),
        (_event("error", {"code": "5000", "msg": "broke", "debug_url": _URL}), "5000", "broke"),
        (_event("error", "text"), None, "text"),
    ],
)
def test_a_chat_that_failed_says_why(event: bytes, code: object, message: str) -> None:
    """In each of the shapes that Coze, its documentation and Studio have."""
    outcome = _reader(_delta("half an", "m"), event, _DONE).outcome()
    assert ("failed", Proof.ERROR_EVENT, code, None) == (
        outcome.status, outcome.proof, outcome.error_code, outcome.output,
    )  # fmt: skip
    assert message in (outcome.error_message or "")


@pytest.mark.parametrize("status", ["canceled", "cancelled"])
def test_a_chat_that_was_cancelled_did_not_fail(status: str) -> None:
    """Somebody stopped it."""
    outcome = _reader(_delta("half an", "m"), _chat(status), _DONE).outcome()
    assert ("interrupted", Proof.CANCEL_EVENT, None) == (outcome.status, outcome.proof, outcome.interrupt)


def test_a_chat_without_an_end_has_none() -> None:
    """However much it said."""
    outcome = _reader(_whole("Hi", "m")).outcome(Outcome("failed", Proof.CONNECTION_BROKEN, error_message="broke"))
    assert ("failed", Proof.CONNECTION_BROKEN, None) == (outcome.status, outcome.proof, outcome.output)


@pytest.mark.parametrize("message_id", ["m2", None])
def test_the_answer_to_a_question_continues_the_timeline(message_id: str | None) -> None:
    """The output is what was said after it."""
    asked = _reader(_whole("For how many?", "q" if message_id else None), _asks(), _DONE)
    reader = _reader(_whole("Booked for four.", message_id), _COMPLETED, _DONE, timeline=asked.timeline())
    assert {"answer": "For how many?", "answer (2)": "Booked for four."} == _contents(reader)
    assert "Booked for four." == reader.outcome().output
