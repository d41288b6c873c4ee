"""``prices`` and ``reprice``."""

import re
from typing import Any

import orjson
import pytest

from tests.cli.conftest import Call, History

USAGE = {"input_tokens": 2_000, "output_tokens": 1_000}


def test_prices_are_set_shown_and_removed(call: Call, history: History) -> None:
    """Without any the command says how to set one; a second removal finds nothing."""
    history.keep()
    empty = call("prices", "--store", "history")
    assert (0, "") == (empty.code, empty.out)
    assert "prices set --input" in empty.err
    call("prices", "set", "--input", "0.008", "--output", "0.02", "--store", "history")
    said = call("prices", "set", "--workflow", "w", "--account", "work", "--input", "3", "--output", "3.50",
                "--currency", "usd", "--store", "history")  # fmt: skip
    assert 0 == said.code
    rows = [line.split()[:6] for line in said.out.splitlines()]
    assert ["all", "all", "0.008", "0.02", "CNY"] == rows[1][:5]
    assert ["w", "work", "3", "3.5", "USD"] == rows[2][:5]
    removed = call("prices", "remove", "--workflow", "w", "--account", "work", "--json", "--store", "history").json()
    assert (["*"], ["w"]) == ([each["workflow"] for each in removed["prices"]],
                              [each["workflow"] for each in removed["removed"]])  # fmt: skip
    again = call("prices", "remove", "--workflow", "w", "--account", "work", "--store", "history")
    assert (5, "Error: There is no price for workflow w and account work.\n") == (again.code, again.err)


def test_a_budget_is_an_amount_or_none(call: Call, history: History) -> None:
    """It has a currency, which prices have that name none."""
    history.keep()
    assert "Monthly budget: $1" in call("prices", "budget", "1000", "--currency", "USD", "--store", "history").out
    assert "USD" == call("prices", "--json", "--store", "history").json()["currency"]
    assert "Budget" not in call("prices", "budget", "none", "--store", "history").out
    for wrong in (("budget",), ("set", "3"), ("3",)):
        assert 2 == call("prices", *wrong, "--store", "history").code


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--input", "1"), "The option --input belongs to prices set."),
        (("remove", "--workflow", "w", "--total", "1"), "The option --total belongs to prices set."),
        (("budget", "9", "--account", "a"), "The option --account belongs to prices set, prices remove."),
        (("--currency", "usd"), "The option --currency belongs to prices set, prices budget."),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(call: Call, words: tuple[str, ...], sentence: str) -> None:
    """And nothing is changed."""
    said = call("prices", *words, "--store", "history")
    assert (2, f"Error: {sentence}\n") == (said.code, said.err)


def test_a_wrong_price_is_one_sentence(call: Call, history: History) -> None:
    """Nothing is written then."""
    history.keep()
    said = call("prices", "set", "--input", "cheap", "--output", "1", "--store", "history")
    assert 2 == said.code
    assert "(input) is a number from 0 to 1,000,000" in said.err
    assert [] == call("prices", "--json", "--store", "history").json()["prices"]


def test_prices_of_the_settings_are_shown_and_not_changed(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is no history yet."""
    monkeypatch.setenv("EXECUTION_HISTORY_PRICES", '[{"input": 1, "output": 2, "version": "contract"}]')
    monkeypatch.setenv("EXECUTION_HISTORY_BUDGET", "50")
    nowhere = call("prices", "--json", "--store", "nowhere").json()
    assert ("settings", 50.0) == (nowhere["source"], nowhere["budget"])
    assert ["contract"] == [each["version"] for each in nowhere["prices"]]
    history.keep()
    said = call("prices", "set", "--input", "1", "--output", "1", "--store", "history")
    assert (2, "Error: The prices are in the settings: change them there.\n") == (said.code, said.err)


def test_a_cost_is_shown_exported_and_sorted_by(call: Call, history: History) -> None:
    """With the version of its price; in units of the currency."""
    call("prices", "set", "--input", "1", "--output", "1", "--store", "history")
    history.keep(execute_status="success", usage=USAGE)
    history.keep("run-2", execute_status="success", usage={"input_tokens": 1, "output_tokens": 0})
    shown = call("show", "run-1", "--store", "history").out
    assert re.search(r"Cost +¥3\.00 \(\d{4}-\d\d-\d\d-[0-9a-f]{6}\)", shown)
    table = call("export", "--format", "csv", "--columns", "execute_id,cost,currency", "--store", "history").out
    assert {"run-1,3.0,CNY", "run-2,0.001,CNY"} <= set(table.split())
    found = call("list", "--sort", "cost", "--min-cost", "0.5", "--json", "--store", "history").json()
    assert ["run-1"] == [record["execute_id"] for record in found["histories"]]


def test_costs_are_computed_again(call: Call, history: History) -> None:
    """First without writing; the sums before and after are told."""
    history.keep(execute_status="success", usage=USAGE)

    def cost() -> Any:
        shown = orjson.loads(call("show", "run-1", "--json", "--store", "history").out)
        return shown["metadata"].get("cost")

    call("prices", "set", "--input", "1", "--output", "1", "--store", "history")
    trial = call("reprice", "--dry-run", "--store", "history")
    assert "The cost of 1 of 1 runs would change, from 0 to ¥3.00.\n" == trial.out
    assert cost() is None
    assert {"matched": 1, "changed": 1, "unpriced": 0, "before": {}, "after": {"CNY": 3.0}, "dry_run": False} == call(
        "reprice", "--workflow", "w", "--json", "--store", "history"
    ).json()
    assert 3.0 == cost()["amount"]
    assert "No costs changed.\n" == call("reprice", "--status", "failed", "--store", "history").out
