"""What is read from several runs together: the overview, the tree around a run, and comparisons.

Each module that does so is imported by the first call that needs it: whoever records need not wait for them.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from execution_history.history.keyword_query import pairs_of_ids
from execution_history.history.prices import HistoryPricing
from execution_history.query.model import RecordKey
from execution_history.stores.protocol import StoreHealth

if TYPE_CHECKING:
    from execution_history.history.comparison import Run
    from execution_history.history.diff import Comparison, SeveralComparison
    from execution_history.history.overview import Overview, OverviewQuery
    from execution_history.history.trace import Trace


class HistoryAnalysis(HistoryPricing):
    """The part of a history that puts several runs together; the first call opens the store."""

    async def trace(
        self, workflow_id: str, execute_id: str, *, limit: int | None = None, wait_seconds: float | None = None
    ) -> "Trace":
        """Return the tree of runs that a run belongs to: those around it, up to the outermost, and all within that.

        Args:
            workflow_id: the run's workflow.
            execute_id: the run.
            limit: how many runs are read at most; 2,000 by default.
            wait_seconds: how long each query may wait for an index that follows; ``None``: until the store decides.

        Raises:
            ExecutionNotFound: there is no such run.
            InvalidIdentifier: an id is not text.
            RecordDamaged: its record cannot be read.
            StoreError: the store could not be read.
        """
        from execution_history.history.trace import MOST_RUNS, trace_of  # noqa: PLC0415 - see the module

        key = RecordKey(workflow_id, execute_id)
        return await trace_of(self.store, key, MOST_RUNS if limit is None else limit, wait_seconds)

    async def count_children(
        self, keys: Iterable[tuple[str, str]], *, wait_seconds: float | None = None
    ) -> dict[RecordKey, int]:
        """Return how many runs began directly within each of these runs, at most 100; those without any are left out.

        Args:
            keys: their workflow and execute ids.
            wait_seconds: how long the query may wait for an index that follows; ``None``: until the store decides.

        Raises:
            InvalidIdentifier: an id is not text.
            InvalidInput: one of *keys* is not a pair of ids.
            StoreError: the store could not be read.
        """
        from execution_history.history.children import count_children  # noqa: PLC0415 - see the module

        return await count_children(self.store, pairs_of_ids(keys), wait_seconds)

    async def overview(self, query: "OverviewQuery | None" = None, health: StoreHealth | None = None) -> "Overview":
        """Return what failed in a window of time, how each workflow did in it, and what is open now.

        Args:
            query: the window, the last 24 hours unless given, and the order of the workflows.
            health: how the store is, where the caller knows; else it is asked.

        Raises:
            InvalidQuery: there is no such time zone.
            StoreError: the store could not be read.
        """
        from execution_history.history.overview import OverviewQuery  # noqa: PLC0415 - see the module
        from execution_history.history.overview_reader import overview_of  # noqa: PLC0415 - see the module

        await self._opened()
        return await overview_of(self, query or OverviewQuery(), self._clock(), health)

    async def compare(self, old: "Run", new: "Run") -> "Comparison":
        """Return how *new* differs from *old*; they may be runs of different workflows.

        Raises:
            ExecutionNotFound: there is no such run; the message says which.
            InvalidInput: an id cannot be one, or more than one workflow has a run with it and none was named.
            StoreError: the store could not be read.
        """
        from execution_history.history.comparison import compare_executions  # noqa: PLC0415 - see the module

        return await compare_executions(self.store, old, new)

    async def compare_runs(self, runs: "Sequence[Run]", baseline: int = 1) -> "SeveralComparison":
        """Return how several runs compare with one of them.

        Args:
            runs: two to six runs, of whatever workflows.
            baseline: the number of the run that all are compared with, from 1.

        Raises:
            ExecutionNotFound: there is no such run; the message says which.
            InvalidInput: they are too few or too many, there is no such baseline, an id cannot be one, or more than one
                workflow has a run with it and none was named.
            StoreError: the store could not be read.
        """
        from execution_history.history.comparison import compare_runs  # noqa: PLC0415 - see the module

        return await compare_runs(self.store, runs, baseline)

    async def compare_with_last_success(self, run: "Run", wait_seconds: float | None = None) -> "Comparison":
        """Return how a run differs from the newest run of its workflow that began before it and succeeded.

        Args:
            run: the run.
            wait_seconds: how long each query may wait for an index that follows; ``None``: until it has everything.

        Raises:
            StoreBusy: the index does not reach back to that success yet.
            ExecutionNotFound: there is no such run, or no earlier one of its workflow has succeeded.
            InvalidInput: an id cannot be one, or more than one workflow has a run with it and none was named.
            StoreError: the store could not be read.
        """
        from execution_history.history.comparison import compare_with_last_success  # noqa: PLC0415 - see the module

        return await compare_with_last_success(self.store, run, wait_seconds)
