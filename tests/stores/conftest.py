"""Every contract test runs on every store; adding a store adds a fixture, not tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from execution_history.store import HistoryStore
from execution_history.stores import MemoryStore, SQLiteStore


@pytest.fixture(params=["memory", "sqlite", "sqlite without files"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HistoryStore]:
    """An opened, empty store of each kind."""
    made: HistoryStore
    if request.param == "memory":
        made = MemoryStore()
    else:
        made = SQLiteStore(tmp_path / "history", json_files=request.param != "sqlite without files")
    await made.open()
    yield made
    await made.aclose()
