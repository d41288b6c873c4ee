"""Make a small history, as an example of what the code of one commit leaves on the disk.

``PYTHONPATH=<checkout>/src python scripts/make_old_database.py tests/data/histories/<commit>``, in the environment of
that checkout. The folder gets ``history/`` (``history.db``, ``index.db`` and the JSON files) and ``expected.json``,
what the code of that day read from it. ``tests/stores/test_old_databases.py`` opens every folder of
``tests/data/histories``.

Only public names are used here, those that every version has, and the times and ids are made up: what comes out is the
same each time but for what SQLite itself decides.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from execution_history import ExecutionHistoryService

BEGIN = 1_761_901_941_289
MINUTE = 60_000
CHAT, TRANSLATE, EMPTIED, FOREIGN = "7321000000000000001", "翻译 / translate", "7321000000000000003", "nightly-report"


def make_clock() -> Callable[[], int]:
    """Return a clock that goes on by a second with every look at it."""
    times = count(BEGIN, 1_000)
    return lambda: next(times)


def make_ids() -> Callable[[], str]:
    """Return a maker of execute ids in the form of UUIDv7, in rising order."""
    numbers = count(1)
    return lambda: f"019a3a1f-0000-7000-8000-{next(numbers):012x}"


def node(kind: str, status: str, at: int, content: str, **more: object) -> dict[str, object]:
    """Return a node of a run's timeline, as the recorder of Coze's streams writes it."""
    return {
        "node_id": str(at),
        "node_type": kind,
        "node_execute_status": status,
        "start_time": BEGIN + at,
        "update_time": BEGIN + at + 400,
        "is_finish": status == "success",
        "content": content,
        "packets": [[0, at, len(content)]],
    } | more


def write_foreign_file(folder: Path) -> None:
    """Put a file into *folder* as the first deployments wrote it: 15 keys, and a status of their own."""
    record: dict[str, Any] = {
        "workflow_id": FOREIGN,
        "error_code": None,
        "error_message": None,
        "output": {"rows": 3, "text": "执行结果"},
        "input_parameters": {"day": "2025-10-31"},
        "bot_id": None,
        "conversation_id": None,
        "debug_url": None,
        "run_mode": 1,
        "usage": {"tokens": 100},
        "metadata": {},
    }
    histories = [
        record | {"execute_id": f"old-{number}", "create_time": at, "update_time": at + 1, "execute_status": status}
        for number, status, at in ((2, "success", BEGIN - 1_000), (1, "cancelled", BEGIN - 2_000))
    ]
    content = {"workflow_id": FOREIGN, "total": 2, "histories": histories, "updated_at": BEGIN}
    (folder / f"{FOREIGN}.json").write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")


async def write_runs(service: ExecutionHistoryService) -> None:
    """Record runs of every status, with notes, nodes and a large input, and delete a few."""
    ended = await service.create_execution_record(
        CHAT, parameters={"question": "Where does the ferry to Gulangyu start?", "城市": "厦门"}, bot_id="bot-1"
    )
    nodes = {
        "Start": node("Start", "success", 0, "{}"),
        "search": node("Plugin", "success", 500, '{"hits": 2}'),
        "End": node("End", "success", 1_200, '{"answer": "the ferry terminal"}'),
    }
    usage = {"token_count": 120, "input_count": 90, "output_count": 30}
    await service.update_execution_record(
        CHAT,
        ended["execute_id"],
        "success",
        output={"answer": "the ferry terminal"},
        usage=usage,
        node_execute_status=nodes,
        debug_url="https://www.coze.cn/work_flow?execute_id=1",
        metadata={"proof": "done_event", "coze_execute_id": "7500000000000000001", "account": "default"},
    )
    noted = {"tags": ["checked", "渡轮"], "note": "Answered well.", "rating": 5, "pinned": True}
    await service.update_execution_record(CHAT, ended["execute_id"], metadata=noted)

    failed = await service.create_execution_record(CHAT, parameters={"question": "out of memory?"}, bot_id="bot-1")
    nodes = {"Start": node("Start", "success", 0, "{}"), "code": node("Code", "failed", 300, "")}
    await service.update_execution_record(
        CHAT,
        failed["execute_id"],
        "failed",
        error_code="720702011",
        error_message="Code node: out of memory",
        node_execute_status=nodes,
        metadata={"proof": "error_event", "coze_execute_id": "7500000000000000002"},
    )
    asks = await service.create_execution_record(CHAT, parameters={"question": "How many tickets?"})
    await service.update_execution_record(
        CHAT,
        asks["execute_id"],
        "interrupted",
        metadata={"interrupt": {"event_id": "e/1", "type": 2, "question": "How many tickets?"}},
    )
    await service.create_execution_record(CHAT, parameters={"question": "still running"}, conversation_id="talk-1")

    for number in range(30):
        run = await service.create_execution_record(TRANSLATE, parameters={"text": f"句子 {number}", "number": number})
        status = "success" if (number + 1) % 10 else "failed"
        await service.update_execution_record(
            TRANSLATE, run["execute_id"], status, output={"text": f"sentence {number}"}, usage={"tokens": 10 + number}
        )
    large = await service.create_execution_record(TRANSLATE, parameters={"text": "of more than 64 KiB"})
    await service.update_execution_record(TRANSLATE, large["execute_id"], "success", output="x" * 66_000)

    gone = await service.create_execution_record(TRANSLATE, parameters={"text": "to be deleted"})
    await service.delete_execution_record(TRANSLATE, gone["execute_id"])
    await service.create_execution_record(EMPTIED, parameters={"text": "to be cleared"})
    await service.clear_workflow_history(EMPTIED)


async def read(service: ExecutionHistoryService) -> dict[str, object]:
    """Return what *service* reads, in the form of ``expected.json``."""
    workflows = sorted(await service.get_all_workflows())
    pages = {each: await service.get_execution_history(each, page_size=100) for each in workflows}
    return {
        "records": {each: page["histories"] for each, page in pages.items()},
        "failed": [
            record["execute_id"]
            for each in workflows
            for record in (await service.get_execution_history(each, status="failed"))["histories"]
        ],
        "found": {
            text: [each["execute_id"] for each in (await service.get_execution_history(CHAT, q=text))["histories"]]
            for text in ("ferry", "渡轮", '"out of memory"')
        },
    }


async def make(target: Path) -> None:
    """Make the history in *target*."""
    folder = target / "history"
    folder.mkdir(parents=True)
    write_foreign_file(folder)
    async with ExecutionHistoryService(folder, clock=make_clock(), new_id=make_ids()) as service:
        await write_runs(service)
        await service.flush()
        expected = await read(service)
    database = sqlite3.connect(folder / "history.db")
    database.execute("INSERT INTO leases (owner, expires) VALUES ('a recorder of that day', ?)", (BEGIN,))
    database.execute("UPDATE feed SET boot = ''")  # by which start of which machine it was written is nobody's concern
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    for path in folder.iterdir():
        if path.name.startswith(".") or path.suffix not in {".db", ".json"}:
            path.unlink()
    # Git keeps no times, and the store knows its own files by theirs.
    expected["file_times"] = {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("*.json"))}
    (target / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1])))
