"""An answer that is sent twice: one of the two goes on with the run, and the other does not change how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import Scope, Send

from execution_history import ExecutionHistoryService
from execution_history.coze import RecordingTransport
from execution_history.recording.recorder import Recorder
from tests.coze.gateway.conftest import Scripted
from tests.faulty_store import FaultyStore
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

_RUN, _RESUME = "/v1/workflow/stream_run", "/v1/workflow/stream_resume"
_QUESTION = {"event_id": "77/1", "type": 2, "data": "Which city?"}


def _event(name: str, **data: Any) -> bytes:
    return b"id: 0\nevent: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


def _answer(words: str) -> dict[str, Any]:
    return {"workflow_id": "w", "event_id": "77/1", "resume_data": words, "interrupt_type": 2}


class Trip:
    """Asks for a city, and takes the first answer; what comes after it is rejected at once.

    The first answer's stream begins at once, and ends with ``ending`` once it ``may_end``.
    """

    def __init__(self, ending: bytes) -> None:
        self.may_end = asyncio.Event()
        self._ending = ending
        self._is_answered = False

    async def __call__(self, scope: Scope, _body: bytes, send: Send) -> None:
        """Ask, go on, or reject."""
        is_second, self._is_answered = self._is_answered, scope["path"] == _RESUME
        kind = b"application/json" if is_second else b"text/event-stream"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        if is_second:
            body = orjson.dumps({"code": 4000, "msg": "event consumed"})
        elif scope["path"] == _RUN:
            body = _event("Interrupt", interrupt_data=_QUESTION, node_title="Ask")
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            await self.may_end.wait()
            body = self._ending
        await send({"type": "http.response.body", "body": body})


_DONE = _event(
    "Message", content="b", node_title="End", node_is_finish=True, node_seq_id="0", node_type="End"
) + _event("Done", debug_url="http://x/?execute_id=77")
_ERROR = _event("Error", error_code=5, error_message="No such city.")
_NEXT = _event("Interrupt", interrupt_data={**_QUESTION, "event_id": "77/2", "data": "Which day?"}, node_title="Ask")


@asynccontextmanager
async def _clients(store: FaultyStore, trip: Trip) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two clients, as two programs with the same history would have them, and a question that was asked."""
    async with served(Scripted(trip)) as base:
        clients = [
            httpx.AsyncClient(transport=RecordingTransport(Recorder(store)), base_url=base, timeout=60)
            for _ in range(2)
        ]
        await clients[0].post(_RUN, json={"workflow_id": "w"})
        try:
            yield clients
        finally:
            for client in clients:
                await client.aclose()


async def _record(store: FaultyStore) -> dict[str, Any]:
    [record] = (await ExecutionHistoryService(store).get_execution_history("w"))["histories"]
    return dict(record)


def _answers(record: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [
        (answer["resume_data"], answer["question"]["data"], answer.get("outcome"))
        for answer in record["metadata"]["answers"]
    ]


_REFUSED = "Coze rejected the run: event consumed"


@pytest.mark.parametrize(
    ("ending", "ended"),
    [
        (_DONE, ("success", None, None)),
        (_ERROR, ("failed", "No such city.", None)),
        (_NEXT, ("interrupted", None, "Which day?")),
    ],
    ids=["success", "failure", "next question"],
)
async def test_a_rejected_second_answer_does_not_end_the_run(ending: bytes, ended: tuple[str, ...]) -> None:
    """It is noted with the answers; the first one ends the run, and no question is left open behind that."""
    store, trip = FaultyStore(), Trip(ending)
    async with _clients(store, trip) as (first, second), first.stream("POST", _RESUME, json=_answer("first")) as begun:
        retried = await second.post(_RESUME, json=_answer("retry"))
        meanwhile = await _record(store)
        trip.may_end.set()
        await begun.aread()
    record = await _record(store)
    assert 4000 == retried.json()["code"]
    assert ("running", None, None) == (
        meanwhile["execute_status"], meanwhile["error_message"], meanwhile["metadata"]["interrupt"],
    )  # fmt: skip
    asked = record["metadata"]["interrupt"]
    assert ended == (record["execute_status"], record["error_message"], asked and asked["data"])
    assert [("first", "Which city?", None), ("retry", "Which city?", _REFUSED)] == _answers(record)


async def test_of_two_answers_at_the_same_moment_none_is_lost() -> None:
    """Both have read the record before either goes on with it."""

    class Crowded(FaultyStore):
        both = asyncio.Barrier(2)
        reads = 0

        async def find_upstream(self, upstream_id: str) -> list[bytes]:
            found = await super().find_upstream(upstream_id)
            self.reads += 1
            if self.reads <= 2:
                await self.both.wait()
            return found

    store, trip = Crowded(), Trip(_DONE)
    async with _clients(store, trip) as clients:
        posts = [
            asyncio.ensure_future(client.post(_RESUME, json=_answer(words)))
            for client, words in zip(clients, ("one", "two"), strict=True)
        ]
        await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        trip.may_end.set()
        await asyncio.gather(*posts)
    record = await _record(store)
    assert ("success", None, None) == (
        record["execute_status"], record["error_message"], record["metadata"]["interrupt"],
    )  # fmt: skip
    assert {"one", "two"} == {answer["resume_data"] for answer in record["metadata"]["answers"]}
