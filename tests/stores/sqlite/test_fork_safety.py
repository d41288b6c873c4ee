"""An embedded store and forks: neither side keeps a connection that the other one has."""

import os
from pathlib import Path

import pytest

from execution_history import ExecutionHistoryService
from execution_history.stores import SQLiteStore
from tests.programs import run

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")]


async def test_a_service_that_was_used_before_a_fork_is_used_on_both_sides(tmp_path: Path) -> None:
    """At once, by several children, also when the parent is done first; the files show all of it."""
    run(
        tmp_path,
        """
        import asyncio, os, sys
        from execution_history import ExecutionHistoryService

        service = ExecutionHistoryService("history")

        async def write(name):
            for number in range(20):
                made = await service.create_execution_record("w", f"{name}-{number}")
                await service.update_execution_record("w", made["execute_id"], "success")

        asyncio.run(write("before"))
        children = []
        for number in range(3):
            child = os.fork()
            if child == 0:
                asyncio.run(write(f"child-{number}"))
                sys.exit(0)
            children.append(child)
        asyncio.run(write("after"))
        asyncio.run(service.aclose())
        assert [0, 0, 0] == [os.waitpid(child, 0)[1] for child in children]
        """,
    )
    async with ExecutionHistoryService(tmp_path / "history") as service:
        page = await service.get_execution_history("w", page_size=100)
        assert (100, {"success"}) == (page["total"], {each["execute_status"] for each in page["histories"]})
        assert () == (await service.health()).problems
    assert 100 == (tmp_path / "history" / "w.json").read_bytes().count(b'"execute_id"')


async def test_a_store_that_was_closed_stays_closed(tmp_path: Path) -> None:
    """A fork does not open it again."""
    run(
        tmp_path,
        """
        import asyncio, os, sys
        from execution_history import ExecutionHistoryService
        from execution_history.errors import StoreClosed

        service = ExecutionHistoryService("history")
        asyncio.run(service.create_execution_record("w"))
        asyncio.run(service.aclose())
        child = os.fork()
        try:
            asyncio.run(service.create_execution_record("w"))
        except StoreClosed:
            if child == 0:
                sys.exit(0)
            assert 0 == os.waitpid(child, 0)[1]
        else:
            sys.exit(1)
        """,
    )


def test_a_store_is_named_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it was given."""
    monkeypatch.chdir(tmp_path)
    assert SQLiteStore(tmp_path / "h").location == SQLiteStore(Path("h")).location
