"""A question that a chat asks and the next message of its conversation are one record."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import orjson
import pytest
from starlette.types import Scope, Send

from execution_history import ExecutionHistoryService
from execution_history.coze import RecordingTransport, SyncRecordingTransport
from execution_history.coze.protocol.answers import answering_request
from execution_history.coze.protocol.messages import RunRequest
from execution_history.coze.transport.call_recording import RunContext, prepare_recording
from execution_history.recording.recorder import Recorder
from execution_history.web.pages.interrupt_form import question_of
from tests.coze.gateway.conftest import Scripted, canned, nobody, scripted
from tests.faulty_store import FaultyStore
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

_CHAT = "/v1/workflows/chat"
_TALK = {"conversation_id": "c7", "chat_id": "h1", "role": "assistant", "content_type": "text"}


def _event(name: str, **data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


def _body(words: str, conversation_id: str | None = "c7", **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content_type": "text", "content": words}
    body = {"workflow_id": "w", "bot_id": "b", "additional_messages": [message], **more}
    return body if conversation_id is None else {**body, "conversation_id": conversation_id}


class Bookings:
    """A chatflow that asks for how many the table is.

    ``may_end`` lets the stream of a question end, and ``answered`` is how the chat ends that answers it.
    """

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.answered = "completed"

    async def __call__(self, _scope: Scope, body: bytes, send: Send) -> None:
        """Ask, or answer."""
        said = orjson.loads(body)["additional_messages"][-1]["content"]
        is_first = said == "book a table"
        answer = {**_TALK, "id": "m1", "type": "answer", "content": "For how many?" if is_first else f"{said} it is."}
        chat = {"id": "h1", "conversation_id": "c7", "execute_id": "88"}
        end = ("requires_action", {**chat, "status": "requires_action"}) if is_first else (self.answered, chat)
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
        await send(head)
        events = _event("conversation.message.completed", **answer) + _event(f"conversation.chat.{end[0]}", **end[1])
        await send({"type": "http.response.body", "body": events, "more_body": True})
        if is_first:
            await self.may_end.wait()
        await send({"type": "http.response.body", "body": _event("done", debug_url="http://x/?execute_id=88")})


async def _records(store: Any) -> list[dict[str, Any]]:
    page = await ExecutionHistoryService(store).get_execution_history("w")
    return [dict(record) for record in page["histories"]]


def _is_booked(record: dict[str, Any], words: str = "four") -> None:
    metadata = record["metadata"]
    [answer] = metadata["answers"]
    assert ("success", "c7", None, words) == (
        record["execute_status"], record["conversation_id"], metadata["interrupt"], answer["resume_data"],
    )  # fmt: skip
    assert "book a table" == record["input_parameters"]["additional_messages"][0]["content"]
    assert f"{words} it is." in str(record["output"])
    assert "For how many?" in str(answer["question"])


@pytest.mark.parametrize("kind", ["asynchronous", "synchronous", "gateway"])
@pytest.mark.parametrize("conversation_id", ["c7", None], ids=["the caller's conversation", "a new conversation"])
async def test_the_next_message_answers_the_question(kind: str, conversation_id: str | None, tmp_path: Path) -> None:
    """In the conversation that the caller named, or that the chat did."""
    bodies = [_body("book a table", conversation_id), _body("four")]
    if kind == "gateway":
        async with scripted(tmp_path, Bookings()) as (gateway, _):
            for body in bodies:
                await gateway.client.post(_CHAT, json=body)
            [record] = await gateway.records("w")
    else:
        store = FaultyStore()
        async with served(Scripted(Bookings())) as base:
            if kind == "asynchronous":
                async with httpx.AsyncClient(transport=RecordingTransport(Recorder(store)), base_url=base) as client:
                    for body in bodies:
                        await client.post(_CHAT, json=body)
            else:

                def post() -> None:
                    with httpx.Client(transport=SyncRecordingTransport(Recorder(store)), base_url=base) as client:
                        for body in bodies:
                            client.post(_CHAT, json=body)

                await anyio.to_thread.run_sync(post)
        [record] = await _records(store)
    _is_booked(record)


async def test_an_answer_finds_the_question_elsewhere_and_at_once(tmp_path: Path) -> None:
    """Through another recorder on the same history, while the stream that asked is open; of two answers one is it."""
    asking, answering = (ExecutionHistoryService(tmp_path / "history") for _ in range(2))
    bookings = Bookings()
    bookings.may_end.clear()
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(served(Scripted(bookings)))
        first, other = [
            await stack.enter_async_context(
                httpx.AsyncClient(transport=RecordingTransport(Recorder(service.store)), base_url=base)
            )
            for service in (asking, answering)
        ]
        async with first.stream("POST", _CHAT, json=_body("book a table")) as response:
            chunks = response.aiter_raw()
            assert b"requires_action" in await anext(chunks)
            answers = (client.post(_CHAT, json=_body("four")) for client in (first, other))
            await asyncio.gather(*answers)
            bookings.may_end.set()
            assert b"done" in await anext(chunks)
    records = (await asking.get_execution_history("w"))["histories"]
    joined, own = sorted(records, key=lambda record: "answers" not in record["metadata"])
    _is_booked(dict(joined))
    assert ("success", None) == (own["execute_status"], own["metadata"].get("answers"))
    await asking.aclose()
    await answering.aclose()


@pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])
async def test_an_answered_question_is_asked_no_more(kind: str) -> None:
    """Where its stream ends behind the answer, the next chat of the conversation is a run of its own."""
    store, bookings = FaultyStore(), Bookings()
    bookings.answered = "canceled"
    bookings.may_end.clear()
    async with served(Scripted(bookings)) as base:
        loop = asyncio.get_running_loop()
        if kind == "asynchronous":
            async with httpx.AsyncClient(transport=RecordingTransport(Recorder(store)), base_url=base) as client:
                async with client.stream("POST", _CHAT, json=_body("book a table")) as response:
                    chunks = response.aiter_raw()
                    assert b"requires_action" in await anext(chunks)
                    await client.post(_CHAT, json=_body("four"))
                    bookings.may_end.set()
                    assert b"done" in b"".join([chunk async for chunk in chunks])
                await client.post(_CHAT, json=_body("hello"))
        else:

            def post() -> None:
                with httpx.Client(transport=SyncRecordingTransport(Recorder(store)), base_url=base) as client:
                    with client.stream("POST", _CHAT, json=_body("book a table")) as response:
                        chunks = response.iter_raw()
                        assert b"requires_action" in next(chunks)
                        client.post(_CHAT, json=_body("four"))
                        loop.call_soon_threadsafe(bookings.may_end.set)
                        assert b"done" in b"".join(chunks)
                    client.post(_CHAT, json=_body("hello"))

            await anyio.to_thread.run_sync(post)
    unrelated, booked = await _records(store)
    assert ("interrupted", ["four"]) == (
        booked["execute_status"], [answer["resume_data"] for answer in booked["metadata"]["answers"]],
    )  # fmt: skip
    assert ("interrupted", "hello") == (
        unrelated["execute_status"], unrelated["input_parameters"]["additional_messages"][0]["content"],
    )  # fmt: skip


async def test_a_record_that_asks_no_more_is_not_answered() -> None:
    """Whatever the registry still has: the record itself says what it asks."""
    store = FaultyStore()
    recorder = Recorder(store)
    async with (
        served(Scripted(Bookings())) as base,
        httpx.AsyncClient(transport=RecordingTransport(recorder), base_url=base) as client,
    ):
        stopped = await recorder.open("w")
        await stopped.close("interrupted")
        await recorder.chat_questions.put("w", "c7", stopped.execute_id)
        await client.post(_CHAT, json=_body("hello"))
    assert ["success", "interrupted"] == [record["execute_status"] for record in await _records(store)]


async def test_a_caller_who_leaves_before_its_answer_begins_leaves_the_question_open() -> None:
    """Whenever that is: the next message answers it."""

    class Slow(FaultyStore):
        is_dropping = asyncio.Event()

        async def drop_entry(self, kind: str, key: str, *, expected: int | None = None) -> bool:
            dropped = await super().drop_entry(kind, key, expected=expected)
            if not self.is_dropping.is_set():
                self.is_dropping.set()
                await asyncio.Event().wait()
            return dropped

    store = Slow()
    recorder = Recorder(store)
    run = RunRequest("chat", "w", conversation_id="c7", resume_data="three")
    request = httpx.Request("POST", "http://coze" + _CHAT)
    transport = RecordingTransport(recorder)
    async with served(Scripted(Bookings())) as base, httpx.AsyncClient(transport=transport, base_url=base) as client:
        await client.post(_CHAT, json=_body("book a table"))
        leaving = asyncio.ensure_future(prepare_recording(recorder, run, RunContext(), request))
        await store.is_dropping.wait()
        leaving.cancel()
        await asyncio.wait({leaving})
        await client.post(_CHAT, json=_body("four"))
    [record] = await _records(store)
    _is_booked(record)


async def test_other_messages_are_runs_of_their_own() -> None:
    """Those of another conversation or workflow, and those after the answer."""
    store = FaultyStore()
    transport = RecordingTransport(Recorder(store))
    async with served(Scripted(Bookings())) as base, httpx.AsyncClient(transport=transport, base_url=base) as client:
        await client.post(_CHAT, json=_body("book a table"))
        await client.post(_CHAT, json=_body("five", "c8"))
        await client.post(_CHAT, json=_body("six", None))
        await client.post(_CHAT, json={**_body("seven"), "workflow_id": "v"})
        assert ["success", "success", "interrupted"] == [r["execute_status"] for r in await _records(store)]
        await client.post(_CHAT, json=_body("four"))
        await client.post(_CHAT, json=_body("eight"))
    records = await _records(store)
    assert ["success"] * 4 == [record["execute_status"] for record in records]
    _is_booked(records[-1])


async def test_a_question_is_open_until_an_answer_gets_through() -> None:
    """The one that could not be sent is kept with it."""
    store = FaultyStore()
    transport = RecordingTransport(Recorder(store))
    async with served(Scripted(Bookings())) as base, httpx.AsyncClient(transport=transport) as client:
        await client.post(base + _CHAT, json=_body("book a table"))
        with pytest.raises(httpx.ConnectError):
            await client.post(nobody() + _CHAT, json=_body("three"))
        [record] = await _records(store)
        assert ("interrupted", "For how many?") == (record["execute_status"], record["metadata"]["interrupt"]["data"])
        await client.post(base + _CHAT, json=_body("four"))
    [record] = await _records(store)
    assert ("success", ["three", "four"]) == (
        record["execute_status"], [answer["resume_data"] for answer in record["metadata"]["answers"]],
    )  # fmt: skip


@pytest.mark.parametrize("names", [{}, {"bot_id": None, "app_id": "a"}], ids=["bot", "app"])
async def test_our_own_answer_is_a_message_of_the_conversation(tmp_path: Path, names: dict[str, Any]) -> None:
    """The page, the API and the command line answer what `show` says is asked, as the same bot or app."""
    async with scripted(tmp_path, Bookings()) as (gateway, upstream):
        await gateway.client.post(_CHAT, json=_body("book a table", **names))
        [record] = await gateway.records("w")
        assert answering_request(record, "four") is not None
        shown = question_of(record["metadata"]["interrupt"])
        assert ("question", "For how many?") == (shown and shown.kind, shown and shown.text)
        path = f"/coze/workflows/w/history/{record['execute_id']}/resume"
        answer = await gateway.client.post(path, json={"data": "four"})
        again = await gateway.client.post(path, json={"data": "five"})
        [record] = await gateway.records("w")
    assert (200, "success", 409) == (answer.status_code, answer.json()["status"], again.status_code)
    _is_booked(record)
    sent = orjson.loads(upstream.asked[-1][1])
    assert ("w", "c7", "four") == (
        sent["workflow_id"], sent["conversation_id"], sent["additional_messages"][0]["content"],
    )  # fmt: skip
    assert ({"bot_id": "b"} if not names else {"app_id": "a"}) == {
        key: value for key, value in sent.items() if key in ("bot_id", "app_id")
    }


async def test_a_store_in_trouble_makes_two_records_and_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """The answer is a run of its own where nobody can say what it answers."""

    class Forgetful(FaultyStore):
        async def entry(self, kind: str, key: str) -> Any:
            raise LookupError(f"{kind} {key} cannot be read.")

    store = Forgetful()
    transport = RecordingTransport(Recorder(store))
    async with served(Scripted(Bookings())) as base, httpx.AsyncClient(transport=transport, base_url=base) as client:
        await client.post(_CHAT, json=_body("book a table"))
        assert 200 == (await client.post(_CHAT, json=_body("four"))).status_code
    assert ["success", "interrupted"] == [record["execute_status"] for record in await _records(store)]
    assert "become two records" in caplog.text


async def test_a_history_that_is_read_meanwhile_leaves_the_question_as_it_is(tmp_path: Path) -> None:
    """The record knows more of it than the history: the next message of the conversation is still its answer."""
    history = {"code": 0, "msg": "", "data": [{
        "execute_id": "88", "execute_status": "Running",
        "interrupt_data": {"event_id": "88/1", "type": 2, "data": "For how many?"},
    }]}  # fmt: skip
    bookings = Bookings()

    async def respond(scope: Scope, body: bytes, send: Send) -> None:
        if "run_histories" in scope["path"]:
            await canned(200, [(b"content-type", b"application/json")], orjson.dumps(history))(scope, body, send)
        else:
            await bookings(scope, body, send)

    async with scripted(tmp_path, respond) as (gateway, _):
        await gateway.client.post(_CHAT, json=_body("book a table"))
        [asked] = await gateway.records("w")
        polled = await gateway.client.get(
            f"/v1/workflows/w/run_histories/{asked['metadata']['coze_execute_id']}",
            headers={"authorization": "Bearer t"},
        )
        assert orjson.dumps(history) == polled.content
        assert [asked] == await gateway.records("w")
        await gateway.client.post(_CHAT, json=_body("four"))
        [record] = await gateway.records("w")
    _is_booked(record)
