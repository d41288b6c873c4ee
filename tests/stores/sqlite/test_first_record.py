"""A list that is read while the first record of a history is committed."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from execution_history import ExecutionHistoryService

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("workflow_id", ["w", None])
async def test_an_empty_page_and_its_total_are_of_one_moment(
    tmp_path: Path, workflow_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first record of all, committed between the two, would look like damage."""
    in_transaction: list[bool] = []

    def note(cursor: apsw.Cursor, sql: str, _bindings: Any) -> bool:
        if sql.startswith("SELECT revision FROM feed"):
            in_transaction.append(cursor.connection.in_transaction)
        return True

    def trace(connection: apsw.Connection) -> None:
        connection.exec_trace = note

    monkeypatch.setattr(apsw, "connection_hooks", [*apsw.connection_hooks, trace])
    service = ExecutionHistoryService(str(tmp_path))
    assert 0 == (await service.get_execution_history(workflow_id))["total"]
    in_transaction.clear()
    assert 0 == (await service.get_execution_history(workflow_id))["total"]
    assert [True] == in_transaction
