"""Stores to take records out of and to bring them into."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.protocol import HistoryStore
from tests.transfer.histories import fill


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HistoryStore]:
    """An opened, empty store of each kind."""
    made: HistoryStore = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "history")
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
async def filled(store: HistoryStore) -> HistoryStore:
    """A store with records of two workflows."""
    await fill(store)
    return store
