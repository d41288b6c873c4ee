"""A sandbox on a socket, without pauses, and a client that carries its token."""

from collections.abc import AsyncIterator

import httpx
import pytest

from execution_history.sandbox import Sandbox, serve_sandbox


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Serve a sandbox that never waits unless a run asks for it."""
    async with serve_sandbox(token="right-token", delay_ms=0, pace_ms=0) as served:
        yield served


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client for that sandbox."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with httpx.AsyncClient(base_url=sandbox.base_url, headers=headers) as opened:
        yield opened
