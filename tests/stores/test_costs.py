"""What ends in a store keeps what it cost, on every store."""

from typing import Any

import orjson
import pytest

from execution_history.records.price_book import KIND, Price, Prices, entry_key, entry_of
from execution_history.stores.capabilities import Priced
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, changed, document

pytestmark = pytest.mark.anyio

USAGE = {"input_tokens": 1_000, "output_tokens": 500}


async def set_price(store: HistoryStore, price: float, *, removed: bool = False) -> None:
    """Have the registry say what a thousand tokens cost."""
    made = Price.of({"input": price, "output": price, "version": f"at {price}"})
    await store.put_entry(KIND, entry_key("*", "*"), entry_of([(made, 1)], removed=removed))


async def ended(store: HistoryStore, execute_id: str) -> Any:
    """What a run costs that begins and ends now."""
    await store.create(document(execute_id))
    await store.update("w", execute_id, change(status="success", usage=USAGE))
    return await cost(store, execute_id)


async def cost(store: HistoryStore, execute_id: str) -> Any:
    """The cost that the stored record has."""
    body = await store.get("w", execute_id)
    assert body is not None
    return orjson.loads(body)["metadata"].get("cost")


async def test_a_run_costs_what_holds_when_it_ends(store: HistoryStore) -> None:
    """A price that is set, changed or removed holds for the next that ends, and changes none that has ended."""
    assert await ended(store, "before") is None
    await set_price(store, 2)
    assert {"amount": 3.0, "currency": "CNY", "price": "at 2"} == await ended(store, "first")
    await set_price(store, 4)
    assert 6.0 == (await ended(store, "second"))["amount"]
    await set_price(store, 4, removed=True)
    assert await ended(store, "third") is None
    assert 3.0 == (await cost(store, "first"))["amount"]


async def test_the_prices_of_the_settings_win(store: HistoryStore) -> None:
    """What the registry has does not count beside them."""
    assert isinstance(store, Priced)
    store.prices.fixed = Prices([Price.of({"input": 8, "output": 8})])
    await set_price(store, 2)
    assert 12.0 == (await ended(store, "e"))["amount"]


async def test_a_record_that_comes_ended_is_priced_and_one_from_elsewhere_is_not(store: HistoryStore) -> None:
    """What waited in memory begins and ends at once; a merge brings its records as they are."""
    await set_price(store, 2)
    await store.create(changed(document("late"), 2_000, "failed", usage=USAGE))
    await store.merge([changed(document("imported"), 2_000, "success", usage=USAGE)])
    assert 3.0 == (await cost(store, "late"))["amount"]
    assert await cost(store, "imported") is None


async def test_a_damaged_price_costs_nobody_a_record(store: HistoryStore) -> None:
    """Whatever somebody wrote into the registry, runs end, at the prices that can be read."""
    await set_price(store, 2)
    for number, value in enumerate((b"1", b"{}", b'{"workflow": 1, "account": "a", "versions": [{}]}')):
        await store.put_entry(KIND, f"bad{number}", value)
    assert 3.0 == (await ended(store, "e"))["amount"]
