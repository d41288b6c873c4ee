"""Counts of very many runs: whole hours from the rollups, what is left at their ends from the rows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import apsw
import orjson

from execution_history.query.rollups import bucket_of, pieces_within
from execution_history.query.statistics import Sums
from execution_history.records.time_units import HOUR_MS
from execution_history.stores.sql_fragments import TOKENS, Fragment, counts_of, is_ended, sums_of, values_of
from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.status_numbers import STATUS_NAMES

_ROLLED: Final = ", ".join(f"sum(r.{name})" for name in (*STATUS_NAMES, *TOKENS))
_NOTHING: Final = ", ".join("0" * (len(STATUS_NAMES) + len(TOKENS) - 1))
_RUNS: Final = " + ".join(f"r.{name}" for name in STATUS_NAMES)
_KEY: Final = "json_extract(j.value, '$[0]')"
_HOURS: Final = "r.hour >= json_extract(j.value, '$[1]') AND r.hour < json_extract(j.value, '$[2]')"
_TIMES: Final = "f.create_time >= json_extract(j.value, '$[1]') AND f.create_time < json_extract(j.value, '$[2]')"

# Without a group of rows for each bucket, which would be sorted: that takes five times as long.
_HISTOGRAM: Final = "SELECT json_array(json_group_array(r.bucket), json_group_array(r.runs)) FROM durations r WHERE"

RolledUp = tuple[int, Sums, dict[int, int]]
"""A bucket: its number, what was added up, and how many runs ended after which duration."""


def _of(workflow_ids: Sequence[str]) -> tuple[str, str, str]:
    """Return the conditions on ``rollups r`` and on ``facets f``, and the index of these; ids are one JSON list."""
    if not workflow_ids:
        return "r.workflow = 0", "1", "by_time"
    numbers = "IN (SELECT id FROM texts WHERE text IN (SELECT value FROM json_each(?)))"
    return f"r.workflow {numbers}", f"f.workflow {numbers}", "by_workflow"


def number_of_runs(workflow_ids: Sequence[str]) -> Fragment:
    """Return the number of runs between the columns ``first`` and ``last`` (ms, both included, from 0 on).

    Its hours are those of :func:`hours_within`, in SQL: so the times and the number are one statement.
    """
    of_rollups, of_rows, index = _of(workflow_ids)
    begin, end = f"(first + {HOUR_MS - 1}) / {HOUR_MS}", f"(last + 1) / {HOUR_MS}"
    counted = f"(SELECT count(*) FROM facets f INDEXED BY {index} WHERE {of_rows} AND "  # noqa: S608 - literals of ours
    sql = (
        f"coalesce((SELECT sum({_RUNS}) FROM rollups r WHERE {of_rollups} AND r.hour >= {begin} AND r.hour < {end}), 0)"  # noqa: S608 - literals of ours
        f" + {counted} f.create_time >= first AND f.create_time < min({begin} * {HOUR_MS}, last + 1))"
        f" + {counted} f.create_time >= max({begin}, {end}) * {HOUR_MS} AND f.create_time <= last)"
    )
    return Fragment(sql, (orjson.dumps(workflow_ids).decode(),) * 3 if workflow_ids else ())


def rollup_counts(
    index: apsw.Connection,
    workflow_ids: Sequence[str],
    first: int,
    last: int,
    edges: Sequence[int],
    *,
    has_durations: bool = True,
) -> list[RolledUp]:
    """Count the runs of some workflows, or of all, between each two of *edges*; see ``steps.RollupCounts``."""
    of_rollups, of_rows, by = _of(workflow_ids)
    hours, ends = pieces_within(first, last, edges)
    of_hours, of_ends = f"{of_rollups} AND {_HOURS}", f"{of_rows} AND {_TIMES}"
    of_durations = f"{of_ends} AND {is_ended('f')} AND f.duration IS NOT NULL"
    facets = f"facets f INDEXED BY {by}"
    listed = (orjson.dumps(workflow_ids).decode(),) if workflow_ids else ()
    whole, rest = orjson.dumps(hours).decode(), orjson.dumps(ends).decode()
    histograms = f"({_HISTOGRAM} {of_hours})"
    arms = (
        Fragment(_counted("NULL", _ROLLED, "rollups r", of_hours), (whole, *listed)),
        Fragment(_counted("NULL", counts_of("f"), facets, of_ends), (rest, *listed)),
        Fragment(f"SELECT {_KEY}, {histograms}, NULL, {_NOTHING}, 0 FROM json_each(?) j", (*listed, whole)),  # noqa: S608 - literals of ours
        Fragment(_counted("f.duration", f"{_NOTHING}, count(*)", facets, of_durations), (rest, *listed)),
    )
    read = arms if has_durations else arms[:2]
    return _gathered(rows(index, " UNION ALL ".join(arm.sql for arm in read), values_of(read)))


def rollup_costs(
    index: apsw.Connection, workflow_ids: Sequence[str], first: int, last: int, edges: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Add up the costs of the same runs: the number of the bucket, that of the currency, and millionths."""
    of_rollups, of_rows, _ = _of(workflow_ids)
    hours, ends = pieces_within(first, last, edges)
    listed = (orjson.dumps(workflow_ids).decode(),) if workflow_ids else ()
    priced = f"facets f INDEXED BY {'priced_of_workflow' if workflow_ids else 'priced'}"
    sql = (
        f"SELECT {_KEY}, r.currency, sum(r.cost) FROM json_each(?) j CROSS JOIN costs r "  # noqa: S608 - literals of ours
        f"WHERE {of_rollups} AND {_HOURS} GROUP BY 1, 2 UNION ALL "
        f"SELECT {_KEY}, f.currency, sum(f.cost) FROM json_each(?) j CROSS JOIN {priced} "
        f"WHERE f.cost IS NOT NULL AND {of_rows} AND {_TIMES} GROUP BY 1, 2"
    )
    values = (orjson.dumps(hours).decode(), *listed, orjson.dumps(ends).decode(), *listed)
    return [(number, currency, cost) for number, currency, cost in rows(index, sql, values)]


def _counted(duration: str, figures: str, source: str, where: str) -> str:
    """Return the statement that adds up *figures* for each piece of a JSON list and each duration."""
    return (
        f"SELECT {_KEY}, NULL, {duration}, {figures} "  # noqa: S608 - literals of ours
        f"FROM json_each(?) j CROSS JOIN {source} WHERE {where} GROUP BY 1, 3"
    )


def _gathered(found: Sequence[tuple[Any, ...]]) -> list[RolledUp]:
    counts: dict[int, list[int]] = {}
    durations: dict[int, Counter[int]] = {}
    for number, histogram, duration, *figures in found:
        if histogram is not None:
            counter = durations.setdefault(number, Counter())
            for bucket, runs in zip(*orjson.loads(histogram), strict=True):
                counter[bucket] += runs
        elif duration is None:
            known = counts.setdefault(number, [0] * len(figures))
            counts[number] = [one + other for one, other in zip(known, figures, strict=True)]
        else:
            durations.setdefault(number, Counter())[bucket_of(duration)] += figures[-1]
    return [(number, sums_of(figures), dict(durations.get(number, {}))) for number, figures in sorted(counts.items())]
