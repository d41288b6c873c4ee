"""What a run costs."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from execution_history.errors import InvalidInput
from execution_history.records.metadata import COST
from execution_history.records.price_book import Price, PriceBook, Prices, cost_at, current_price, entry_of, versions_of
from tests.sample_records import change, document

CHEAP = Price.of({"input": "0.0008", "output": 0.002, "version": "cheap"})


def priced(usage: Any, price: Price = CHEAP) -> str | None:
    """What *usage* costs, as text."""
    amount = price.amount(usage)
    return None if amount is None else str(amount)


def test_tokens_read_and_written_have_their_own_prices() -> None:
    """For a thousand each, exactly, to the millionth."""
    assert "0.009600" == priced({"input_count": 7_000, "output_count": 2_000, "token_count": 9_000})
    assert "0.000001" == priced({"input_tokens": 1, "output_tokens": 0})
    assert "0.000000" == priced({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0})


def test_halves_of_a_millionth_are_rounded_up() -> None:
    """As people do it, whatever binary fractions make of the price."""
    assert "0.000001" == priced({"input_tokens": 1, "output_tokens": 0}, Price.of({"input": "0.0005", "output": 1}))
    assert "0.000003" == priced({"input_tokens": 5, "output_tokens": 0}, Price.of({"input": 0.0005, "output": 1}))


def test_what_one_part_leaves_of_the_total_is_the_other() -> None:
    """Some upstreams tell one of them and the sum."""
    assert priced({"input_tokens": 600, "output_tokens": 400}) == priced({"input_tokens": 600, "total_tokens": 1_000})
    assert priced({"input_tokens": 600, "output_tokens": 400}) == priced({"output_tokens": 400, "total_tokens": 1_000})


def test_a_total_alone_has_a_cost_where_a_price_for_it_is_known() -> None:
    """That is `total`, or the one price of both; nothing is guessed."""
    assert priced({"tokens": 1_000}) is None
    assert "0.001000" == priced({"tokens": 1_000}, Price.of({"input": 0.0008, "output": 0.002, "total": 0.001}))
    assert "0.003000" == priced({"tokens": 1_000}, Price.of({"input": 0.003, "output": 0.003}))


@pytest.mark.parametrize("usage", [None, {}, "many", {"token_count": -1}, {"token_count": "9"}, [1]])
def test_unknown_tokens_cost_nothing_known(usage: Any) -> None:
    """No amount, rather than 0."""
    assert priced(usage) is None


def test_the_most_specific_price_holds() -> None:
    """The workflow's with the account, the workflow's, the account's, the general one."""
    pairs = [("w", "a"), ("w", "*"), ("*", "a"), ("*", "*")]
    prices = [
        Price.of({"workflow": workflow, "account": account, "input": 1, "output": 1, "version": f"{workflow}{account}"})
        for workflow, account in pairs
    ]
    for place, name in enumerate(("wa", "w*", "*a", "**")):
        found = Prices(prices[place:]).price_for("w", "a")
        assert found is not None
        assert name == found.version
    assert Prices(prices[:3]).price_for("v", None) is None


def test_a_record_says_amount_currency_and_price() -> None:
    """Amounts are numbers in units of the currency."""
    record = {"workflow_id": "w", "usage": {"input_tokens": 1_500, "output_tokens": 10}, "metadata": {}}
    assert {"amount": 0.00122, "currency": "CNY", "price": "cheap"} == cost_at(record, Prices([CHEAP]))
    assert cost_at(record, Prices()) is None
    assert cost_at(record | {"metadata": None}, Prices([CHEAP])) is not None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"output": 1}, r"\(input\) is a number from 0"),
        ({"input": 1, "output": "a lot"}, r"\(output\) is a number .* not 'a lot'"),
        ({"input": -1, "output": 1}, "not -1"),
        ({"input": float("nan"), "output": 1}, "not nan"),
        ({"input": True, "output": 1}, "not True"),
        ({"input": "1e-13", "output": 1}, "12 decimals"),
        ({"input": 1, "output": 1, "currency": "¥"}, "A currency is a name"),
        ({"input": 1, "output": 1, "workflow": "a\nb"}, "The workflow of a price"),
        ({"input": 1, "output": 1, "model": "x"}, "A price has no 'model'"),
    ],
)
def test_an_impossible_price_is_refused_with_what_is_possible(values: dict[str, Any], message: str) -> None:
    """The sentence names the value."""
    with pytest.raises(InvalidInput, match=message):
        Price.of(values)


