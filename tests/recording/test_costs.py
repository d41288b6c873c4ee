"""A run keeps what it cost when it ends, whoever ends it, whatever the store does meanwhile, and in every process."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService, record
from execution_history.history.prices import HistoryPricing
from execution_history.recording.recorder import Recorder
from execution_history.stores.protocol import HistoryStore
from tests.faulty_store import FaultyStore
from tests.programs import run

pytestmark = pytest.mark.anyio

USAGE = {"input_count": 1_000, "output_count": 500, "token_count": 1_500}


async def cost(store: HistoryStore, execute_id: str) -> Any:
    """What the record says that the run cost."""
    body = await store.get("w", execute_id)
    return None if body is None else orjson.loads(body)["metadata"].get("cost")


async def priced(store: HistoryStore) -> HistoryPricing:
    """A history in which a thousand tokens cost one and two."""
    service = ExecutionHistoryService(store)
    await service.set_price({"input": 1, "output": 2})
    return service


async def test_a_recorded_run_costs_what_it_used() -> None:
    """Also where the tokens are only known afterwards, as of one that is polled."""
    store = FaultyStore()
    await priced(store)
    recorder = Recorder(store)
    at_once = await recorder.open("w")
    await at_once.close("success", usage=USAGE)
    later = await recorder.open("w")
    await later.close("failed")
    assert await cost(store, later.execute_id) is None
    await later.complete({"usage": USAGE}, {}, only_from=frozenset({"failed"}), only_while={})
    assert [2.0, 2.0] == [(await cost(store, each.execute_id))["amount"] for each in (at_once, later)]


async def test_what_waited_in_memory_has_its_cost_when_it_is_written() -> None:
    """Its beginning and its ending have become one step by then."""
    store = FaultyStore()
    await priced(store)
    recorder = Recorder(store, lease_seconds=0.03)
    store.fill()
    waited = await recorder.open("w")
    await waited.close("success", usage=USAGE)
    store.fault = None
    await recorder.start()
    async with asyncio.timeout(60):
        while recorder.problems():
            await asyncio.sleep(0.01)
    await recorder.aclose()
    assert 2.0 == (await cost(store, waited.execute_id))["amount"]


async def test_a_function_that_says_what_it_used_costs_something() -> None:
    """As a run of Coze does."""
    service = ExecutionHistoryService("memory:")
    await service.set_price({"workflow": "w", "input": 1, "output": 2})
    async with record("w", {}, service=service) as block:
        block.usage = {"prompt_tokens": 1_000, "completion_tokens": 500}
    async with asyncio.timeout(60):
        while await cost(service.store, block.execute_id) is None:
            await asyncio.sleep(0.001)
    assert 2.0 == (await cost(service.store, block.execute_id))["amount"]


async def test_a_price_that_another_process_sets_holds_for_the_next_run(tmp_path: Path) -> None:
    """There is nothing to be restarted."""
    async with ExecutionHistoryService(tmp_path / "history") as service:
        first = await service.create_execution_record("w")
        await service.update_execution_record("w", first["execute_id"], "success", usage=USAGE)
        program = """
            import asyncio
            from execution_history import ExecutionHistoryService

            async def main():
                async with ExecutionHistoryService("history") as service:
                    await service.set_price({"input": 3, "output": 0})

            asyncio.run(main())
        """
        await asyncio.to_thread(run, tmp_path, program)
        second = await service.create_execution_record("w")
        changed = await service.update_execution_record("w", second["execute_id"], "success", usage=USAGE)
    assert changed is not None
    assert 3.0 == changed["metadata"]["cost"]["amount"]
