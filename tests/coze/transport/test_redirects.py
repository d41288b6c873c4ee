"""A redirected run is one run: the gateway follows it within the accounts' hosts, a client elsewhere as it likes."""

import asyncio
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest
from pydantic import SecretStr
from starlette.types import Scope, Send

from execution_history import ExecutionHistoryService
from execution_history.coze import RecordingTransport, SyncRecordingTransport
from execution_history.recording.recorder import Recorder
from execution_history.settings import AccountSettings
from tests.coze.gateway.conftest import Scripted, gateway_to, nobody, scripted
from tests.faulty_store import FaultyStore
from tests.programs import histories, run
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

_RUN = "/v1/workflow/run"
_BODY = b'{"workflow_id": "w", "parameters": {"a": 1}}'
_JSON = (b"content-type", b"application/json")
_ANSWER = b'{"code":0,"msg":"","data":"{\\"output\\":\\"there\\"}","debug_url":"http://x/?execute_id=5"}'


class Moved:
    """An upstream that redirects the paths that it is told to, and answers every other.

    Attributes:
        seen: the path, the body and the token of each request.
    """

    def __init__(self, moves: dict[str, str], status: int = 307) -> None:
        self._moves = moves
        self._status = status
        self.seen: list[tuple[str, bytes, str]] = []

    async def __call__(self, scope: Scope, body: bytes, send: Send) -> None:
        """Redirect, or answer."""
        path, token = scope["path"], dict(scope["headers"]).get(b"authorization", b"").decode()
        self.seen.append((path, body, token))
        status, headers, answer = 200, [_JSON], _ANSWER
        if (target := self._moves.get(path)) is not None:
            status, headers, answer = self._status, [(b"location", target.encode())], b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "second", ["/moved/v1/workflow/run", "../elsewhere?a=1"], ids=["absolute path", "relative path"]
)
async def test_the_gateway_follows_within_the_accounts_hosts(tmp_path: Path, status: int, second: str) -> None:
    """Two hops with the same body and token; the caller gets the last answer, and there is one record of it."""
    moved = Moved({_RUN: "/first", "/first": second}, status)
    async with scripted(tmp_path, moved) as (gateway, _):
        answer = await gateway.client.post(_RUN, content=_BODY)
        [record] = await gateway.records("w")
    assert (200, _ANSWER) == (answer.status_code, answer.content)
    assert 3 == len(moved.seen)
    assert {(_BODY, "Bearer right-token")} == {(body, token) for _, body, token in moved.seen}
    assert ("success", {"output": "there"}, "5") == (
        record["execute_status"], record["output"], record["metadata"]["coze_execute_id"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (307, "http://other.test/v1/workflow/run?token=secret"),
        (308, "http://127.0.0.1:9/v1/workflow/run"),
        (307, "ftp://127.0.0.1/run"),
        (307, "http://["),
    ],
)
async def test_the_gateway_hands_on_what_it_does_not_follow(tmp_path: Path, status: int, location: str) -> None:
    """Another host or port: this call began no run, and nothing secret is kept."""
    moved = Moved({_RUN: location}, status)
    async with scripted(tmp_path, moved) as (gateway, _):
        answer = await gateway.client.post(_RUN, content=_BODY)
        [record] = await gateway.records("w")
    assert (status, location, 1) == (answer.status_code, answer.headers["location"], len(moved.seen))
    sentence = (
        f"The upstream redirected the run to {location.partition('?')[0]} (HTTP {status}), so this call began no run."
    )
    assert ("failed", status, sentence) == (record["execute_status"], record["error_code"], record["error_message"])
    assert "secret" not in str(record)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_to_a_get_leaves_open_whether_the_run_began(tmp_path: Path, status: int) -> None:
    """303 is what an upstream answers that has taken the run, and 301 and 302 are used as 303 is."""
    moved = Moved({_RUN: "/first"}, status)
    async with scripted(tmp_path, moved) as (gateway, _):
        answer = await gateway.client.post(_RUN, content=_BODY)
        [record] = await gateway.records("w")
    assert (status, 1) == (answer.status_code, len(moved.seen))
    sentence = f"The upstream answered with the address /first (HTTP {status}); the workflow may be running there."
    assert ("failed", status, "http_status", sentence) == (
        record["execute_status"], record["error_code"], record["metadata"]["proof"], record["error_message"],
    )  # fmt: skip


