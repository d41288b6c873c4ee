"""The whole application on a real socket, with the sandbox behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.types import ASGIApp

from execution_history.application import Application, open_application
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.chosen_store import CHOSEN


@asynccontextmanager
async def served(app: ASGIApp, http: Literal["h11", "httptools"] = "httptools") -> AsyncIterator[str]:
    """*app* on a free port; its base address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_level="critical",
        timeout_graceful_shutdown=1,
        lifespan="off",
        http=http,
        ws="websockets-sansio",
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


@dataclass
class Served:
    """An application and a client of it."""

    application: Application
    client: httpx.AsyncClient


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    """The application as `serve --sandbox` runs it."""
    async with opened(tmp_path) as served_application:
        yield served_application


@pytest.fixture(scope="module")
async def shared_web(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One application for all those tests of a module that leave nothing in it."""
    async with opened(tmp_path_factory.mktemp("web")) as served_application:
        yield served_application


@asynccontextmanager
async def opened(folder: Path, **more: Any) -> AsyncIterator[Served]:
    """The application on a history in *folder*, with a sandbox as its account ``default``, and a client of it."""
    store = CHOSEN.location(folder / "history")
    more = {"allowed_hosts": ["history.test"], "trusted_proxies": ["127.0.0.1"], **more}
    settings = load_settings(store=store, sandbox_port=0, **more)
    async with (
        open_application(settings, sandbox=True) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30) as client,
    ):
        yield Served(application, client)


def private_key() -> str:
    """A key that signs for tokens as Coze gives them out, in PEM."""
    key = rsa.generate_private_key(65_537, 2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
