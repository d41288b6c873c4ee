"""The gateway on a real socket, in front of a sandbox or of an upstream that answers as it is told."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from execution_history.application import Application, open_application
from execution_history.sandbox import Sandbox, serve_sandbox
from execution_history.settings import AccountSettings, load_settings
from execution_history.web import create_app
from tests.web.conftest import served

TOKEN = "right-token"


@dataclass
class Gateway:
    """A gateway: the application behind it, its address and its upstream's, and a client with the right token."""

    application: Application
    base_url: str
    upstream_url: str
    client: httpx.AsyncClient

    async def records(self, workflow_id: str) -> list[dict[str, Any]]:
        """The records of a workflow, newest first."""
        page = await self.application.service.get_execution_history(workflow_id, page_size=100)
        return [dict(record) for record in page["histories"]]

    async def newest(self, workflow_id: str) -> dict[str, Any]:
        """The newest record of a workflow."""
        page = await self.application.service.get_execution_history(workflow_id, page_size=1)
        return dict(page["histories"][0])

    async def ended(self, workflow_id: str, *, beside: str = "running") -> dict[str, Any]:
        """The newest record of a workflow, once its status is another one than *beside*; the change feed tells."""
        while True:
            found = await self.records(workflow_id)
            if found and found[0]["execute_status"] != beside:
                return found[0]
            await asyncio.sleep(0.01)


@asynccontextmanager
async def gateway_to(
    folder: Path,
    upstream_url: str,
    token: str = TOKEN,
    accounts: dict[str, AccountSettings] | None = None,
    **settings: Any,
) -> AsyncIterator[Gateway]:
    """A gateway in front of *upstream_url*, which is also the account ``other``'s; *accounts* are there besides."""
    account = AccountSettings(base_url=upstream_url, token=SecretStr(token))
    known = {"default": account, "other": account, **(accounts or {})}
    found = load_settings(store=str(folder / "history"), accounts=known, **settings)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        open_application(found, serving=True) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30, headers=headers) as client,
    ):
        # Asking begins at once: the pauses of the real service are for its sake.
        application.upstream.transport().poller.set_pace(first_pause=0.01, per_second=500)
        yield Gateway(application, base, upstream_url, client)


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox that never waits unless a run asks for it."""
    async with serve_sandbox(token=TOKEN, delay_ms=0, pace_ms=0) as found:
        yield found


@pytest.fixture(scope="module")
async def gateway(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One gateway in front of the sandbox for a module; each test looks at its own runs."""
    async with gateway_to(tmp_path_factory.mktemp("gateway"), sandbox.base_url) as found:
        yield found


Respond = Callable[[Scope, bytes, Send], Awaitable[None]]


@dataclass
class Scripted:
    """An upstream that answers as it is told, and remembers what it was asked."""

    respond: Respond
    asked: list[tuple[Scope, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the request whole, then answer."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.asked.append((scope, body))
        await self.respond(scope, body, send)


def canned(status: int, headers: list[tuple[bytes, bytes]], *chunks: bytes) -> Respond:
    """An answer that is always the same, sent in these chunks."""

    async def respond(_scope: Scope, _body: bytes, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    return respond


@asynccontextmanager
async def scripted(folder: Path, respond: Respond, **settings: Any) -> AsyncIterator[tuple[Gateway, Scripted]]:
    """A gateway in front of an upstream that answers as *respond* does."""
    upstream = Scripted(respond)
    async with served(upstream) as base, gateway_to(folder, base, **settings) as found:
        yield found, upstream


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