async def test_a_hop_of_the_gateway_that_fails_is_the_one_that_is_named(tmp_path: Path) -> None:
    """The run ended where nobody listened."""
    gone = nobody()
    account = AccountSettings(base_url=gone.replace("127.0.0.1", "localhost"), token=SecretStr("t"))
    moved = Moved({_RUN: f"{account.base_url}{_RUN}"})
    async with served(Scripted(moved)) as base, gateway_to(tmp_path, base, accounts={"gone": account}) as gateway:
        assert "upstream_unreachable" in str((await gateway.client.post(_RUN, content=_BODY)).headers)
        [record] = await gateway.records("w")
    assert ("failed", "connection_failed") == (record["execute_status"], record["metadata"]["proof"])
    assert str(record["error_message"]).startswith("localhost could not be reached")


async def test_the_gateway_does_not_go_in_circles(tmp_path: Path) -> None:
    """The redirect that would close the circle is the answer."""
    moved = Moved({_RUN: "/first", "/first": _RUN})
    async with scripted(tmp_path, moved) as (gateway, _):
        answer = await gateway.client.post(_RUN, content=_BODY)
        [record] = await gateway.records("w")
    assert (307, 2) == (answer.status_code, len(moved.seen))
    assert ("failed", "rejected") == (record["execute_status"], record["metadata"]["proof"])


async def test_a_redirected_answer_leaves_its_question_open(tmp_path: Path) -> None:
    """The run waits as before: its answer did not get to it."""
    asked = {"event_id": "77/1", "type": 2, "data": "Which city?"}

    async def respond(scope: Scope, _body: bytes, send: Send) -> None:
        head: dict[str, Any] = {"status": 200, "headers": [_JSON]}
        if scope["path"] != _RUN:
            head = {"status": 307, "headers": [(b"location", b"http://other.test/resume")]}
        await send({"type": "http.response.start", **head})
        await send({"type": "http.response.body", "body": httpx.Response(200, json=_interrupted(asked)).content})

    async with scripted(tmp_path, respond) as (gateway, _):
        await gateway.client.post(_RUN, content=_BODY)
        answer = {"workflow_id": "w", "event_id": "77/1", "resume_data": "Oslo", "interrupt_type": 2}
        await gateway.client.post("/v1/workflows/resume", json=answer)
        [record] = await gateway.records("w")
    assert ("interrupted", asked) == (record["execute_status"], record["metadata"]["interrupt"])
    assert str(record["error_message"]).startswith("Coze did not take the answer: The upstream redirected the run to")


def _interrupted(asked: dict[str, Any]) -> dict[str, Any]:
    return {"code": 0, "msg": "", "interrupt_data": asked, "execute_id": "77"}


async def _ended(store: FaultyStore) -> list[dict[str, Any]]:
    """The records of the workflow, once none is running."""
    service = ExecutionHistoryService(store)
    async with asyncio.timeout(60):
        while True:
            page = (await service.get_execution_history("w"))["histories"]
            if all(record["execute_status"] != "running" for record in page):
                return [dict(record) for record in page]
            await asyncio.sleep(0.005)


async def _posted(kind: str, store: FaultyStore, base: str, *, follows: bool, seconds: float = 600) -> httpx.Response:
    """The answer to a run through one of the two transports, whose client is closed afterwards."""
    recorder = Recorder(store)
    options: dict[str, Any] = {"base_url": base, "follow_redirects": follows}
    if kind == "asynchronous":
        transport = RecordingTransport(recorder, redirect_seconds=seconds)
        async with httpx.AsyncClient(transport=transport, **options) as client:
            return await client.post(_RUN, content=_BODY)

    def post() -> httpx.Response:
        transport = SyncRecordingTransport(recorder, redirect_seconds=seconds)
        with httpx.Client(transport=transport, **options) as client:
            return client.post(_RUN, content=_BODY)

    return await anyio.to_thread.run_sync(post)


