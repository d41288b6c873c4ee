"""Real programs for tests: what must hold when an interpreter ends, forks or dies cannot be seen inside one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import orjson

from execution_history import ExecutionHistoryService, ExecutionRecord


def environment(folder: Path) -> dict[str, str]:
    """Variables of a program whose history is in *folder* / "history" and whose spool is beside it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("EXECUTION_HISTORY_", "COZE_"))}
    return kept | {"EXECUTION_HISTORY_STORE": str(folder / "history"), "XDG_STATE_HOME": str(folder / "state")}


def begin(folder: Path, source: str, **variables: str) -> "subprocess.Popen[str]":
    """Start a program on the history of *folder*."""
    folder.mkdir(exist_ok=True)
    script = folder / "program.py"
    script.write_text(textwrap.dedent(source), "utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", str(script)],
        env=environment(folder) | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def run(folder: Path, source: str, *, code: int = 0, **variables: str) -> tuple[str, str]:
    """Run a program to its end, which must come with *code*; what it printed and what it complained about."""
    with begin(folder, source, **variables) as program:
        out, complaints = program.communicate(timeout=120)
    assert code == program.returncode, complaints
    return out, complaints


async def histories(folder: Path) -> dict[str, list[ExecutionRecord]]:
    """All records by workflow, oldest first."""
    async with ExecutionHistoryService(folder / "history") as service:
        found = {}
        for workflow_id in await service.get_all_workflows():
            page = await service.get_execution_history(workflow_id, page_size=100)
            found[workflow_id] = page["histories"][::-1]
        return found


async def statuses(folder: Path) -> dict[str, list[str]]:
    """The statuses of all records by workflow, oldest first."""
    return {name: [each["execute_status"] for each in kept] for name, kept in (await histories(folder)).items()}


def spooled(folder: Path) -> list[dict[str, object]]:
    """The lines that wait beside the store."""
    waiting = folder / "state" / "execution-history" / "waiting"
    return [orjson.loads(line) for path in waiting.glob("*.jsonl") for line in path.read_bytes().splitlines()]
