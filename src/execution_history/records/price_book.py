"""What a run costs: prices of tokens, the one that holds for a run, and the amount. Pure.

A run keeps its cost, the currency and the version of the price under ``metadata.cost`` when it ends
(:meth:`PriceBook.costs`), so that a price of tomorrow does not change what was spent today.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from execution_history.errors import InvalidInput, quoted
from execution_history.records.metadata import ACCOUNT, COST, metadata_of
from execution_history.records.partial import outline_of, parts_of
from execution_history.records.usage import usage_of
from execution_history.records.values import text

EVERY: Final = "*"
"""Stands for every workflow, or every account."""

KIND: Final = "price"
"""The kind of the entries of the registry that hold prices."""

DEFAULT_CURRENCY: Final = "CNY"
BUDGET_LIMIT: Final = 1_000_000_000_000
"""The largest budget of a month."""

KeptCost = dict[str, Any]
"""``{"amount": number, "currency": text, "price": version}``, as a record keeps it."""

Costs = Callable[[Mapping[str, Any]], KeptCost | None]
"""Returns what a run costs, by its ``workflow_id``, ``usage`` and ``metadata``; ``None`` where nobody knows."""

_MILLIONTH: Final = Decimal("0.000001")
_THOUSAND: Final = Decimal(1000)
_HIGHEST: Final = Decimal(1_000_000)
_MOST_DECIMALS: Final = 12
_MOST_LETTERS: Final = 12
_KEYS: Final = frozenset({"workflow", "account", "input", "output", "total", "currency", "version"})


class Price(NamedTuple):
    """What tokens cost.

    Attributes:
        workflow: the id of the workflow for whose runs it holds, or ``*``.
        account: the name of the account for whose runs it holds, or ``*``.
        input: for 1,000 tokens that are read.
        output: for 1,000 tokens that are written.
        total: for 1,000 tokens of a run that does not tell them apart; ``None``: what such a run costs is not known.
        currency: such as ``CNY``; capital letters.
        version: names this price among all that there were.
    """

    workflow: str
    account: str
    input: Decimal
    output: Decimal
    total: Decimal | None
    currency: str
    version: str

    @classmethod
    def of(cls, values: Mapping[str, Any], currency: str = DEFAULT_CURRENCY) -> "Price":
        """Return the price that *values* describe: ``input`` and ``output``, and whatever else differs from the usual.

        The usual is every workflow, every account and *currency*; ``total`` is the price of both where they cost the
        same. Without a version it has one that is made of its values.

        Raises:
            InvalidInput: a value is missing, unknown or impossible; the sentence names it.
        """
        if unknown := sorted(str(key) for key in values if key not in _KEYS):
            raise InvalidInput(
                "A price has no %(name)s: it has %(names)s.", name=quoted(unknown[0]), names=", ".join(sorted(_KEYS))
            )
        read, written = _amount("input", values.get("input")), _amount("output", values.get("output"))
        total = values.get("total")
        price = cls(
            _whose("workflow", values.get("workflow")),
            _whose("account", values.get("account")),
            read,
            written,
            _amount("total", total) if total not in (None, "") else read if read == written else None,
            currency_of(values.get("currency") or currency),
            str(text(values.get("version")) or ""),
        )
        return price if price.version else price._replace(version=f"settings-{price.digest()}")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, with exact amounts as texts."""
        amounts = {name: None if (each := getattr(self, name)) is None else f"{each:f}" for name in _AMOUNTS}
        return {"workflow": self.workflow, "account": self.account, **amounts,
                "currency": self.currency, "version": self.version}  # fmt: skip

    def digest(self, at: int | None = None) -> str:
        """Return six hexadecimal digits of its values and of the time *at*."""
        values = "\0".join((*map(str, self[:-1]), str(at)))
        return blake2b(values.encode("utf-8", "replace"), digest_size=3).hexdigest()

    def at(self, now: int) -> "Price":
        """Return it as the version of the time *now* (milliseconds): its day, and digits of its own."""
        return self._replace(version=f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d}-{self.digest(now)}")

    def amount(self, usage: object) -> Decimal | None:
        """Return what the tokens in *usage* cost, exactly, to the millionth; ``None`` where that is not known."""
        tokens = usage_of(usage)
        if tokens.total is None:
            return None
        read, written = tokens.input, tokens.output
        if read is None and written is None:
            if self.total is None:
                return None
            sum_ = tokens.total * self.total
        else:
            # Where one of them is told, the rest of the total is the other.
            read = max(0, tokens.total - (written or 0)) if read is None else read
            written = max(0, tokens.total - read) if written is None else written
            sum_ = read * self.input + written * self.output
        return (sum_ / _THOUSAND).quantize(_MILLIONTH, ROUND_HALF_UP)


