"""Conversations and messages over a socket, and what is remembered of them."""

from typing import Any

import httpx
import pytest

from execution_history.sandbox.conversations import Conversations
from execution_history.sandbox.requests import MessageBody

pytestmark = pytest.mark.anyio

MESSAGE = "/v1/conversation/message"
HELLO = {"role": "user", "content": "Hello", "content_type": "text"}


async def create(client: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    """Begin a conversation."""
    return dict((await client.post("/v1/conversation/create", json=fields)).json()["data"])


async def listed(client: httpx.AsyncClient, conversation_id: str, **fields: object) -> dict[str, Any]:
    """List messages of a conversation."""
    query = {"conversation_id": conversation_id}
    return dict((await client.post(f"{MESSAGE}/list", json=fields, params=query)).json())


async def test_a_conversation_is_what_it_was_created_as(client: httpx.AsyncClient) -> None:
    """Its name, its additional information, its channel and its first messages."""
    answer = {"role": "assistant", "content": "Hi"}
    made = await create(client, name="Trips", meta_data={"a": "b"}, messages=[HELLO, answer])
    found = (await client.get("/v1/conversation/retrieve", params={"conversation_id": made["id"]})).json()["data"]
    messages = (await listed(client, made["id"], order="asc"))["data"]

    assert made == found
    assert ("Trips", {"a": "b"}, "1024") == (found["name"], found["meta_data"], found["connector_id"])
    assert [("question", "Hello"), ("answer", "Hi")] == [(entry["type"], entry["content"]) for entry in messages]


async def test_a_conversation_can_be_renamed_cleared_and_deleted(client: httpx.AsyncClient) -> None:
    """Clearing begins another section and keeps the messages; a deleted one is not found."""
    made = await create(client, messages=[HELLO])
    path = f"/v1/conversations/{made['id']}"
    renamed = (await client.put(path, json={"name": "Trips"})).json()["data"]
    section = (await client.post(f"{path}/clear")).json()["data"]
    kept = await listed(client, made["id"])
    deleted = (await client.delete(path)).json()["code"]
    gone = (await client.put(path, json={"name": "Trips"})).json()["code"]

    assert "Trips" == renamed["name"]
    assert made["last_section_id"] != section["id"]
    assert made["id"] == section["conversation_id"]
    assert 1 == len(kept["data"])
    assert (0, 4200) == (deleted, gone)


async def test_the_conversations_of_a_bot_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    """In pages, without those of other bots."""
    ids = [(await create(client, bot_id="7301"))["id"] for _ in range(3)]
    await create(client, bot_id="7302")
    query: dict[str, Any] = {"bot_id": "7301", "page_size": 2}
    pages = [
        (await client.get("/v1/conversations", params=query | {"page_num": number})).json()["data"] for number in (1, 2)
    ]

    assert ids[::-1] == [entry["id"] for page in pages for entry in page["conversations"]]
    assert [True, False] == [page["has_more"] for page in pages]


async def test_a_message_is_added_changed_and_deleted(client: httpx.AsyncClient) -> None:
    """A change is answered under the name message; what it does not name stays."""
    made = await create(client)
    query = {"conversation_id": made["id"]}
    added = (await client.post(f"{MESSAGE}/create", json=HELLO, params=query)).json()["data"]
    query["message_id"] = added["id"]
    changed = (await client.post(f"{MESSAGE}/modify", json={"meta_data": {"x": "1"}}, params=query)).json()["message"]
    found = (await client.get(f"{MESSAGE}/retrieve", params=query)).json()["data"]
    deleted = (await client.post(f"{MESSAGE}/delete", params=query)).json()["data"]
    gone = (await client.get(f"{MESSAGE}/retrieve", params=query)).json()["code"]

    assert ("Hello", {"x": "1"}) == (changed["content"], changed["meta_data"])
    assert added["id"] == changed["id"] == found["id"] == deleted["id"]
    assert 4200 == gone
    assert [] == (await listed(client, made["id"]))["data"]


@pytest.mark.parametrize(
    ("fields", "expected", "has_more"),
    [
        ({}, "43210", False),
        ({"order": "asc", "limit": 2}, "01", True),
        ({"order": "asc", "limit": 2, "after_id": 1}, "23", True),
        ({"order": "asc", "limit": 2, "after_id": 3}, "4", False),
        ({"order": "asc", "limit": 2, "before_id": 4}, "23", True),
        ({"limit": 3, "before_id": 1}, "432", False),
    ],
)
async def test_messages_are_listed_in_pages(
    client: httpx.AsyncClient, fields: dict[str, Any], expected: str, has_more: bool
) -> None:
    """After a message, before one, in either order."""
    texts = [HELLO | {"content": str(number)} for number in range(5)]
    made = await create(client, messages=texts)
    ids = [entry["id"] for entry in (await listed(client, made["id"], order="asc"))["data"]]
    named = {name: ids[value] if name.endswith("_id") else value for name, value in fields.items()}
    page = await listed(client, made["id"], **named)

    assert (expected, has_more) == ("".join(entry["content"] for entry in page["data"]), page["has_more"])
    assert (page["data"][0]["id"], page["data"][-1]["id"]) == (page["first_id"], page["last_id"])


async def test_messages_can_be_listed_without_a_word(client: httpx.AsyncClient) -> None:
    """The JavaScript SDK sends no body unless it wants something."""
    made = await create(client, messages=[HELLO])
    answer = await client.post(f"{MESSAGE}/list", params={"conversation_id": made["id"]})

    assert ["Hello"] == [entry["content"] for entry in answer.json()["data"]]


@pytest.mark.parametrize("fields", [{"order": "up"}, {"limit": 0}, {"limit": 51}])
async def test_a_list_that_cannot_be_is_refused(client: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    """An order that is none, and more or fewer messages than a page holds."""
    made = await create(client)

    assert 4000 == (await listed(client, made["id"], **fields))["code"]


def test_only_the_newest_conversations_are_remembered() -> None:
    """So many, and so much text."""
    ids = iter(map(str, range(1_000)))
    known = Conversations(lambda: next(ids), lambda: 0, most=2, most_bytes=100_000)
    first, second, third = (known.create("71") for _ in range(3))
    known.write(third, MessageBody(role="user", content="x" * 30_000))

    assert (None, None, third) == tuple(known.get(entry.conversation_id) for entry in (first, second, third))
