"""Prices, the budget, and what runs cost by them."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import InvalidInput, PriceChanged
from execution_history.query.fields import RecordFilter
from execution_history.records.price_book import Price, Prices
from execution_history.stores import MemoryStore
from tests.sample_records import changed, document

pytestmark = pytest.mark.anyio

USAGE = {"input_tokens": 1_000, "output_tokens": 1_000}


@pytest.fixture
async def service() -> AsyncIterator[ExecutionHistoryService]:
    """A history in memory."""
    async with ExecutionHistoryService(MemoryStore()) as made:
        yield made


async def run(service: ExecutionHistoryService, workflow_id: str = "w", usage: Any = USAGE, **more: Any) -> str:
    """Record a run that succeeds; its id."""
    begun = await service.create_execution_record(workflow_id=workflow_id, **more)
    await service.update_execution_record(workflow_id, begun["execute_id"], "success", usage=usage)
    return begun["execute_id"]


async def cost(service: ExecutionHistoryService, execute_id: str, workflow_id: str = "w") -> Any:
    """What the record says that the run cost."""
    record = await service.get_execution_detail(workflow_id, execute_id)
    assert record is not None
    return record["metadata"].get("cost")


async def test_a_run_names_the_price_that_can_be_looked_up_later(service: ExecutionHistoryService) -> None:
    """Also when it was changed, and when it was removed."""
    first = await service.set_price({"input": "0.008", "output": "0.02"})
    execute_id = await run(service)
    second = await service.set_price({"input": "0.1", "output": "0.2"})
    assert first.version != second.version
    assert {"amount": 0.028, "currency": "CNY", "price": first.version} == await cost(service, execute_id)
    assert await service.remove_price()
    assert not await service.remove_price()
    known = await service.price_list()
    assert not known.in_force
    assert (first, second) == (known.explained(first.version), known.explained(second.version))
    assert known.explained("settings-000000") is None
    third = await service.set_price({"input": "0.1", "output": "0.2"})
    assert [third] == list((await service.price_list()).in_force)


async def test_a_workflow_and_an_account_have_prices_of_their_own(service: ExecutionHistoryService) -> None:
    """The general ones are listed first; a workflow may be called by its name."""
    await service.name_workflow("7300", name="Writer")
    await service.set_price({"workflow": "Writer", "input": 2, "output": 2, "currency": "usd"})
    await service.set_price({"account": "work", "input": 3, "output": 3})
    await service.set_price({"input": 1, "output": 1})
    assert [("*", "*"), ("*", "work"), ("7300", "*")] == [
        (line.price.workflow, line.price.account) for line in (await service.price_list()).lines
    ]
    writer = await run(service, "7300")
    assert {"amount": 4.0, "currency": "USD"}.items() <= (await cost(service, writer, "7300")).items()
    assert 6.0 == (await cost(service, await run(service, metadata={"account": "work"})))["amount"]
    assert 2.0 == (await cost(service, await run(service)))["amount"]


async def test_who_has_seen_another_price_changes_nothing(service: ExecutionHistoryService) -> None:
    """The version of the entry says which one was seen; the same price again is no change."""
    price = await service.set_price({"input": 1, "output": 1}, expected=0)
    assert price == await service.set_price({"input": "1", "output": "1"})
    line = (await service.price_list()).lines[0]
    await service.set_price({"input": 2, "output": 2}, expected=line.version)
    with pytest.raises(PriceChanged, match="look at it again"):
        await service.set_price({"input": 3, "output": 3}, expected=line.version)
    with pytest.raises(PriceChanged):
        await service.remove_price(expected=line.version)
    assert [2] == [price.input for price in (await service.price_list()).in_force]


async def test_prices_of_the_settings_can_only_be_changed_there() -> None:
    """They are listed, with what the registry had before as removed."""
    store = MemoryStore()
    async with ExecutionHistoryService(store) as service:
        earlier = await service.set_price({"input": 1, "output": 1})
        store.prices.fixed = Prices([Price.of({"input": 5, "output": 5, "version": "contract"})])
        known = await service.price_list()
        assert known.is_fixed
        assert ["contract"] == [price.version for price in known.in_force]
        assert earlier == known.explained(earlier.version)
        for refused in (service.set_price({"input": 1, "output": 1}), service.remove_price()):
            with pytest.raises(InvalidInput, match="The prices are in the settings"):
                await refused


async def test_a_budget_is_for_a_month_and_has_the_usual_currency(service: ExecutionHistoryService) -> None:
    """Without one there is no limit; the settings' wins."""
    assert (None, "CNY") == ((await service.price_list()).budget.amount, (await service.price_list()).budget.currency)
    assert Decimal("250.50") == (await service.set_budget("250.50", "usd")).amount
    assert "USD" == (await service.set_price({"input": 1, "output": 1})).currency
    assert (await service.set_budget("")).amount is None
    with pytest.raises(InvalidInput, match="not 'much'"):
        await service.set_budget("much")
    with pytest.raises(InvalidInput, match=r"0 or a number from 0\.000001"):
        await service.set_budget("1e-7")
    assert isinstance(service.store, MemoryStore)
    service.store.prices.budget = Decimal(9)
    assert Decimal(9) == (await service.price_list()).budget.amount
    with pytest.raises(InvalidInput, match="are in the settings"):
        await service.set_budget(1)