_AMOUNTS: Final = ("input", "output", "total")


class Prices:
    """Some prices, each for other runs."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._prices = {(each.workflow, each.account): each for each in prices}

    def __len__(self) -> int:
        return len(self._prices)

    def __iter__(self) -> Iterator[Price]:
        return iter(self._prices.values())

    def price_for(self, workflow: str, account: str | None) -> Price | None:
        """Return the price of a run: the most specific, a workflow's before an account's."""
        names = (EVERY,) if account is None else (account, EVERY)
        found = (self._prices.get((each, name)) for each in (workflow, EVERY) for name in names)
        return next((price for price in found if price is not None), None)


def cost_at(record: Mapping[str, Any], prices: Prices) -> KeptCost | None:
    """Return what the run of *record* costs at *prices*; ``None`` where no price holds, or its tokens are not known.

    Its ``usage`` may be JSON: it is only read where a price holds.
    """
    price = prices.price_for(record["workflow_id"], ACCOUNT.of(record))
    if price is None:
        return None
    usage = record["usage"]
    amount = price.amount(orjson.loads(usage) if isinstance(usage, bytes) else usage)
    if amount is None:
        return None
    return {"amount": float(amount), "currency": price.currency, "price": price.version}


def keep_cost(record: dict[str, Any], before: str, body: bytes, usage: bytes | None, costs: Costs | None) -> None:
    """Keep with *record* what its run costs, where a change ends it, or brings the tokens of one that has ended.

    Args:
        record: as the change makes it; its metadata are replaced.
        before: its status before.
        body: the record before.
        usage: the JSON of the tokens that the change brings.
        costs: returns what it costs; ``None`` where nobody asks.
    """
    is_news = record["execute_status"] != before or usage is not None
    if costs is None or record["execute_status"] == "running" or not is_news:
        return
    tokens = record["usage"] if usage is None else usage
    if isinstance(tokens, orjson.Fragment):  # of an earlier change, which can only be read where it was written
        tokens = outline_of(body)["usage"]
    metadata = metadata_of(record)
    cost = costs({"workflow_id": record["workflow_id"], "usage": tokens, "metadata": metadata})
    if cost is not None:
        record["metadata"] = {**metadata, COST.name: cost}


def priced(body: bytes, costs: Costs) -> dict[str, Any] | None:
    """Return the record that *body* holds with what it costs; ``None`` where it has it already, or none is known."""
    record, outline = parts_of(body), outline_of(body)
    cost = None if COST.name in metadata_of(record) else costs(outline)
    return None if cost is None else record | {"metadata": {**metadata_of(record), COST.name: cost}}


class PriceBook:
    """The prices that hold now, for whoever ends runs: those of the settings, or else those of the registry.

    It is renewed by its owner, a store: ``forget`` makes it read the registry again when it is used next.

    Attributes:
        fixed: the prices of the settings, which win.
        currency: the currency of the settings; ``None`` where they have none.
        budget: what may be spent in a month, by the settings; ``None`` where they have none.
    """

    def __init__(self) -> None:
        self.fixed: Prices = Prices()
        self.currency: str | None = None
        self.budget: Decimal | None = None
        self._prices: Prices | None = None

    @property
    def is_known(self) -> bool:
        """Whether it needs nothing of the registry."""
        return bool(self.fixed) or self._prices is not None

    def forget(self) -> None:
        """Read the registry again the next time."""
        self._prices = None

    def renew(self, entries: Iterable[bytes]) -> None:
        """Take over the prices of the registry's *entries*; those that cannot be read are left out."""
        self._prices = Prices(price for value in entries if (price := current_price(value)) is not None)

    def costs(self, entries: Callable[[], Iterable[bytes]]) -> Costs:
        """Return a function that returns the cost of a run and never raises; *entries* reads the registry when needed.

        A run ends whether or not anybody can tell what it costs.
        """

        def cost(record: Mapping[str, Any]) -> KeptCost | None:
            try:
                if not self.is_known:
                    self.renew(entries())
                prices = self.fixed or self._prices
                return cost_at(record, prices) if prices else None
            except Exception:  # noqa: BLE001 - whatever the registry or a record holds, the ending is recorded
                return None

        return cost


