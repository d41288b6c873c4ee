"""Prices of tokens and the budget of a month: those of the settings, or else those of the store's registry.

What a run costs is kept with it when it ends (:mod:`execution_history.records.price_book`), and only
:meth:`HistoryPricing.reprice` changes that later. A price that is changed or removed stays in its entry of the registry
as an earlier version, so that the version which a run names can be explained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import orjson

from execution_history.errors import InvalidInput, PriceChanged
from execution_history.history.registry import change_entry
from execution_history.history.run_lookup import RunLookup
from execution_history.query.fields import RecordFilter
from execution_history.records.price_book import (
    BUDGET_LIMIT,
    DEFAULT_CURRENCY,
    EVERY,
    KIND,
    Price,
    PriceBook,
    Prices,
    amount_of,
    budget_of,
    currency_of,
    current_price,
    entry_key,
    entry_of,
    is_removed,
    versions_of,
)
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.capabilities import Priced
from execution_history.stores.protocol import HistoryStore

if TYPE_CHECKING:
    from execution_history.history.cost_recalculation import Recalculations, RepriceReport

_BUDGET: Final = ("budget", "month")


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A price, and those that held before for the same runs.

    Attributes:
        price: the price; of one that was removed the last.
        since: when it came (milliseconds); ``None`` for one of the settings.
        version: the version of the entry in the registry, which a change can expect; 0 for one of the settings.
        is_removed: whether it holds no more.
        earlier: the versions before, newest first, each with the time it came.
    """

    price: Price
    since: int | None = None
    version: int = 0
    is_removed: bool = False
    earlier: tuple[tuple[Price, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in a month; ``amount`` is ``None`` where nobody has said. ``version`` is the entry's."""

    amount: Decimal | None
    currency: str
    version: int = 0
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class PriceList:
    """All prices; ``is_fixed`` says that they come from the settings, and can only be changed there."""

    lines: tuple[PriceLine, ...]
    budget: Budget
    is_fixed: bool

    @property
    def in_force(self) -> Prices:
        """The prices that hold."""
        return Prices(line.price for line in self.lines if not line.is_removed)

    def explained(self, version: str) -> Price | None:
        """Return the price that had, or has, this *version*; ``None`` where it is not known any more."""
        known = (each for line in self.lines for each in (line.price, *(price for price, _ in line.earlier)))
        return next((price for price in known if price.version == version), None)

    def to_json(self) -> dict[str, Any]:
        """Return ``{"source", "currency", "budget", "prices": […], "removed": […]}``, amounts as numbers."""
        rows: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        for line in self.lines:
            earlier = [price_json(price) | {"since": since} for price, since in line.earlier]
            rows[line.is_removed].append(
                price_json(line.price) | {"since": line.since, "entry": line.version, "earlier": earlier}
            )
        return {
            "source": "settings" if self.is_fixed else "registry",
            "currency": self.budget.currency,
            "budget": None if self.budget.amount is None else float(self.budget.amount),
            "budget_source": "settings" if self.budget.is_fixed else "registry",
            "prices": rows[False],
            "removed": rows[True],
        }


class HistoryPricing(RunLookup):
    """The part of a history that knows what runs cost; the first call opens the store."""

    _recalculations: "Recalculations | None" = None

    async def price_list(self) -> PriceList:
        """Return all prices, the general ones first, and the budget.

        Raises:
            StoreError: the store could not be read.
        """
        store = await self._opened()
        book = book_of(store)
        budget = _budget(book, await store.entry(*_BUDGET))
        lines = [line for entry in await store.entries(KIND) if (line := _line(entry)) is not None]
        if book.fixed:
            # What the registry has explains costs of before.
            lines = [PriceLine(price) for price in book.fixed] + [
                PriceLine(each.price, each.since, each.version, is_removed=True, earlier=each.earlier) for each in lines
            ]
        order = sorted(lines, key=lambda line: (line.price.workflow != EVERY, line.price.account != EVERY, line.price))
        return PriceList(tuple(order), budget, is_fixed=bool(book.fixed))

    async def set_price(self, values: Mapping[str, Any], *, expected: int | None = None) -> Price:
        """Set the price for some runs, and return it with its version; runs that ended before keep what they cost.

        Args:
            values: ``input`` and ``output`` for 1,000 tokens, and what differs from the usual: ``workflow``,
                ``account``, ``total``, ``currency`` (:class:`~execution_history.records.price_book.Price`).
            expected: the version that the entry must have, 0 for none; ``None``: any.

        Raises:
            InvalidInput: a value is not possible, or the settings have prices.
            PriceChanged: the entry has another version than *expected*.
            StoreError: it could not be written.
        """
        store = await self._changeable()
        budget = _budget(book_of(store), await store.entry(*_BUDGET))
        given = {key: value for key, value in values.items() if key != "version"}
        if isinstance(workflow := given.get("workflow"), str):
            given["workflow"] = await self.workflow_named(workflow)
        price = Price.of(given, budget.currency).at(self._clock())

        def changed(entry: Entry | None) -> bytes:
            held = None if entry is None else current_price(entry.value)
            if entry is not None and held is not None and held[:-1] == price[:-1] and expected is None:
                return entry.value
            _check_version(entry, expected)
            return entry_of([*([] if entry is None else _versions(entry.value)), (price, self._clock())])

        entry = await change_entry(store, EntryName(KIND, entry_key(price.workflow, price.account)), changed)
        return (None if entry is None else current_price(entry.value)) or price

    async def remove_price(self, workflow: str = EVERY, account: str = EVERY, *, expected: int | None = None) -> bool:
        """Remove the price of some runs; return whether there was one. Runs keep what they cost.

        Raises:
            InvalidInput: the settings have prices.
            PriceChanged: the entry has another version than *expected*.
            StoreError: it could not be written.
        """
        store, key = await self._changeable(), entry_key(await self.workflow_named(workflow), account)
        was_there = False

        def removed(entry: Entry | None) -> bytes | None:
            nonlocal was_there
            known = [] if entry is None or is_removed(entry.value) else _versions(entry.value)
            was_there = bool(known)
            if not known:
                return None if entry is None else entry.value
            _check_version(entry, expected)
            return entry_of(known, removed=True)

        await change_entry(store, EntryName(KIND, key), removed)
        return was_there

    async def set_budget(self, amount: object, currency: object = None) -> Budget:
        """Set what may be spent in a month, ``None`` or an empty text for no limit, and the usual currency.

        Raises:
            InvalidInput: it is no amount or no currency, or the settings have it.
            StoreError: it could not be written.
        """
        store = await self._opened()
        book, entry = book_of(store), await store.entry(*_BUDGET)
        before = _budget(book, entry)
        found = None if amount in (None, "") else budget_of(amount)
        name = before.currency if currency in (None, "") else currency_of(currency)
        if before.is_fixed or (book.currency is not None and name != book.currency):
            raise InvalidInput("The budget and its currency are in the settings: change them there.")
        value = {"amount": None if found is None else f"{found:f}", "currency": name}
        await store.put_entry(*_BUDGET, orjson.dumps(value))
        return _budget(book, await store.entry(*_BUDGET))

    async def reprice(self, record_filter: RecordFilter, *, dry_run: bool = False) -> "RepriceReport":
        """Compute again what the matching runs that have ended cost, with the prices that hold now.

        A run for which no price holds, or whose tokens are not known, keeps what it has. The memory this takes does
        not grow with the number of runs.

        Raises:
            InvalidQuery: the filter is not possible.
            StoreError: a run could not be read or written; the call can be repeated.
        """
        from execution_history.history.cost_recalculation import RepriceReport, reprice  # noqa: PLC0415 - only who counts again waits

        report, prices = RepriceReport(is_dry=dry_run), (await self.price_list()).in_force
        record_filter = await self.with_workflow_ids(record_filter)
        await reprice(await self._opened(), record_filter, prices, report, clock=self._clock)
        return report

    @property
    def recalculations(self) -> "Recalculations":
        """Return what does the same in the background, and tells how far it is."""
        if self._recalculations is None:
            from execution_history.history.cost_recalculation import Recalculations  # noqa: PLC0415 - as above

            self._recalculations = Recalculations(self.store, self._clock)
        return self._recalculations

    async def _changeable(self) -> HistoryStore:
        store = await self._opened()
        if book_of(store).fixed:
            raise InvalidInput("The prices are in the settings: change them there.")
        return store


def book_of(store: HistoryStore) -> PriceBook:
    """Return the prices of the settings for *store*; none where it does not price what ends in it."""
    return store.prices if isinstance(store, Priced) else PriceBook()


def price_json(price: Price) -> dict[str, Any]:
    """Return a price as JSON with amounts as numbers."""
    numbers = {name: None if (each := getattr(price, name)) is None else float(each) for name in _NUMBERS}
    return {**price.to_json(), **numbers}


_NUMBERS: Final = ("input", "output", "total")


def _check_version(entry: Entry | None, expected: int | None) -> None:
    """Check that an entry has the *expected* version.

    Raises:
        PriceChanged: it has another one.
    """
    if expected not in (None, 0 if entry is None else entry.version):
        raise PriceChanged("The price was changed by somebody else meanwhile: look at it again before you change it.")


def _versions(value: bytes) -> list[tuple[Price, int]]:
    try:
        return versions_of(value)
    except (ValueError, LookupError, TypeError, AttributeError):
        return []  # nobody can have used it


def _line(entry: Entry) -> PriceLine | None:
    versions = _versions(entry.value)
    if not versions:
        return None
    (price, since), earlier = versions[-1], tuple(reversed(versions[:-1]))
    return PriceLine(price, since, entry.version, is_removed(entry.value), earlier)


def _budget(book: PriceBook, entry: Entry | None) -> Budget:
    """Return the budget: of the settings, or else of the registry."""
    try:
        found = {} if entry is None else orjson.loads(entry.value)
        currency, amount = currency_of(found["currency"]), amount_of(found["amount"], Decimal(BUDGET_LIMIT))
    except (ValueError, LookupError, TypeError):
        currency, amount = DEFAULT_CURRENCY, None
    version = 0 if entry is None else entry.version
    if book.budget is not None:
        return Budget(book.budget, book.currency or DEFAULT_CURRENCY, version, is_fixed=True)
    return Budget(amount, book.currency or currency, version)
