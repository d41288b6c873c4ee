"""A list without filters, read from the history itself: where there is no index, and none can be made."""

import time
from typing import Any

from execution_history.query import steps
from execution_history.query.cursor import Position
from execution_history.query.finder import find
from execution_history.query.model import IndexReach, RecordQuery, Selection
from execution_history.stores.sqlite.index.history_source import HistoryView


def is_plain(query: RecordQuery) -> bool:
    """Return whether *query* asks for nothing but the records of one workflow, or of all, by time."""
    workflows = query.filter.workflow_ids
    return query.sort == "create_time" and query.filter.given() <= {"workflow_ids"} and len(workflows) <= 1


def select_plainly(history: HistoryView, query: RecordQuery, reason: str) -> Selection:
    """Return the answer to a plain *query*, with the cursors that an index would give.

    Args:
        history: where the records are.
        query: the question.
        reason: why there is no index, for whoever asks how the answer was found.

    Raises:
        InvalidCursor: its cursor is broken or another question's.
    """

    def execute(step: steps.Step) -> Any:  # noqa: ANN401 - each step says what it is answered with
        match step:
            case steps.Rows(after, limit, skip):
                return _rows(history, query, after, limit, skip)
            case steps.Documents(seqs):
                return history.documents(seqs)
            case steps.Total():
                return sum(history.counts(query.filter.workflow_ids)), True
            case steps.Summaries():
                return {}
            case steps.Explain():
                return (f"Reads the history itself, because there is no index: {reason}",)
        raise TypeError(f"No plain list needs the step {type(step).__name__}.")

    with history.frozen():
        newest = history.newest()
        reach = IndexReach(newest, newest)
        return steps.run(find(query, reach, clock=time.monotonic), execute)


def _rows(history: HistoryView, query: RecordQuery, after: Position | None, limit: int, skip: int) -> list[steps.Row]:
    conditions = ["w.workflow_id = ?" if query.filter.workflow_ids else "w.workflow_id IS NOT NULL"]
    values: list[int | str] = list(query.filter.workflow_ids)
    if after is not None:
        conditions.append(f"(e.create_time, e.seq) {'<' if query.descending else '>'} (?, ?)")
        values += [after.create_time, after.arrival]
    direction = "DESC" if query.descending else "ASC"
    sql = (
        "SELECT e.create_time, e.create_time, e.seq, e.revision FROM executions e "  # noqa: S608 - literals of ours
        f"JOIN workflows w ON w.id = e.workflow WHERE {' AND '.join(conditions)} "
        f"ORDER BY e.create_time {direction}, e.seq {direction} LIMIT ? OFFSET ?"
    )
    return [steps.Row(*row) for row in history.rows(sql, (*values, limit, skip))]
