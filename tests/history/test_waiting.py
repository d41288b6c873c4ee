"""Statistics and orders count the time in which runs worked, not that in which they waited for people."""

from pathlib import Path

import pytest

from execution_history import ExecutionHistoryService
from execution_history.query.model import StatisticsQuery
from execution_history.records.record import RecordChange, new_document

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("place", ["memory:", "folder"])
async def test_waiting_is_in_no_percentile_filter_or_order(place: str, tmp_path: Path) -> None:
    """A run that waited for an hour and worked for a second is quicker than one that worked for two."""
    location = place if place == "memory:" else tmp_path / place
    async with ExecutionHistoryService(location) as service:
        for execute_id, took, answers in (
            ("waited", 3_601_000, [{"asked_at": 1_500, "at": 3_601_500}]),
            ("worked", 2_000, []),
        ):
            await service.store.create(new_document(workflow_id="w", execute_id=execute_id, now=1_000))
            change = RecordChange.of(1_000 + took, "success", {"answers": answers})
            await service.store.update("w", execute_id, change)
        await service.follow_index()
        totals = (await service.statistics(StatisticsQuery())).totals
        assert (1_000, 1_000) == (totals.p50, totals.p95)
        slow = await service.get_execution_history("w", min_duration="1500")
        assert ["worked"] == [record["execute_id"] for record in slow["histories"]]
        in_order = await service.get_execution_history("w", sort="duration")
        assert ["worked", "waited"] == [record["execute_id"] for record in in_order["histories"]]