_KINDS = pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])


@_KINDS
async def test_a_client_that_follows_makes_one_run_of_its_hops(kind: str) -> None:
    """Also where a hop has no path that a run is known by."""
    store, moved = FaultyStore(), Moved({_RUN: "/first", "/first": "/second"})
    async with served(Scripted(moved)) as base:
        answer = await _posted(kind, store, base, follows=True)
    assert (200, _ANSWER) == (answer.status_code, answer.content)
    [record] = await _ended(store)
    assert ("success", {"output": "there"}, {"a": 1}) == (
        record["execute_status"], record["output"], record["input_parameters"],
    )  # fmt: skip


@_KINDS
@pytest.mark.parametrize("seconds", [0.01, 600.0], ids=["after a while", "when the client closes"])
async def test_a_redirect_that_nobody_follows_is_a_run_that_never_began(kind: str, seconds: float) -> None:
    """The record says where it should have gone."""
    store, moved = FaultyStore(), Moved({_RUN: "/first"})
    async with served(Scripted(moved)) as base:
        answer = await _posted(kind, store, base, follows=False, seconds=seconds)
    assert (307, 1) == (answer.status_code, len(moved.seen))
    [record] = await _ended(store)
    assert ("failed", "The upstream redirected the run to /first (HTTP 307), so this call began no run.") == (
        record["execute_status"], record["error_message"],
    )  # fmt: skip


@_KINDS
async def test_a_hop_that_cannot_be_made_is_the_end_of_the_run(kind: str) -> None:
    """Nobody listens there."""
    store, moved = FaultyStore(), Moved({_RUN: f"{nobody()}{_RUN}"})
    async with served(Scripted(moved)) as base:
        with pytest.raises(httpx.ConnectError):
            await _posted(kind, store, base, follows=True)
    [record] = await _ended(store)
    assert ("failed", "connection_failed") == (record["execute_status"], record["metadata"]["proof"])


@pytest.mark.parametrize("is_collected", [True, False])
async def test_a_program_may_end_without_closing_its_client(tmp_path: Path, is_collected: bool) -> None:
    """The record says where the run should have gone, also where nothing of the client is left."""
    source = """
        import os
        import httpx
        from execution_history.coze import SyncRecordingTransport

        client = httpx.Client(transport=SyncRecordingTransport(), base_url=os.environ["BASE"])
        client.post("/v1/workflow/run", json={"workflow_id": "w"})
        if os.environ["IS_COLLECTED"] == "True":
            del client
        """
    async with served(Scripted(Moved({_RUN: "/first"}))) as base:
        await anyio.to_thread.run_sync(lambda: run(tmp_path, source, BASE=base, IS_COLLECTED=str(is_collected)))
    [record] = (await histories(tmp_path))["w"]
    assert "The upstream redirected the run to /first (HTTP 307), so this call began no run." == record["error_message"]


@_KINDS
async def test_a_redirect_that_makes_a_get_of_a_run_ends_it(kind: str) -> None:
    """What the client gets from there is no run's answer."""
    store, moved = FaultyStore(), Moved({_RUN: "/first"}, 302)
    async with served(Scripted(moved)) as base:
        assert 200 == (await _posted(kind, store, base, follows=True)).status_code
    [record] = await _ended(store)
    assert ("failed", 302) == (record["execute_status"], record["error_code"])


async def test_a_client_that_follows_later_makes_one_run_too() -> None:
    """As long as the redirect is waited for; a request that is sent twice is two runs, and so is one of its hops."""
    store, moved = FaultyStore(), Moved({_RUN: "/first"})
    async with served(Scripted(moved)) as base:
        transport = RecordingTransport(Recorder(store), redirect_seconds=600)
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            redirected = await client.post(_RUN, content=_BODY)
            assert redirected.next_request is not None
            assert 307 == (await client.send(redirected.request)).status_code
            await client.send(redirected.next_request)
            await client.send(redirected.next_request)
    assert ["failed", "success", "success"] == sorted(record["execute_status"] for record in await _ended(store))
