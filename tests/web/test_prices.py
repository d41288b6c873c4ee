"""Prices over HTTP."""

from typing import Any

import pytest

from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


async def test_prices_are_set_listed_and_removed(web: Served) -> None:
    """A change can name the entry that it replaces; another one stays."""
    price: dict[str, Any] = {"workflow": "w", "input": 0.008, "output": "0.02", "entry": 0}
    made = (await web.client.put("/coze/prices", json=price)).json()["prices"][0]
    assert ("w", "*", 0.008, 0.02, None, "CNY") == tuple(
        made[name] for name in ("workflow", "account", "input", "output", "total", "currency")
    )
    stale = await web.client.put("/coze/prices", json=price)
    assert (409, "price_changed") == (stale.status_code, stale.json()["error"]["code"])
    changed = await web.client.put("/coze/prices", json=price | {"input": 1, "entry": made["entry"]})
    assert [made["version"]] == [each["version"] for each in changed.json()["prices"][0]["earlier"]]
    assert 200 == (await web.client.delete("/coze/prices?workflow=w")).status_code
    listed = (await web.client.get("/coze/prices")).json()
    assert ([], ["w"], "registry") == (
        listed["prices"],
        [each["workflow"] for each in listed["removed"]],
        listed["source"],
    )


async def test_a_budget_is_set(web: Served) -> None:
    """With its currency; null is no limit."""
    body = {"amount": 2_000, "currency": "USD"}
    made = (await web.client.put("/coze/prices/budget", json=body)).json()
    assert (2_000.0, "USD") == (made["budget"], made["currency"])
    assert (await web.client.put("/coze/prices/budget", json={"amount": None})).json()["budget"] is None


async def test_what_cannot_be_a_price_is_refused(web: Served) -> None:
    """With a sentence."""
    for body in ({"input": 1}, {"input": -1, "output": 1}, {"input": 1, "output": 1, "model": "x"}):
        refused = await web.client.put("/coze/prices", json=body)
        assert (422, "invalid_input") == (refused.status_code, refused.json()["error"]["code"])


async def test_a_run_of_the_sandbox_costs_something_and_can_be_computed_again(web: Served) -> None:
    """The tokens come from the upstream; the sums are told before and after."""
    await web.client.put("/coze/prices", json={"input": 1, "output": 2})
    run = await web.client.post("/coze/workflows/7000000000000000001/run", json={"parameters": {"input": "x"}})
    path = f"/coze/workflows/7000000000000000001/history/{run.json()['execution_id']}"
    record = (await web.client.get(path)).json()["execution"]
    usage, cost = record["usage"], record["metadata"]["cost"]
    assert "CNY" == cost["currency"]
    assert round((usage["input_count"] + 2 * usage["output_count"]) / 1_000, 6) == cost["amount"]
    await web.client.put("/coze/prices", json={"input": 2, "output": 4})
    again = "/coze/history/reprice?workflow=7000000000000000001"
    trial = (await web.client.post(f"{again}&dry_run=true")).json()
    done = (await web.client.post(again)).json()
    assert (1, True, cost["amount"]) == (trial["changed"], trial["dry_run"], trial["before"]["CNY"])
    assert (1, False, round(2 * cost["amount"], 6)) == (done["changed"], done["dry_run"], done["after"]["CNY"])
    assert 422 == (await web.client.post("/coze/history/reprice?stauts=failed")).status_code
