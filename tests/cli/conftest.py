"""The command line called in this process, in a folder of its own, and histories for it to read."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.cli import main
from execution_history.records.record import RecordChange, new_document
from tests.chosen_store import CHOSEN

BEGAN = 1_700_000_000_000
"""When every run of the tests began: 2023-11-14 22:13:20 UTC."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a call of the command ended with and said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document that the output is."""
        return orjson.loads(self.out)

    def lines(self) -> list[Any]:
        """The JSON documents that the lines of the output are."""
        return [orjson.loads(line) for line in self.out.splitlines()]


Call = Callable[..., Said]


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command with arguments."""

    def call_with(*arguments: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(CHOSEN.located(arguments, Path.cwd()))
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), CHOSEN.named(said.out), CHOSEN.named(said.err))

    return call_with


@dataclass(slots=True)
class History:
    """A history, named by the folder ``history``; its clock stands still unless it is told to go on."""

    folder: Path
    now: int = BEGAN

    def keep(self, execute_id: str = "run-1", workflow_id: str = "w", *, after: int = 0, **change: Any) -> None:
        """Record a run that began now, and what became of it *after* milliseconds."""
        asyncio.run(self._keep(execute_id, workflow_id, after, change))

    async def _keep(self, execute_id: str, workflow_id: str, after: int, change: dict[str, Any]) -> None:
        given = {key: change.pop(key) for key in ("parameters", "bot_id", "conversation_id") if key in change}
        begun_with = change.pop("begun_with", None)
        status, metadata = change.pop("execute_status", None), change.pop("metadata", None)
        async with ExecutionHistoryService(CHOSEN.location(self.folder)) as service:
            # As recorders do it, which may set every key of the metadata.
            await service.store.create(
                new_document(workflow_id=workflow_id, execute_id=execute_id, now=self.now, metadata=begun_with, **given)
            )
            self.now += after
            if status or metadata or change:
                changed = RecordChange.of(self.now, status, metadata, fields=change)
                await service.store.update(workflow_id, execute_id, changed)

    def read(self, workflow_id: str, page_size: int = 20) -> list[dict[str, Any]]:
        """The records of a workflow, newest first."""

        async def read() -> list[dict[str, Any]]:
            async with ExecutionHistoryService(CHOSEN.location(self.folder)) as service:
                page = await service.get_execution_history(workflow_id, page_size)
                return [dict(record) for record in page["histories"]]

        return asyncio.run(read())


@pytest.fixture
def history(tmp_path: Path) -> History:
    """A history of which nothing is on the disk yet."""
    return History(tmp_path / "history")
