"""Filters as people and programs write them: ``status=failed``, ``since=2h``, ``min_duration=1.5s``. Pure.

The names and their values are defined in :mod:`execution_history.query.fields`. A blank value counts as missing. A time
without an offset is in the zone that is passed in. A date alone means its first moment, as ``until`` that of the next
day: the day is included.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final

from execution_history.errors import InvalidQuery, quoted
from execution_history.query.fields import FILTERS, FilterField, RecordFilter
from execution_history.query.hints import hint
from execution_history.query.path_conditions import MOST_CONDITIONS, split_conditions
from execution_history.query.values import Setting

LIKENESS: Final = 0.75
"""How similar two names must be for one to be a typo of the other, as :mod:`difflib` measures it."""

_BY_NAME: Final = {row.name: row for row in FILTERS}


def filter_of(
    words: Mapping[str, str | Sequence[str]], *, now: int, zone: tzinfo = UTC, workflow_id: str | None = None
) -> RecordFilter:
    """Return the filter that *words* describe.

    Args:
        words: one text or several by a name of :data:`~execution_history.query.fields.FILTERS`.
        now: the time that ``2h`` ago is counted from, in milliseconds since the epoch.
        zone: where times without an offset are local.
        workflow_id: the only workflow, when it is known from elsewhere.

    Raises:
        InvalidQuery: a name is unknown, or a value cannot be read; the message names it and what would be right.
    """
    setting = Setting(now, zone)
    fields: dict[str, Any] = {} if workflow_id is None else {"workflow_ids": (workflow_id,)}
    for name, value in words.items():
        row = _BY_NAME.get(name)
        if row is None:
            raise InvalidQuery(
                "There is no filter %(name)s: %(nearest)s.", name=quoted(name), nearest=hint(name, sorted(_BY_NAME))
            )
        texts = _texts(row, value)
        if not texts:
            continue
        if not row.is_repeatable and len(texts) > 1:
            raise InvalidQuery(
                "The filter %(name)s takes one value, not %(count)s.", name=quoted(name), count=len(texts)
            )
        read = tuple(row.values.read(name, text, setting) for text in texts)
        fields[row.keyword] = fields.get(row.keyword, ()) + read if row.is_repeatable else read[0]
    return RecordFilter(**fields)


def is_filter(name: str) -> bool:
    """Return whether *name* is the name of a filter."""
    return name in _BY_NAME


def _texts(row: FilterField, value: str | Sequence[str]) -> list[str]:
    texts = [value] if isinstance(value, str) else list(value)
    if row.several == "commas":
        texts = [part for text in texts for part in text.split(",")]
    if row.several == "conditions":  # nothing is no condition: it would select everything
        return [part.strip() for text in texts[: MOST_CONDITIONS + 1] for part in split_conditions(text)]
    return [text.strip() for text in texts if text.strip()]
