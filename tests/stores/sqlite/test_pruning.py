"""What one transaction of pruning touches: so little, for every kind and any size of runs, that nobody waits for it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from execution_history import ExecutionHistoryService
from execution_history.maintenance.retention import Retention, RetentionSettings
from execution_history.query.model import RecordKey
from execution_history.query.retention import RetentionRule
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from tests.sample_records import change, changed, document

pytestmark = pytest.mark.anyio

_MOST_STATEMENTS = 120
_MOST_PAGES = 300
_WORKFLOWS = 3


class Touched:
    """The statements and the written pages of each transaction of a connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.statements: list[int] = []
        self.pages: list[int] = []
        self._connection = connection

    def note(self, event: dict[str, Any]) -> None:
        """Count a statement; one that begins a transaction closes the account of the one before."""
        written, _ = self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)
        if event["sql"].startswith(("BEGIN", "PRAGMA")):
            self._settle(written)
            self.statements.append(0)
            self._before = written
        elif self.statements:
            self.statements[-1] += 1

    def _settle(self, written: int) -> None:
        if len(self.pages) < len(self.statements):
            self.pages.append(written - self._before)

    def end(self) -> None:
        """Close the account of the last one."""
        self._settle(self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0])


@contextmanager
def _counted(store: SQLiteStore) -> Iterator[Touched]:
    connection = store._parts.writer._connection
    touched = Touched(connection)
    connection.trace_v2(apsw.SQLITE_TRACE_STMT, touched.note)
    try:
        yield touched
    finally:
        connection.trace_v2(0, None)
        touched.end()


def _run(number: int, size: int) -> Document:
    # A text that cannot be packed smaller.
    text = random.Random(number).randbytes(size // 2).hex()  # noqa: S311 - no secret
    new = document(f"e{number:05}", f"w{number % _WORKFLOWS}", 1_000 + number, parameters={"text": text})
    return changed(new, 2_000 + number, "success")


@pytest.fixture(
    params=[(240, 600), (8, 2_000_000), (3, 12_000_000)], ids=["many small runs", "few large ones", "very large ones"]
)
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ExecutionHistoryService]:
    """A history with many runs, or with large ones."""
    count, size = request.param
    async with ExecutionHistoryService(SQLiteStore(tmp_path, search=False)) as service:
        await service.merge(_run(number, size) for number in range(count))
        await service.follow_index()
        yield service


@pytest.mark.parametrize("kind", ["remove", "contents", "max_bytes", "clear", "bin"])
async def test_a_transaction_of_pruning_touches_little(service: ExecutionHistoryService, kind: str) -> None:
    """However many runs go, and however large they are: statements and pages of each are bounded."""
    store = service.store
    assert isinstance(store, SQLiteStore)
    store.bin_ms = 60_000 if kind == "bin" else 0
    action = "contents" if kind == "contents" else "remove"
    rules = () if kind in {"max_bytes", "clear"} else (RetentionRule.of({"older_than": "1d", "action": action}),)
    if kind == "clear":
        for number in range(_WORKFLOWS):
            await store.clear(f"w{number}")
    with _counted(store) as touched:
        use = await store.disk_use()
        limit = use.used // 2 if kind == "max_bytes" else None
        report = await Retention(service, RetentionSettings(rules, limit)).carry_out()
    assert kind == "clear" or report.runs
    assert len(touched.pages) > 1
    assert max(touched.statements) <= _MOST_STATEMENTS
    assert max(touched.pages) <= _MOST_PAGES


async def test_pieces_of_the_bin_go_with_what_they_are_pieces_of(tmp_path: Path) -> None:
    """Those of a copy that was never finished go an hour later; a record that changes meanwhile is copied anew."""
    now = [1_700_000_000_000]
    store = SQLiteStore(tmp_path, search=False, clock=lambda: now[0])
    async with ExecutionHistoryService(store):
        keys = [RecordKey(f"w{number}", f"e{number:05}") for number in range(2)]
        await store.merge([_run(number, 5_000_000) for number in range(2)])

        def pieces() -> list[int]:
            return [row[0] for row in writer._connection.execute("SELECT count(*) FROM bin_pieces GROUP BY pieces")]

        writer = store._parts.writer
        discarding = asyncio.create_task(store.discard([keys[0]], 60_000))
        while not (await writer.submit(lambda _: pieces())):
            await asyncio.sleep(0)
        await store.update(*keys[0], change(3_000, metadata={"pinned": True}))
        assert [keys[0]] == await discarding
        assert [5] == await writer.submit(lambda _: pieces())
        [(_, body)] = (await store.binned_documents([keys[0]])).items()
        assert b'"pinned":true' in body
        discarding = asyncio.create_task(store.discard({keys[1]: 2_001}, 60_000))
        while len(await writer.submit(lambda _: pieces())) < 2:
            await asyncio.sleep(0)
        discarding.cancel()
        await store.empty_bin([keys[0]])
        await store.give_back()
        assert 1 == len(await writer.submit(lambda _: pieces()))
        now[0] += 3_700_000
        await store.give_back()
        assert [] == await writer.submit(lambda _: pieces())
        assert await store.get(*keys[1]) is not None
