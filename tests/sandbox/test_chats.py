"""POST /v1/workflows/chat over a socket."""

import json
from typing import Any, NamedTuple

import httpx
import pytest

from execution_history.sandbox import WORKFLOWS

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}
CREATED, IN_PROGRESS = "conversation.chat.created", "conversation.chat.in_progress"
DELTA, COMPLETED = "conversation.message.delta", "conversation.message.completed"
HELLO = {"role": "user", "type": "question", "content": "Hello", "content_type": "text", "meta_data": None}


class Event(NamedTuple):
    """One server-sent event of a chat."""

    name: str
    data: Any


def read_events(stream: str) -> list[Event]:
    """Read events that have exactly the lines event and data, each followed by a blank line."""
    *frames, rest = stream.split("\n\n")
    assert rest == ""
    events = []
    for frame in frames:
        name, data = frame.split("\n")
        assert (name[:6], data[:5]) == ("event:", "data:")
        events.append(Event(name[6:], json.loads(data[5:])))
    return events


async def post(client: httpx.AsyncClient, name: str, said: str = "Hello", **fields: object) -> httpx.Response:
    """Say something to a chatflow of the bot 71, unless the fields have another owner."""
    owner = {} if {"bot_id", "app_id"} & fields.keys() else {"bot_id": "71"}
    messages = [HELLO | {"content": said}]
    body = {"workflow_id": IDS[name], "additional_messages": messages, **owner, **fields}
    return await client.post("/v1/workflows/chat", json=body)


async def chat(client: httpx.AsyncClient, name: str, said: str = "Hello", **fields: object) -> list[Event]:
    """Say something to a chatflow and read the stream to its end."""
    return read_events((await post(client, name, said, **fields)).content.decode())


def answers(events: list[Event]) -> list[str]:
    """Return the messages that were completed as answers."""
    return [event.data["content"] for event in events if event.name == COMPLETED and event.data["type"] == "answer"]


async def test_a_chat_is_a_stream_of_events_without_ids(client: httpx.AsyncClient) -> None:
    """Each event has two lines, and the log id is in the header."""
    answer = await post(client, "short_answer")

    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-tt-logid"]
    assert b"\nid:" not in answer.content


async def test_a_chat_goes_from_created_to_done(client: httpx.AsyncClient) -> None:
    """The answer comes in pieces, then whole; a verbose message, the completed chat and done follow."""
    events = await chat(client, "short_answer")

    assert [event.name for event in events] == [
        CREATED, IN_PROGRESS, DELTA, DELTA, COMPLETED, COMPLETED, "conversation.chat.completed", "done",
    ]  # fmt: skip
    assert json.loads(events[5].data["content"])["msg_type"] == "generate_answer_finish"


async def test_a_completed_message_joins_its_pieces(client: httpx.AsyncClient) -> None:
    """All pieces have the id of their message, and together make up what the completed one says."""
    events = await chat(client, "short_answer")

    deltas = [event.data for event in events if event.name == DELTA]
    assert answers(events) == ["".join(delta["content"] for delta in deltas)]
    assert len({event.data["id"] for event in events[2:5]}) == 1


async def test_the_chatflow_hears_what_the_user_says(client: httpx.AsyncClient) -> None:
    """The last message is the parameter USER_INPUT, beside the caller's own parameters."""
    (answer,) = answers(await chat(client, "short_answer", "Where to?", parameters={"city": "Oslo"}))

    assert json.loads(answer)["parameters"] == {"USER_INPUT": "Where to?", "city": "Oslo"}


async def test_a_chat_tells_its_ids_status_and_usage(client: httpx.AsyncClient) -> None:
    """The chat object goes from created to completed with the same ids, its times in seconds."""
    events = await chat(client, "short_answer", conversation_id="456")
    created, in_progress, completed = (event.data for event in (events[0], events[1], events[-2]))

    assert [entry["status"] for entry in (created, in_progress, completed)] == ["created", "in_progress", "completed"]
    assert len({entry["id"] for entry in (created, in_progress, completed)}) == 1
    assert (completed["conversation_id"], completed["bot_id"]) == ("456", "71")
    assert completed["usage"] == {"input_count": 12, "output_count": 8, "token_count": 20}
    assert completed["last_error"] == {"code": 0, "msg": ""}
    assert 1_700_000_000 < completed["created_at"] <= completed["completed_at"] < 10_000_000_000


