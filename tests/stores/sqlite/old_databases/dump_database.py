"""Writes the SQL of a ``history.db`` as the program that is installed makes it.

    python tests/stores/sqlite/old_databases/dump_database.py schema_N.sql

Run it before a migration is added: the tests open what it wrote with every later version.
"""

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import apsw
import apsw.shell

from execution_history import ExecutionHistoryService


async def fill(folder: Path) -> None:
    """Record, change, delete and clear some runs."""
    async with ExecutionHistoryService(folder, json_files=False) as service:
        await service.create_execution_record("w", "a", {"city": "Paris"}, metadata={"coze_execute_id": "111"})
        await service.update_execution_record("w", "a", "success", output={"text": "结果 " * 200})
        await service.create_execution_record("w", "b", {"coze_execute_id": "no metadata"})
        await service.create_execution_record("w", "gone")
        await service.delete_execution_record("w", "gone")
        await service.create_execution_record("cleared", "c")
        await service.clear_workflow_history("cleared")
        await service.create_execution_record("v", "d")
        await service.update_execution_record("v", "d", "failed", error_message="No.")


def dump(folder: Path) -> str:
    """Return the SQL that makes the database in *folder*, without the dictionary, which the program brings."""
    connection = apsw.Connection(str(folder / "history.db"))
    connection.execute("UPDATE dictionaries SET content = x''")
    written = io.StringIO()
    shell: Any = apsw.shell.Shell(stdout=written, db=connection)
    shell.process_command(".dump")
    connection.close()
    whole = written.getvalue()
    return whole[whole.index("BEGIN TRANSACTION") :]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(fill(Path(name)))
        Path(sys.argv[1]).write_text(dump(Path(name)), "utf-8")