def test_a_price_has_a_version_that_changes_with_it() -> None:
    """Of the settings: made of its values; of the registry: of the day too."""
    same, other = Price.of({"input": 1, "output": 2}), Price.of({"input": 1, "output": 3})
    assert same.version == Price.of({"input": 1, "output": 2}).version != other.version
    assert same.at(1_764_550_000_000).version.startswith("2025-12-01-")
    assert same.at(1_764_550_000_000).version != same.at(1_764_550_000_001).version


def test_an_entry_of_the_registry_keeps_every_version() -> None:
    """The last one holds, unless it was removed; one that cannot be read does not count."""
    later = CHEAP._replace(input=Decimal("0.1"), version="later")
    entry = entry_of([(CHEAP, 1), (later, 2)])
    assert [(CHEAP, 1), (later, 2)] == versions_of(entry)
    assert later == current_price(entry)
    assert current_price(entry_of([(CHEAP, 1)], removed=True)) is None
    assert all(
        current_price(value) is None for value in (b"1", b"{}", b"null", b'{"versions": []}', b'{"versions": 1}')
    )


def test_whatever_the_registry_holds_a_run_ends() -> None:
    """Its cost is not known then."""

    def broken() -> list[bytes]:
        raise RuntimeError("x")

    costs = PriceBook().costs(broken)
    assert costs({"workflow_id": "w", "usage": {"input_tokens": 1}, "metadata": {}}) is None
    ended = change(status="success", usage={"input_tokens": 1}).apply(document("e").body, None, costs)
    assert ended is not None
    assert "success" == ended.status


def cost_in(body: bytes) -> Any:
    """The cost that a stored record has."""
    return orjson.loads(body)["metadata"].get(COST.name)


def test_a_change_that_ends_a_run_keeps_what_it_cost() -> None:
    """Whether the tokens come with the ending, came before it, or come afterwards."""
    book = PriceBook()
    book.fixed = Prices([CHEAP])
    costs, usage = book.costs(list), {"input_tokens": 1_000, "output_tokens": 1_000}
    begun = document("e")
    going = change(usage=usage).apply(begun.body, None, costs)
    assert going is not None
    assert cost_in(going.body) is None
    at_once = change(status="success", usage=usage).apply(begun.body, None, costs)
    before = change(3_000, status="failed").apply(going.body, going.parts, costs)
    ended = change(status="success").apply(begun.body, None, costs)
    assert at_once is not None
    assert before is not None
    assert ended is not None
    assert cost_in(ended.body) is None
    afterwards = change(3_000, usage=usage).apply(ended.body, ended.parts, costs)
    assert afterwards is not None
    assert [0.0028] * 3 == [cost_in(each.body)["amount"] for each in (at_once, before, afterwards)]


def test_later_changes_leave_the_cost_alone() -> None:
    """A note is no reason to count again, and a cost that is brought along stays."""
    book = PriceBook()
    book.fixed = Prices([CHEAP])
    costs, usage = book.costs(list), {"input_tokens": 1_000, "output_tokens": 1_000}
    ended = change(status="success", usage=usage).apply(document("e").body, None, costs)
    assert ended is not None
    book.fixed = Prices([CHEAP._replace(input=Decimal(9))])
    noted = change(3_000, metadata={"note": "x"}).apply(ended.body, ended.parts, costs)
    assert noted is not None
    assert cost_in(ended.body) == cost_in(noted.body)
    own = {"amount": 7, "currency": "USD", "price": "theirs"}
    brought = change(status="success", usage=usage, metadata={"cost": own}).apply(document("e").body, None, costs)
    assert brought is not None
    assert own == cost_in(brought.body)


def test_huge_usage_is_read_where_it_was_written() -> None:
    """Also of a record that is changed without being read."""
    book = PriceBook()
    book.fixed = Prices([CHEAP])
    begun = document("e", parameters="x" * 10_000_000, usage={"input_tokens": 1_000, "output_tokens": 0})
    ended = change(status="interrupted").apply(begun.body, begun.parts, book.costs(list))
    assert ended is not None
    assert 0.0008 == cost_in(ended.body)["amount"]
