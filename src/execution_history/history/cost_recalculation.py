"""Costs computed again, with the prices that hold now: only when somebody asks for it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from execution_history.history.iteration import selected
from execution_history.query.fields import RecordFilter
from execution_history.records.metadata import COST
from execution_history.records.partial import outline_of
from execution_history.records.pricing import BUDGET_LIMIT, KeptCost, Prices, amount_of, cost_at
from execution_history.records.record import STATUSES, RecordChange
from execution_history.stores.protocol import HistoryStore

_PRICED: Final = frozenset(STATUSES) - {"running"}
_WRITTEN_AT_ONCE: Final = 64


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
    store: HistoryStore, record_filter: RecordFilter, prices: Prices, *, clock: Callable[[], int], dry_run: bool
) -> RepriceReport:
    """Compute again what the matching runs cost; see :meth:`~execution_history.history.prices.HistoryPricing.reprice`.

    Raises:
        InvalidQuery: the filter is not possible.
        StoreError: a run could not be read or written; the call can be repeated.
    """
    report, before, after = RepriceReport(is_dry=dry_run), _Sums(), _Sums()
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
        report.changed += len(changes) if dry_run else await _keep(store, changes, clock)
    report.before, report.after = before.by_currency(), after.by_currency()
    return report


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
