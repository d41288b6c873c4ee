"""Whatever the rules are and whenever the process ends, what is protected stays and nothing is lost."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_history import ExecutionHistoryService
from execution_history.clock import now_ms
from execution_history.maintenance.retention import Retention, RetentionSettings
from execution_history.query.model import StatisticsQuery
from execution_history.query.retention import RetentionRule
from execution_history.records.protection import protection_of
from execution_history.stores.capabilities import Bin, flush
from execution_history.stores.factory import store_at
from tests.programs import begin
from tests.sample_records import change, document

_DAY = 86_400_000
_RUN = st.fixed_dictionaries(
    {
        "days": st.integers(0, 60),
        "status": st.sampled_from(["running", "success", "failed", "interrupted"]),
        "workflow": st.sampled_from("ab"),
        "metadata": st.sampled_from(
            [{}, {}, {}, {"pinned": True}, {"rating": 3}, {"tags": ["keep"]}, {"tags": ["x"]}, {"interrupt": {"id": 1}}]
        ),
    }
)
_CHOICES: dict[str, list[Any]] = {
    "status": ["", "success", "failed", "interrupted"],
    "workflow": ["", "a"],
    "older_than": [None, "10d", "40d"],
    "keep_runs": [None, 0, 2, 5],
    "keep_bytes": [None, 2_000],
    "action": ["remove", "contents"],
}
_RULE = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in _CHOICES.items()}).filter(
    lambda rule: any(rule[name] is not None for name in ("older_than", "keep_runs", "keep_bytes"))
)


@settings(max_examples=40)
@given(st.lists(_RUN, max_size=20), st.lists(_RULE, min_size=1, max_size=2), st.sampled_from([None, 1]))
def test_what_is_protected_or_matches_no_rule_stays(
    found: list[dict[str, Any]], rules: list[dict[str, Any]], max_bytes: int | None
) -> None:
    """With or without a limit of the size; what lost its contents counts as before."""
    asyncio.run(_tried(found, rules, max_bytes))


async def _tried(found: list[dict[str, Any]], rules: list[dict[str, Any]], max_bytes: int | None) -> None:
    now = now_ms()
    async with ExecutionHistoryService("memory:") as service:
        store = service.store
        for number, run in enumerate(found):
            begun = now - run["days"] * _DAY - number
            await store.create(document(str(number), run["workflow"], begun, parameters={"text": "private " * 40}))
            status = None if run["status"] == "running" else run["status"]
            await store.update(run["workflow"], str(number), change(begun + 1, status, metadata=run["metadata"]))
        before = {record["execute_id"]: record for record in await _records(service)}
        figures = (await store.statistics(StatisticsQuery())).totals
        known = [RetentionRule.of({"name": str(number), **rule}) for number, rule in enumerate(rules)]
        done = await Retention(service, RetentionSettings(tuple(known), max_bytes)).prune()
        assert done.report is not None
        assert [None] * len(known) == [part["error"] for part in done.report["parts"][: len(known)]]
        after = {record["execute_id"]: record for record in await _records(service)}
        for execute_id, record in before.items():
            free = any(rule.frees_waiting for rule in known)
            if protection_of(record, frees_waiting=free) is not None:
                assert record == after[execute_id]
            elif max_bytes is None and record != after.get(execute_id):
                assert any(_matches(rule, record, now) for rule in known)
        if max_bytes is None and all(rule.action == "contents" for rule in known):
            assert figures == (await store.statistics(StatisticsQuery())).totals


async def _records(service: ExecutionHistoryService) -> list[dict[str, Any]]:
    return [orjson.loads(body) for body in (await service.store.scan(None, 1_000)).documents]


def _matches(rule: RetentionRule, record: dict[str, Any], now: int) -> bool:
    """Whether a rule may have meant a run; limits by workflow are looked at elsewhere."""
    found = rule.matching(now + 60_000)
    return (
        (not found.statuses or record["execute_status"] in found.statuses)
        and (not found.workflow_ids or record["workflow_id"] in found.workflow_ids)
        and (found.created_before is None or record["create_time"] < found.created_before)
    )


_PRUNES = """
    import asyncio, os, sys
    from execution_history import ExecutionHistoryService
    from execution_history.maintenance.retention import Retention, RetentionSettings
    from execution_history.query.retention import RetentionRule

    async def main():
        async with ExecutionHistoryService(os.environ["EXECUTION_HISTORY_STORE"]) as service:
            rules = [{"status": "failed", "keep_runs": 0}, {"keep_runs": 0, "action": "contents"}]
            retention = Retention(service, RetentionSettings(tuple(map(RetentionRule.of, rules))))
            print("begins", flush=True)
            await retention.carry_out()

    asyncio.run(main())
"""


@pytest.mark.anyio
async def test_a_process_that_is_killed_while_it_removes_runs_loses_none(tmp_path: Path) -> None:
    """Each is there, there without its contents, or in the bin; another process goes on where it ended."""
    folder = tmp_path / "one"
    folder.mkdir()
    count = 400
    async with ExecutionHistoryService(folder / "history") as service:
        for number in range(count):
            begun = document(f"e{number:04}", f"w{number % 3}", 1_000 + number, parameters={"text": "private " * 40})
            await service.store.create(begun)
            status = "failed" if number % 2 else "success"
            await service.store.update(begun.workflow_id, begun.execute_id, change(9_000, status))
    for wait in (0.05, 0.25):
        with begin(folder, _PRUNES) as program:
            assert program.stdout is not None
            assert "begins\n" == await asyncio.to_thread(program.stdout.readline)
            await asyncio.sleep(wait)  # somewhere in its work; at its end at the latest
            program.kill()
        assert count == await _kept(folder, is_whole=False)
    store = store_at(folder / "history")
    async with ExecutionHistoryService(store) as service:
        rules = ({"status": "failed", "keep_runs": 0}, {"keep_runs": 0, "action": "contents"})
        await Retention(service, RetentionSettings(tuple(map(RetentionRule.of, rules)))).carry_out()
    assert count == await _kept(folder, is_whole=True)


async def _kept(folder: Path, *, is_whole: bool) -> int:
    """How many runs there are, in the history and in the bin, once both agree with the files and the counters."""
    async with ExecutionHistoryService(folder / "history") as service:
        store = service.store
        await flush(store)
        assert isinstance(store, Bin)
        records = await _records(service)
        summaries = await store.workflows()
        assert len(records) == sum(each.total for each in summaries)
        scanned = await store.scan(None, 1_000)
        assert sum(map(len, scanned.documents)) == sum(each.size for each in summaries)
        files = [orjson.loads(path.read_bytes()) for path in (folder / "history").glob("w*.json")]
        assert {each["execute_id"]: each for each in records} == {
            each["execute_id"]: each for file in files for each in file["histories"]
        }
        binned = [each.key for each in await store.binned()]
        if is_whole:
            assert {True} == {"pruned" in each["metadata"] for each in records}
            assert count_of(records, "failed") == 0
        return len({*binned} | {(each["workflow_id"], each["execute_id"]) for each in records})


def count_of(records: list[dict[str, Any]], status: str) -> int:
    """How many have this status."""
    return sum(each["execute_status"] == status for each in records)
