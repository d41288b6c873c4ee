"""What copies and followers ask of a history."""

from pathlib import Path

import pytest

from execution_history import ExecutionHistoryService
from execution_history.stores import MemoryStore

pytestmark = pytest.mark.anyio


async def test_two_histories_are_the_same_in_one_store_by_whatever_name(tmp_path: Path) -> None:
    """A history in memory is the same only as one with the same store."""
    folder, url, other = (ExecutionHistoryService(each) for each in (tmp_path, f"sqlite:{tmp_path}", tmp_path / "b"))
    store = MemoryStore()
    first, second, elsewhere = (ExecutionHistoryService(each) for each in (store, store, "memory:"))
    assert folder.is_same(url)
    assert first.is_same(second)
    assert not any((folder.is_same(other), first.is_same(elsewhere), first.is_same(folder), folder.is_same(first)))
