"""Costs computed again, with the prices that hold now: only when somebody asks for it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Literal

from execution_history.access.audit import Action, note
from execution_history.errors import N_, ExecutionHistoryError, message_of
from execution_history.history.iteration import selected
from execution_history.history.registry import new_id
from execution_history.query.fields import RecordFilter
from execution_history.query.filter_words import words_of
from execution_history.query.model import PAGE_SECONDS, RecordQuery
from execution_history.records.metadata import COST
from execution_history.records.partial import outline_of
from execution_history.records.price_book import BUDGET_LIMIT, KeptCost, Prices, amount_of, cost_at
from execution_history.records.record import STATUSES, RecordChange
from execution_history.stores.protocol import HistoryStore

_PRICED: Final = frozenset(STATUSES) - {"running"}
_WRITTEN_AT_ONCE: Final = 64
_MOST_KEPT: Final = 20
_STOPPED: Final = N_("It was stopped before its end.")


@dataclass(slots=True)
class RepriceReport:
    """The outcome of computing costs again; sums are by currency, over the runs that match.

    Attributes:
        matched: ended runs that match.
        changed: those whose cost is another one now.
        unpriced: those that keep what they have, because no price holds or their tokens are not known.
        before: what they cost before.
        after: what they cost now.
        is_dry: whether nothing was written.
    """

    matched: int = 0
    changed: int = 0
    unpriced: int = 0
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    is_dry: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it with ``dry_run`` in the place of ``is_dry``."""
        return {"matched": self.matched, "changed": self.changed, "unpriced": self.unpriced,
                "before": self.before, "after": self.after, "dry_run": self.is_dry}  # fmt: skip


async def reprice(
    store: HistoryStore, record_filter: RecordFilter, prices: Prices, report: RepriceReport, *, clock: Callable[[], int]
) -> None:
    """Compute again what the matching runs cost, and keep in *report* how far it is; batch by batch.

    See :meth:`~execution_history.history.prices.HistoryPricing.reprice`.

    Raises:
        InvalidQuery: the filter is not possible.
        StoreError: a run could not be read or written; the call can be repeated.
    """
    before, after = _Sums(), _Sums()
    if not report.is_dry:
        await note(store, Action.REPRICE, filters=words_of(record_filter))
    async for batch in selected(store, record_filter, descending=False):
        changes: list[_Change] = []
        for record in map(outline_of, batch.documents):
            if record["execute_status"] not in _PRICED:
                continue
            old, new = COST.of(record), cost_at(record, prices)
            report.matched += 1
            report.unpriced += new is None
            before.add(old)
            after.add(new or old)
            if new is not None and new != old:
                changes.append((record["workflow_id"], record["execute_id"], COST.raw(record), new))
        report.changed += len(changes) if report.is_dry else await _keep(store, changes, clock)
        report.before, report.after = before.by_currency(), after.by_currency()


@dataclass(slots=True)
class Recalculation:
    """Costs that are computed again in the background, as far as that has come.

    Attributes:
        id: its name.
        report: what has become of the runs so far.
        total: how many runs match, at least.
        state: ``running``; ``done``; ``stopped`` before its end.
        reason: why it was stopped.
    """

    id: str
    report: RepriceReport
    total: int
    state: Literal["running", "done", "stopped"] = "running"
    reason: str | None = None


class Recalculations:
    """Computes costs again in the background of this process; the last ones are known until it ends.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
    """

    def __init__(self, store: HistoryStore, clock: Callable[[], int]) -> None:
        self._store, self._clock = store, clock
        self._known: dict[str, Recalculation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, record_filter: RecordFilter, prices: Prices, *, dry_run: bool = False) -> Recalculation:
        """Begin to compute again what the matching runs cost; with *dry_run* nothing is written.

        Raises:
            InvalidQuery: the filter is not possible.
            StoreError: the store could not be read.
        """
        await self._store.open()
        query = RecordQuery(filter=record_filter, size=1, summaries=True, wait_seconds=PAGE_SECONDS)
        total = (await self._store.select(query)).total
        begun = Recalculation(new_id(), RepriceReport(is_dry=dry_run), total)
        self._known[begun.id] = begun
        for known in list(self._known)[:-_MOST_KEPT]:
            if known not in self._tasks:
                del self._known[known]
        task = self._tasks[begun.id] = asyncio.create_task(self._perform(begun, record_filter, prices))
        task.add_done_callback(lambda _: self._tasks.pop(begun.id, None))
        return begun

    def find(self, recalculation_id: str) -> Recalculation | None:
        """Return one as far as it has come; ``None`` for one that this process does not know."""
        return self._known.get(recalculation_id)

    async def wait(self, recalculation_id: str, seconds: float) -> None:
        """Return when one is over, or after so many *seconds*."""
        task = self._tasks.get(recalculation_id)
        if task is not None:
            await asyncio.wait((task,), timeout=seconds)

    async def stop(self, recalculation_id: str) -> None:
        """End one; runs that it has changed stay so. Return when it has ended."""
        task = self._tasks.get(recalculation_id)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            known = self._known[recalculation_id]
            if known.state == "running":  # it had not even begun
                known.state, known.reason = "stopped", _STOPPED

    async def aclose(self) -> None:
        """End all that this event loop carries out, and return when they have ended."""
        loop = asyncio.get_running_loop()
        for name in [name for name, task in self._tasks.items() if task.get_loop() is loop]:
            await self.stop(name)

    async def _perform(self, begun: Recalculation, record_filter: RecordFilter, prices: Prices) -> None:
        try:
            await reprice(self._store, record_filter, prices, begun.report, clock=self._clock)
        except ExecutionHistoryError as error:
            begun.state, begun.reason = "stopped", message_of(error)
        except BaseException:
            begun.state, begun.reason = "stopped", _STOPPED
            raise
        else:
            begun.state = "done"


_Change = tuple[str, str, Any, KeptCost]
"""The ids of a run, what it says of its cost, and what it costs."""


async def _keep(store: HistoryStore, changes: list[_Change], clock: Callable[[], int]) -> int:
    """Write costs, those together that the store can commit together; return how many were written."""
    kept, remaining = 0, iter(changes)
    while group := list(islice(remaining, _WRITTEN_AT_ONCE)):
        calls = [
            store.update(workflow_id, execute_id, RecordChange.of(
                clock(), metadata={COST.name: new}, only_from=_PRICED, only_while={COST.name: old}
            ))
            for workflow_id, execute_id, old, new in group
        ]  # fmt: skip
        kept += sum(made is not None for made in await asyncio.gather(*calls))
    return kept


class _Sums:
    """Exact sums of costs by currency."""

    def __init__(self) -> None:
        self._sums: dict[str, Decimal] = {}

    def add(self, cost: Mapping[str, Any] | None) -> None:
        """Add a cost, of whatever somebody has written."""
        amount = None if cost is None else amount_of(cost.get("amount"), Decimal(BUDGET_LIMIT))
        if cost is not None and amount is not None:
            currency = str(cost.get("currency"))
            self._sums[currency] = self._sums.get(currency, Decimal(0)) + amount

    def by_currency(self) -> dict[str, float]:
        """Return the sums."""
        return {currency: float(amount) for currency, amount in sorted(self._sums.items())}
