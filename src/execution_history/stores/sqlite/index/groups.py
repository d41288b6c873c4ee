"""Breakdowns: carries out the steps of their making."""

import apsw

from execution_history.query import steps
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.grouping import break_down
from execution_history.query.model import IndexReach, RecordQuery
from execution_history.stores.sqlite.index.history_source import HistoryView
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.select import PageEngine
from execution_history.stores.sqlite.index.text_index import TextIndex


def breakdown(
    index: apsw.Connection,
    history: HistoryView,
    query: BreakdownQuery,
    text: TextIndex | None,
    reach: IndexReach,
    limits: Limits = USUAL,
) -> Breakdown:
    """Return the result of *query*.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or it has a text and there is no text
            search.
    """
    engine = PageEngine(index, history, RecordQuery(filter=query.filter), text, limits)
    planned = break_down(query, reach, is_text_exact=engine.is_text_exact, reads_documents=True)
    return steps.run(planned, engine.execute)
