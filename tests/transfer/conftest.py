"""Stores to take records out of and to bring them into."""

import pytest

from execution_history.stores.protocol import HistoryStore
from tests.transfer.histories import fill


@pytest.fixture
async def filled(store: HistoryStore) -> HistoryStore:
    """A store with records of two workflows."""
    await fill(store)
    return store
