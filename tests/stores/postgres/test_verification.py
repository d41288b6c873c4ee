"""The checks of a history in PostgreSQL, and its repairs beside those who use it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from execution_history.maintenance.doctor import CheckReport, Doctor
from execution_history.settings import Settings
from execution_history.stores import store_at
from execution_history.stores.postgres.connections import Connections
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.store import PostgresStore
from tests.postgres_server import PostgresServer
from tests.sample_records import change, changed, document, ids, page_of
from tests.stores.postgres.filled import sum_all

pytestmark = pytest.mark.anyio


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    """The URL of a history with some runs."""
    with postgres.new_history() as location:
        store = store_at(location)
        await store.open()
        for number in range(20):
            await store.create(document(f"e{number}", f"w{number % 3}", 3_600_000 * number))
            if number % 4:
                await store.update(f"w{number % 3}", f"e{number}", change(3_600_000 * number + 70, "success"))
        await store.aclose()
        yield location


async def _examined(url: str, *, repair: bool = False, is_quick: bool = False) -> dict[str, CheckReport]:
    store = store_at(url)
    try:
        doctor = Doctor(store, Settings(store=url))
        return {report.name: report async for report in doctor.examine(repair=repair, is_quick=is_quick)}
    finally:
        await store.aclose()


async def _execute(postgres: PostgresServer, url: str, sql: str) -> None:
    schema = url.partition("schema=")[2].partition("&")[0]
    with postgres.connected() as connection:
        connection.execute(f"SET search_path = {schema}")
        connection.execute(sql.encode())


async def test_a_sound_history_has_no_problem(url: str) -> None:
    """Every check says what it has looked at."""
    reports = await _examined(url)
    assert [] == [report for report in reports.values() if report.verdict == "problem"]
    assert {"server", "database", "counters", "records", "index", "times", "runs"} < reports.keys()
    assert "20 runs read" in reports["records"].summary


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE counters SET success = success + 5",
        "DELETE FROM counters WHERE workflow_id = 'w1'",
        "UPDATE total_counters SET failed = 3",
        "UPDATE rollups SET running = running + 1 WHERE hour = 4",
        "DELETE FROM total_durations",
    ],
)
async def test_wrong_sums_are_corrected_by_what_the_rows_say(postgres: PostgresServer, url: str, sql: str) -> None:
    """While others go on writing."""
    await _execute(postgres, url, sql)
    store = store_at(url)
    await store.open()

    async def write() -> None:
        for number in range(40):
            await store.create(document(f"more{number}", f"w{number % 4}", 3_600_000 * number))

    assert "are wrong in" in str((await _examined(url))["counters"].findings[0].sentence)
    _, reports = await asyncio.gather(write(), _examined(url, repair=True))
    assert 1 == len(reports["counters"].repaired)
    assert "ok" == (await _examined(url))["counters"].verdict
    assert 60 == (await page_of(store, None, 100, 1)).total
    line = (await store.audit(0, 10))[-1]
    assert ("local:", "doctor") == (line.actor[:6], line.action)
    await store.aclose()


async def test_damaged_runs_are_named(postgres: PostgresServer, url: str) -> None:
    """There is nothing beside the database that has them; one whose ids its row does not have is found as well."""
    await _execute(postgres, url, "UPDATE executions SET document = '\\x00' WHERE execute_id = 'e3'")
    await _execute(postgres, url, "UPDATE executions SET execute_id = 'other' WHERE execute_id = 'e6'")
    sentences = [str(finding.sentence) for finding in (await _examined(url))["records"].findings]
    assert ["1 run is damaged: w0/e3.", "1 run has other ids than its row: w0/other."] == sentences


_DAMAGE: Final = {
    "update_time": "UPDATE executions SET update_time = 9", "tokens": "UPDATE executions SET tokens = 7",
    "cost": "UPDATE executions SET cost = 7", "failed_in": "UPDATE executions SET failed_in = 'x'",
    "tags": "UPDATE executions SET tags = '{x}'", "terms": "UPDATE executions SET terms = terms[2:]",
    "status": "UPDATE executions SET status = 2", "duration": "UPDATE executions SET duration = NULL",
    "summary": "UPDATE executions SET summary = 'x'",
    "nodes": "INSERT INTO nodes SELECT workflow_id, execute_id, 0, 0, 'x', 'x', 'x', 1 FROM executions",
}  # fmt: skip


async def test_columns_and_rows_that_contradict_their_run_are_rewritten(postgres: PostgresServer, url: str) -> None:
    """A quick look finds them, too, and the sums are right afterwards."""
    store = store_at(url)
    await store.open()
    for name, sql in _DAMAGE.items():
        await store.merge([changed(document(name, "w5", 1_000), 2_000, "success", output="Paris")])
        await _execute(postgres, url, f"{sql} WHERE execute_id = '{name}'")
    await store.aclose()
    for is_quick in (True, False):
        [found] = (await _examined(url, is_quick=is_quick))["records"].findings
        assert "10 runs have columns or rows that contradict them" in str(found.sentence)
        assert "w5/" in str(found.sentence)
    reports = await _examined(url, repair=True)
    assert ["The rows of 10 runs were rewritten from their documents."] == list(map(str, reports["records"].repaired))
    assert {"ok"} == {
        report.verdict for name, report in (await _examined(url)).items() if name in ("records", "counters")
    }


async def test_what_a_rebuild_has_left_is_removed(postgres: PostgresServer, url: str) -> None:
    """An index that was cut short takes space and each write, and is no use."""
    left = "executions_by_id_ccnew"
    await _execute(postgres, url, f"CREATE INDEX {left} ON executions (execute_id)")
    invalid = f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = (current_schema() || '.{left}')::regclass"  # noqa: S608 - ours
    await _execute(postgres, url, invalid)
    report = (await _examined(url, repair=True))["database"]
    assert [f"Index {left}, which a rebuild had left, was removed."] == list(map(str, report.repaired))
    assert "ok" == (await _examined(url))["database"].verdict


async def test_an_invalid_index_is_made_anew(postgres: PostgresServer, url: str) -> None:
    """As one that was being built when the server went down."""
    await _execute(
        postgres,
        url,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = (current_schema() || '.executions_by_id')::regclass",
    )
    report = (await _examined(url, repair=True))["database"]
    found = report.verdict, list(map(str, report.repaired)), report.refusal
    assert ("ok", ["Index executions_by_id was rebuilt."], None) == found
    store = store_at(url)
    assert isinstance(store, PostgresStore)
    await store.open()
    assert ["e3"] == ids(await store.find("e3"))
    await store.aclose()


async def test_a_server_that_cannot_be_reached_is_one_problem(tmp_path: Path) -> None:
    """What needs it is not checked."""
    url = f"postgresql:///history?host={tmp_path}"
    reports = await _examined(url)
    assert "problem" == reports["server"].verdict
    assert "could not be checked" in str(reports["server"].findings[0].sentence)
    assert "remark" == reports["counters"].verdict


async def test_a_feed_that_would_use_a_revision_twice_goes_on_behind_it(postgres: PostgresServer, url: str) -> None:
    """As after a restore of one table."""
    await _execute(postgres, url, "UPDATE feed SET revision = revision - 5")
    assert "there are changes up to 35" in str((await _examined(url))["counters"].findings[0].sentence)
    report = (await _examined(url, repair=True))["counters"]
    assert ["The change feed goes on from revision 35."] == list(map(str, report.repaired))
    assert "ok" == report.verdict


async def test_sums_of_days_that_are_not_those_of_their_runs_are_added_up_again(
    postgres: PostgresServer, url: str
) -> None:
    """One that was taken back already is of no use, and no fault."""
    with closing(Connections(location_of(url))) as connections:
        sum_all(connections)
    await _execute(postgres, url, "UPDATE days SET success = success + 1 WHERE workflow_id = 'w1'")
    await _execute(postgres, url, "UPDATE days SET success = 9 WHERE workflow_id = 'w2'")
    await _execute(postgres, url, "UPDATE day_stamps SET stamp = NULL WHERE workflow_id = 'w2'")
    sentence = "The sums of 1 day are not those of its runs: w1 1970-01-01."
    assert [sentence] == [str(finding.sentence) for finding in (await _examined(url))["counters"].findings]
    assert "ok" == (await _examined(url, repair=True))["counters"].verdict