async def test_a_new_conversation_gets_an_id(client: httpx.AsyncClient) -> None:
    """Without a conversation_id every chat begins a conversation of its own."""
    first, second = [(await chat(client, "short_answer"))[0].data["conversation_id"] for _ in range(2)]

    assert len(first) == 19
    assert first != second


async def test_a_conversation_can_have_a_name(client: httpx.AsyncClient) -> None:
    """The parameter CONVERSATION_NAME leads to one conversation for each bot or app."""
    named: dict[str, Any] = {"parameters": {"CONVERSATION_NAME": "Trips"}}
    owners = [{"bot_id": "71"}, {"bot_id": "71"}, {"app_id": "72"}]
    ids = [(await chat(client, "short_answer", **named, **owner))[0].data["conversation_id"] for owner in owners]

    assert ids[0] == ids[1] != ids[2]


async def test_done_tells_the_execution(client: httpx.AsyncClient) -> None:
    """The debug_url of done leads to a history, in which the chat is a streamed run."""
    *_, done = await chat(client, "short_answer")
    execute_id = httpx.URL(done.data["debug_url"]).params["execute_id"]
    path = f"/v1/workflows/{IDS['short_answer']}/run_histories/{execute_id}"
    (entry,) = (await client.get(path)).json()["data"]

    assert (done.name, entry["execute_status"], entry["run_mode"], entry["bot_id"]) == ("done", "Success", 1, "71")


async def test_only_nodes_that_speak_are_heard(client: httpx.AsyncClient) -> None:
    """Model, output and end node answer; what the start node and a plugin put out is not said to the user."""
    events = await chat(client, "long_stream")

    first, second, third, last = answers(events)
    assert first.startswith("The ferry leaves at nine.")
    assert (second, third) == ("Day 1 of 2 is planned.", "Day 2 of 2 is planned.")
    assert json.loads(last)["days"] == 2


async def test_a_failing_chat_says_so(client: httpx.AsyncClient) -> None:
    """The chat ends as failed with the error's code, then done."""
    *_, failed, done = await chat(client, "fails_in_a_node")

    assert (failed.name, failed.data["status"]) == ("conversation.chat.failed", "failed")
    assert failed.data["last_error"]["code"] == 720702017
    assert failed.data["failed_at"] >= failed.data["created_at"]
    assert "execute_id=" in done.data["debug_url"]


async def test_a_question_interrupts_the_chat(client: httpx.AsyncClient) -> None:
    """The question is an answer to read and a verbose message with its interrupt data; then the chat waits."""
    *_, verbose, waiting, done = events = await chat(client, "asks_a_question")
    content = json.loads(verbose.data["content"])
    interrupt = json.loads(content["data"])

    assert answers(events) == ["Which city's weather would you like to know?"]
    assert (verbose.data["type"], content["msg_type"], interrupt["type"]) == ("verbose", "interrupt", 2)
    assert (waiting.name, waiting.data["status"]) == ("conversation.chat.requires_action", "requires_action")
    assert waiting.data["required_action"]["submit_tool_outputs"]["tool_calls"][0]["type"] == "reply_message"
    assert httpx.URL(done.data["debug_url"]).params["execute_id"] == interrupt["event_id"].split("/")[0]


async def test_the_next_chat_of_the_conversation_answers_the_question(client: httpx.AsyncClient) -> None:
    """Calling again with the conversation goes on with the same execution in a chat of its own."""
    asked = await chat(client, "asks_a_question", conversation_id="c-answered")
    events = await chat(client, "asks_a_question", "Oslo", conversation_id="c-answered")

    assert json.loads(answers(events)[0])["answer"] == "Oslo"
    assert events[-1] == asked[-1]
    assert events[0].data["id"] != asked[0].data["id"]


async def test_an_answered_question_is_over(client: httpx.AsyncClient) -> None:
    """A third call in that conversation starts the chatflow anew."""
    for said in ("Hello", "Oslo"):
        await chat(client, "asks_a_question", said, conversation_id="c-over")
    events = await chat(client, "asks_a_question", "Bergen", conversation_id="c-over")

    assert events[-2].name == "conversation.chat.requires_action"


