"""Databases of earlier versions open, and have everything that was kept in them."""

from pathlib import Path
from typing import Final

import apsw
import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.clock import now_ms
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.queries import migrations
from tests.sample_records import change, ids

pytestmark = pytest.mark.anyio

_DUMP: Final = Path(__file__).parent / "old_databases" / "schema_3.sql"
_EARLIER: Final = {
    3: "",
    2: "DROP TABLE identity; DELETE FROM migrations WHERE number > 2;",
    1: "DROP INDEX executions_by_upstream; ALTER TABLE executions DROP COLUMN upstream_id; DROP TABLE identity;"
    "DELETE FROM migrations WHERE number > 1;",
}
"""What makes a database of an earlier schema of the dumped one."""


@pytest.fixture(params=_EARLIER)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a database that an earlier version made."""
    connection = apsw.Connection(str(tmp_path / "history.db"))
    connection.execute(_DUMP.read_text("utf-8") + _EARLIER[request.param])
    connection.close()
    return tmp_path


async def test_an_older_database_has_all_its_records(folder: Path) -> None:
    """With their counters, their upstream ids and their places in the feed, and nothing that had been removed."""
    async with ExecutionHistoryService(folder) as service:
        assert ["b", "a"] == ids((await service.page_bytes("w")).documents)
        assert ["v", "w"] == await service.get_all_workflows()
        assert ["a"] == ids(await service.store.find_upstream("111"))
        assert [3, "d"] == [(await service.get_execution_history(None))["total"], ids(await service.store.find("d"))[0]]
        assert ["a", "b", "gone", None, "d"] == [each.execute_id for each in await service.store.changes(0, 100)]


async def test_an_older_database_goes_on(folder: Path) -> None:
    """What is written now is read, and its JSON files are made; of what was there before nobody says that it is new."""
    store = SQLiteStore(folder)
    await store.open()
    seen = await store.revision()
    await store.update("w", "b", change(status="success"))
    assert ["updated"] == [entry.kind for entry in await store.changes(seen, 10)]
    assert {"created", "deleted"} == {entry.kind for entry in await store.changes(0, 10)}
    await store.aclose()
    assert ["b", "a"] == [each["execute_id"] for each in orjson.loads((folder / "w.json").read_bytes())["histories"]]


async def test_the_leases_of_an_older_database_count(folder: Path) -> None:
    """They ended at a time of the system's clock: what remains of them is told, and a new one takes their place."""
    connection = apsw.Connection(str(folder / "history.db"))
    connection.execute("INSERT INTO leases (owner, expires) VALUES ('alive', ?)", (now_ms() + 60_000,))
    connection.close()
    store = SQLiteStore(folder)
    await store.open()
    leases = await store.leases()
    assert 0 < leases["alive"] <= 60_000
    assert leases["recorder"] < 0
    await store.renew_lease("recorder", 60_000)
    assert 0 < (await store.leases())["recorder"] <= 60_000
    await store.aclose()


async def test_a_lease_does_not_outlive_the_start_of_the_machine(tmp_path: Path) -> None:
    """Wherever the clock of that start stood; how long ago it ended is told by the system's time."""
    store = SQLiteStore(tmp_path)
    await store.open()
    for owner in ("alive", "long gone"):
        await store.renew_lease(owner, 60_000)
    connection = apsw.Connection(str(tmp_path / "history.db"))
    connection.execute("UPDATE leases SET boot = 'another'")
    connection.execute("UPDATE leases SET expires = 1 WHERE owner = 'long gone'")
    connection.close()
    leases = await store.leases()
    assert 0 == leases["alive"]
    assert leases["long gone"] < -1_000_000_000_000
    await store.aclose()


def test_migrations_are_numbered_without_a_gap() -> None:
    """How many have run says which have."""
    assert list(range(1, len(migrations()) + 1)) == [number for number, _, _ in migrations()]
