"""Walks through what the history of workflow runs can do, in six checks, on a temporary folder.

Run it with ``python test_execution_history_simple.py``; it prints each check and exits with 0 when all hold, else 1.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from execution_history import ExecutionHistoryService

WORKFLOW = "workflow_123"


class Checks:
    """Prints what was checked and remembers whether all of it held."""

    def __init__(self) -> None:
        self.all_hold = True

    def __call__(self, number: int, what: str, holds: bool) -> None:
        """One check."""
        print(f"{'✓' if holds else '✗'} {number}. {what}")
        self.all_hold = self.all_hold and holds


async def walk(folder: Path) -> bool:
    """Make the six checks; return whether all of them hold."""
    check = Checks()
    async with ExecutionHistoryService(storage_dir=folder) as service:
        record = await service.create_execution_record(
            workflow_id=WORKFLOW, parameters={"input": "value"}, bot_id="bot_123", conversation_id="conv_123"
        )
        check(1, "a record is created, and is running", record["execute_status"] == "running")

        updated = await service.update_execution_record(
            workflow_id=WORKFLOW,
            execute_id=record["execute_id"],
            execute_status="success",
            output={"result": "success"},
            usage={"tokens": 100},
        )
        check(2, "it is updated, and succeeded", updated is not None and updated["execute_status"] == "success")

        for number in range(4):
            await service.create_execution_record(WORKFLOW, f"more-{number}")
        page = await service.get_execution_history(WORKFLOW, page_size=2, page_index=1)
        ids = [entry["execute_id"] for entry in page["histories"]]
        check(
            3,
            "the list is paged, newest first",
            ids == ["more-3", "more-2"] and page["total"] == 5 and page["has_more"],
        )

        detail = await service.get_execution_detail(WORKFLOW, record["execute_id"])
        check(4, "one record is read whole", detail == updated)

        content = json.loads((folder / f"{WORKFLOW}.json").read_text("utf-8"))
        check(5, "the file on disk shows all of it", content["total"] == 5 and content["histories"][-1] == detail)

        deleted = await service.delete_execution_record(WORKFLOW, "more-0")
        cleared = await service.clear_workflow_history(WORKFLOW)
        left = await service.get_all_workflows()
        check(6, "a record, then the whole history, is deleted", deleted and cleared and left == [])
    return check.all_hold


def main() -> int:
    """Walk through a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(walk(Path(folder) / "execution_history")) else 1


if __name__ == "__main__":
    sys.exit(main())