async def test_a_question_waits_in_its_own_conversation_only(client: httpx.AsyncClient) -> None:
    """Another conversation, and another chatflow in the same one, start anew."""
    await chat(client, "asks_a_question", conversation_id="c-own")
    elsewhere = await chat(client, "asks_a_question", "Oslo", conversation_id="c-other")
    other = await chat(client, "asks_for_fields", '{"city": "Oslo"}', conversation_id="c-own")

    assert elsewhere[-2].name == "conversation.chat.requires_action"
    assert other[-2].name == "conversation.chat.requires_action"


async def test_a_third_empty_answer_fails_the_chat(client: httpx.AsyncClient) -> None:
    """An assistant's message is no answer, and three useless ones are too many."""
    await chat(client, "asks_a_question", conversation_id="c-useless")
    for _ in range(3):
        message = {"role": "assistant", "content": "Oslo"}
        events = await chat(client, "asks_a_question", conversation_id="c-useless", additional_messages=[message])

    assert events[-2].data["last_error"]["code"] == 720701013


async def test_a_chat_is_not_resumed_by_stream_resume(client: httpx.AsyncClient) -> None:
    """The refusal names the way that goes on."""
    asked = await chat(client, "asks_a_question")
    interrupt = json.loads(json.loads(asked[-3].data["content"])["data"])
    body = {
        "workflow_id": IDS["asks_a_question"],
        "event_id": interrupt["event_id"],
        "interrupt_type": 2,
        "resume_data": "Oslo",
    }
    answer = (await client.post("/v1/workflow/stream_resume", json=body)).json()

    assert answer["code"] == 4000
    assert "/v1/workflows/chat" in answer["msg"]


@pytest.mark.parametrize("name", ["chinese", "pings", "returns_text", "large_output", "many_tokens", "takes_its_time"])
async def test_other_workflows_chat_too(client: httpx.AsyncClient, name: str) -> None:
    """Each comes to completed and done, and none sends anything that a chat does not know."""
    events = await chat(client, name)

    assert {event.name for event in events[2:-2]} == {DELTA, COMPLETED}
    assert [event.name for event in events[-2:]] == ["conversation.chat.completed", "done"]


async def test_a_traceless_chat_tells_no_debug_url(client: httpx.AsyncClient) -> None:
    """The data of an older done is a mere word."""
    *_, done = await chat(client, "no_trace")

    assert (done.name, done.data) == ("done", "[DONE]")


async def test_a_chat_can_break_or_fall_silent(client: httpx.AsyncClient) -> None:
    """A broken connection breaks a chat too, and a silent end has neither a last status nor done."""
    with pytest.raises(httpx.RemoteProtocolError):
        await chat(client, "breaks_the_connection")
    events = await chat(client, "no_terminator")

    assert [event.name for event in events] == [CREATED, IN_PROGRESS, DELTA, DELTA]


@pytest.mark.parametrize(("name", "code"), [("never_published", 4200), ("rate_limited", 4013)])
async def test_a_refused_chat_is_an_envelope(client: httpx.AsyncClient, name: str, code: int) -> None:
    """What is refused before it runs gets plain JSON, not a stream."""
    answer = await post(client, name)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] == code


@pytest.mark.parametrize(
    "fields",
    [
        {"additional_messages": None},
        {"additional_messages": []},
        {"additional_messages": "Hello"},
        {"additional_messages": [HELLO] * 51},
        {"additional_messages": ["Hello"]},
        {"additional_messages": [HELLO | {"role": "system"}]},
        {"additional_messages": [HELLO | {"content": None}]},
        {"additional_messages": [HELLO | {"content_type": "card"}]},
        {"additional_messages": [HELLO | {"meta_data": {"n": 1}}]},
        {"bot_id": "", "app_id": ""},
        {"bot_id": "71", "app_id": "72"},
        {"conversation_id": 456},
        {"parameters": {"CONVERSATION_NAME": 1}},
        {"ext": {"user_id": 42}},
        {"workflow_id": ""},
    ],
)
async def test_a_wrong_chat_is_refused(client: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    """A chat without messages, with too many or malformed ones, or of nobody gets 4000 as plain JSON."""
    answer = await post(client, "short_answer", **fields)

    assert (answer.status_code, answer.json()["code"]) == (200, 4000)


async def test_fifty_messages_are_not_too_many(client: httpx.AsyncClient) -> None:
    """The documented limit itself can be used."""
    events = await chat(client, "short_answer", additional_messages=[HELLO] * 50)

    assert events[-1].name == "done"