async def test_costs_are_computed_again_when_somebody_asks_for_it(service: ExecutionHistoryService) -> None:
    """It tells the sums before and after; runs that have no price, or no tokens, keep what they have."""
    before = [await run(service), await run(service, usage=None)]
    await service.set_price({"workflow": "w", "input": 1, "output": 1})
    after = await run(service)
    await service.merge([changed(document("theirs", "v"), 2_000, "success", usage=USAGE,
                                 metadata={"cost": {"amount": 7, "currency": "USD", "price": "x"}})])  # fmt: skip
    running = await service.create_execution_record("w")
    trial = await service.reprice(RecordFilter(), dry_run=True)
    assert {"matched": 4, "changed": 1, "unpriced": 2, "before": {"CNY": 2.0, "USD": 7.0},
            "after": {"CNY": 4.0, "USD": 7.0}, "dry_run": True} == trial.to_json()  # fmt: skip
    assert await cost(service, before[0]) is None
    assert 1 == (await service.reprice(RecordFilter())).changed
    assert 0 == (await service.reprice(RecordFilter())).changed
    assert 2.0 == (await cost(service, before[0]))["amount"]
    assert await cost(service, before[1]) is None
    assert 7 == (await cost(service, "theirs", "v"))["amount"]
    assert await cost(service, running["execute_id"]) is None
    assert 2.0 == (await cost(service, after))["amount"]


async def test_only_matching_runs_are_computed_again(service: ExecutionHistoryService) -> None:
    """In as many batches as there have to be."""
    for _ in range(3):
        await run(service)
    await run(service, "v")
    await service.set_price({"input": 1, "output": 1})
    await service.set_price({"workflow": "v", "input": 2, "output": 2})
    report = await service.reprice(RecordFilter(workflow_ids=("v",)))
    assert (1, 1, {"CNY": 4.0}) == (report.matched, report.changed, report.after)


async def test_costs_are_computed_again_in_the_background(service: ExecutionHistoryService) -> None:
    """It tells how far it is, and why it was stopped: by somebody, or when the history was closed."""
    for _ in range(3):
        await run(service)
    await service.set_price({"input": 1, "output": 2})
    prices, work = (await service.price_list()).in_force, service.recalculations
    trial = await work.begin(RecordFilter(), prices, dry_run=True)
    assert ("running", 3, trial) == (trial.state, trial.total, work.find(trial.id))
    await work.wait(trial.id, 60)
    assert ("done", 3, 3) == (trial.state, trial.report.matched, trial.report.changed)
    assert (await service.reprice(RecordFilter(), dry_run=True)) == trial.report
    stopped, closed = [await work.begin(RecordFilter(), prices) for _ in range(2)]
    await work.stop(stopped.id)
    await service.aclose()
    for each in (stopped, closed):
        assert ("stopped", "It was stopped before its end.") == (each.state, each.reason)
    assert work.find("unknown") is None
