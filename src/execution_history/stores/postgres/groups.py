"""Breakdowns: carries out the steps of their making."""

from dataclasses import replace
from functools import partial

from execution_history.query import steps
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.grouping import break_down
from execution_history.query.model import IndexReach, RecordQuery
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.limits import USUAL, Limits
from execution_history.stores.postgres.moment import one_moment
from execution_history.stores.postgres.select import REVISION, PageEngine, reach_of


def breakdown(connections: Connections, query: BreakdownQuery, *, has_text: bool, limits: Limits = USUAL) -> Breakdown:
    """Return the result of *query*, of one moment.

    Raises:
        InvalidQuery: there is no such time zone, there would be too many buckets, or it has a text and texts cannot be
            searched for.
        StoreError: it could not be read.
    """

    def read(connection: Connection) -> Breakdown:
        with one_moment(connection, connections.statements) as moment:
            revision = moment.later(REVISION)
            body, listed = partial(connections.body, connection), RecordQuery(filter=query.filter)
            engine = PageEngine(moment, body, listed, has_text=has_text, seeks_all=True, limits=limits)
            planned = break_down(query, IndexReach(0, 0), is_text_exact=False, reads_documents=True)
            return replace(steps.run(planned, engine.execute), reach=reach_of(moment, revision))

    return connections.read(read)
