"""Chats with bots over a socket: /v3/chat and what belongs to it."""

import json
from typing import Any

import httpx
import pytest

from execution_history.sandbox.bots import BOTS
from tests.sandbox.test_chats import COMPLETED, Event, answers, read_events

pytestmark = pytest.mark.anyio

IDS = {bot.name: bot_id for bot_id, bot in BOTS.items()}


def spoken(text: str, name: str = "answers", **fields: object) -> dict[str, Any]:
    """Return the body with which a user says something to a bot."""
    message = {"role": "user", "type": "question", "content": text, "content_type": "text"}
    return {"bot_id": IDS[name], "user_id": "u", "additional_messages": [message], **fields}


async def stream(client: httpx.AsyncClient, body: dict[str, Any], **query: str) -> list[Event]:
    """Chat with a bot and read the stream to its end."""
    answer = await client.post("/v3/chat", json=body | {"stream": True}, params=query)
    return read_events(answer.text)


async def begun(client: httpx.AsyncClient, body: dict[str, Any], **query: str) -> dict[str, Any]:
    """Begin a chat that is not streamed, and return it."""
    return dict((await client.post("/v3/chat", json=body, params=query)).json()["data"])


async def ended(client: httpx.AsyncClient, chat: dict[str, Any]) -> dict[str, Any]:
    """Return a chat once it is no longer in progress."""
    while chat["status"] == "in_progress":
        chat = (await client.post("/v3/chat/retrieve", params=place(chat))).json()["data"]
    return chat


def place(chat: dict[str, Any]) -> dict[str, str]:
    """Return how a request names a chat."""
    return {"conversation_id": chat["conversation_id"], "chat_id": chat["id"]}


async def test_a_bot_answers_in_a_stream(client: httpx.AsyncClient) -> None:
    """It ends with [DONE] and not with a debug_url: no workflow ran."""
    events = await stream(client, spoken("Where to?"))

    assert answers(events)[0].startswith("You said: Where to?")
    assert ("conversation.chat.completed", "done") == (events[-2].name, events[-1].name)
    assert 84 == events[-2].data["usage"]["token_count"]
    assert "[DONE]" == events[-1].data


async def test_a_chat_that_is_not_streamed_is_asked_after(client: httpx.AsyncClient) -> None:
    """Its answers can be listed once it has ended, without what the user said."""
    chat = await begun(client, spoken("Hello"))
    assert "in_progress" == chat["status"]

    completed = await ended(client, chat)
    messages = (await client.get("/v3/chat/message/list", params=place(chat))).json()["data"]

    assert ("completed", 84) == (completed["status"], completed["usage"]["token_count"])
    assert [("assistant", "answer", chat["id"])] == [(m["role"], m["type"], m["chat_id"]) for m in messages]


async def test_a_streamed_message_has_the_id_under_which_it_is_listed(client: httpx.AsyncClient) -> None:
    """A stream and the list afterwards tell of one message."""
    events = await stream(client, spoken("Hello"))
    (streamed,) = [e.data for e in events if e.name == COMPLETED and e.data["type"] == "answer"]
    (listed,) = (await client.get("/v3/chat/message/list", params=place(events[0].data))).json()["data"]

    assert (streamed["id"], streamed["content"]) == (listed["id"], listed["content"])


async def test_a_local_plugin_is_asked_and_its_output_told(client: httpx.AsyncClient) -> None:
    """The chat requires an action, and goes on under the same id when the output is submitted."""
    *_, called, waiting, _ = await stream(client, spoken("What's on my screen?", "uses_local_plugins"))
    (call,) = waiting.data["required_action"]["submit_tool_outputs"]["tool_calls"]
    body = {"tool_outputs": [{"tool_call_id": call["id"], "output": "a dog"}], "stream": True}
    answer = await client.post("/v3/chat/submit_tool_outputs", json=body, params=place(waiting.data))
    events = read_events(answer.text)

    assert ("conversation.chat.requires_action", "function_call") == (waiting.name, called.data["type"])
    assert {"name": "screenshot", "arguments": "{}"} == call["function"] == json.loads(called.data["content"])
    assert ["screenshot returned: a dog"] == answers(events)
    assert waiting.data["id"] == events[0].data["id"]


async def test_outputs_can_be_submitted_without_a_stream(client: httpx.AsyncClient) -> None:
    """A chat that is asked after waits with requires_action, then completes."""
    chat = await ended(client, await begun(client, spoken("深圳天气", "uses_local_plugins")))
    (call,) = chat["required_action"]["submit_tool_outputs"]["tool_calls"]
    body = {"tool_outputs": [{"tool_call_id": call["id"], "output": "rain"}]}
    again = (await client.post("/v3/chat/submit_tool_outputs", json=body, params=place(chat))).json()["data"]

    assert ("requires_action", {"input": "深圳"}) == (chat["status"], json.loads(call["function"]["arguments"]))
    assert "completed" == (await ended(client, again))["status"]
    refused = await client.post("/v3/chat/submit_tool_outputs", json=body, params=place(chat))
    assert 4000 == refused.json()["code"]


async def test_a_conversation_has_one_chat_at_a_time(client: httpx.AsyncClient) -> None:
    """A second one is refused until the first is canceled; what is over cannot be canceled."""
    conversation = (await client.post("/v1/conversation/create", json={})).json()["data"]["id"]
    chat = await begun(client, spoken("Hello", parameters={"delay_ms": 60_000}), conversation_id=conversation)
    busy = await client.post("/v3/chat", json=spoken("Hello"), params={"conversation_id": conversation})
    canceled = await client.post("/v3/chat/cancel", json=place(chat))
    again = await begun(client, spoken("Hello"), conversation_id=conversation)
    await ended(client, again)
    over = await client.post("/v3/chat/cancel", json=place(again))

    assert (4016, "canceled", 4104) == (busy.json()["code"], canceled.json()["data"]["status"], over.json()["code"])


async def test_what_is_said_becomes_part_of_the_conversation(client: httpx.AsyncClient) -> None:
    """The user's message and the answer are listed there, unless the chat is not to be kept."""
    events = await stream(client, spoken("Hello"))
    conversation = {"conversation_id": events[0].data["conversation_id"]}
    await stream(client, spoken("Hello", auto_save_history=False), **conversation)
    messages = (await client.post("/v1/conversation/message/list", json={}, params=conversation)).json()["data"]

    assert ["answer", "question"] == [message["type"] for message in messages]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"bot_id": "1"}, 4200),
        ({"user_id": None}, 4000),
        ({"auto_save_history": False}, 4000),
        ({"parameters": {"delay_ms": "soon"}}, 4000),
    ],
)
async def test_a_chat_with_a_bot_is_refused(client: httpx.AsyncClient, fields: dict[str, Any], code: int) -> None:
    """An unknown bot, nobody who speaks, an unkept chat that nobody could ask after, a wrong setting."""
    answer = await client.post("/v3/chat", json=spoken("Hello") | fields)

    assert code == answer.json()["code"]


async def test_a_chat_that_nobody_began_is_not_found(client: httpx.AsyncClient) -> None:
    """Nor is one of another conversation."""
    chat = await begun(client, spoken("Hello"))
    for query in ({}, place(chat) | {"conversation_id": "1"}):
        assert 4200 == (await client.post("/v3/chat/retrieve", params=query)).json()["code"]