def versions_of(entry: bytes) -> list[tuple[Price, int]]:
    """Return the versions of the price in an *entry* of the registry, oldest first, each with the time it came (ms).

    Raises:
        ValueError: it holds none (:class:`~execution_history.errors.InvalidInput` is one).
        LookupError, TypeError: as above.
    """
    found = orjson.loads(entry)
    named = {"workflow": found["workflow"], "account": found["account"]}
    return [(Price.of(named | {key: each[key] for key in each if key != "at"}), int(each["at"]))
            for each in found["versions"]]  # fmt: skip


def is_removed(entry: bytes) -> bool:
    """Return whether an *entry* of the registry only explains prices that there were."""
    return orjson.loads(entry).get("removed") is True


def current_price(entry: bytes) -> Price | None:
    """Return the price that an *entry* of the registry holds; ``None`` where it was removed, or cannot be read."""
    try:
        return None if is_removed(entry) else versions_of(entry)[-1][0]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def entry_of(versions: Iterable[tuple[Price, int]], *, removed: bool = False) -> bytes:
    """Return the entry of the registry for all *versions* of a price, oldest first."""
    kept = list(versions)
    lines = [{"at": at} | {key: value for key, value in price.to_json().items() if key not in ("workflow", "account")}
             for price, at in kept]  # fmt: skip
    newest = kept[-1][0]
    return orjson.dumps({"workflow": newest.workflow, "account": newest.account, "versions": lines, "removed": removed})


def entry_key(workflow: str, account: str) -> str:
    """Return the key of the registry's entry for the prices of a workflow and an account."""
    return orjson.dumps([workflow, account]).decode()


def currency_of(value: object) -> str:
    """Return *value* as the name of a currency.

    Raises:
        InvalidInput: it is none.
    """
    name = value.strip().upper() if isinstance(value, str) else ""
    if not (name.isascii() and name.isalpha() and len(name) <= _MOST_LETTERS):
        raise InvalidInput(
            "A currency is a name of 1 to 12 letters such as CNY or USD, not %(value)s.", value=quoted(value)
        )
    return name


def amount_of(value: object, highest: Decimal = _HIGHEST) -> Decimal | None:
    """Return *value*, a number or its text, as an exact amount from 0 to *highest*; ``None`` where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        number = Decimal(str(value).strip())
    except DecimalException:
        return None
    if not number.is_finite() or not 0 <= number <= highest:
        return None
    exponent = number.as_tuple().exponent
    return abs(number) if isinstance(exponent, int) and -exponent <= _MOST_DECIMALS else None


def budget_of(value: object) -> Decimal:
    """Return *value*, a number or its text, as the budget of a month.

    Raises:
        InvalidInput: it is none, or one too small to be shown.
    """
    number = amount_of(value, Decimal(BUDGET_LIMIT))
    if number is None or 0 < number < _MILLIONTH:
        raise InvalidInput("A budget is 0 or a number from 0.000001 to 10¹², not %(value)s.", value=quoted(value))
    return number


def _amount(name: str, value: object) -> Decimal:
    number = amount_of(value)
    if number is None:
        raise InvalidInput(
            "The price of 1,000 tokens (%(name)s) is a number from 0 to 1,000,000 with at most 12 decimals, "
            "not %(value)s.",
            name=name,
            value=quoted(value),
        )
    return number


def _whose(name: str, value: object) -> str:
    if value in (None, "", EVERY):
        return EVERY
    if (found := text(value)) is None or found != found.strip() or not found.isprintable():
        raise InvalidInput(
            "The %(name)s of a price is an id or a name of at most 1,000 characters, or * for all, not %(value)s.",
            name=name,
            value=quoted(value),
        )
    return found
