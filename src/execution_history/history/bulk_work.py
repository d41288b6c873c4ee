"""What a change of many runs is made of: which runs come next, and what is done with a batch of them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from execution_history.history.annotations import Annotation, annotate_executions
from execution_history.history.bulk_change import Plan, Progress, Tally
from execution_history.history.bulk_log import BulkLog
from execution_history.history.bulk_source import Changed, keys_matching, keys_named
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.stores.capabilities import Bin
from execution_history.stores.protocol import HistoryStore

Work = Callable[[list[RecordKey], int], Awaitable[Tally]]
"""Changes a batch of runs, which has a number, and returns what became of them."""


def changed_runs(
    store: HistoryStore, book: BulkLog, progress: Progress, plan: Plan, what: RecordFilter | Iterable[RecordKey]
) -> AsyncGenerator[Changed]:
    """Return the runs of a change, batch by batch, from where it is.

    Args:
        store: the history.
        book: what is kept of the change.
        progress: how far it has come.
        plan: what it set out to do.
        what: the filter that its runs match; anything else where they are named in *plan*.
    """
    if progress.change.undoes is not None:
        return book.deleted(progress.change.undoes)
    if not isinstance(what, RecordFilter):
        return keys_named((RecordKey(*key) for key in plan.keys), progress.batches)
    if progress.after == "":
        return keys_named(())
    return keys_matching(store, what, plan.since, progress.after)


def batch_work(store: HistoryStore, book: BulkLog, clock: Callable[[], int], progress: Progress, plan: Plan) -> Work:
    """Return what a change does with a batch of its runs; see :func:`changed_runs` for the arguments."""

    async def discard(keys: list[RecordKey], number: int) -> Tally:
        if not isinstance(store, Bin) or not store.bin_ms:
            gone = await store.delete_many(keys, len(keys))
        else:
            await book.put_keys(progress.change.id, number, keys)
            gone = await store.discard(keys, store.bin_ms)
            if len(gone) < len(keys):  # what others deleted before is theirs to restore
                await book.put_keys(progress.change.id, number, gone)
        return Tally(len(gone), len(keys) - len(gone))

    async def restore(keys: list[RecordKey], _number: int) -> Tally:
        restored = await store.restore(keys) if isinstance(store, Bin) else ()
        return Tally(len(restored), len(keys) - len(restored))

    async def annotate(keys: list[RecordKey], _number: int) -> Tally:
        report = await annotate_executions(store, keys, annotation, clock=clock)
        reason = report.refused[0].reason if report.refused else None
        return Tally(report.changed, report.unchanged, len(report.refused), reason)

    annotation = Annotation(**(plan.annotation or {}))
    return {"delete": discard, "restore": restore, "annotate": annotate}[progress.change.action]
