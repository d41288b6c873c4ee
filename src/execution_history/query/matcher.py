"""Whether a record is meant by a filter, and where it stands in an order. Pure; every store keeps to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from execution_history.errors import Message
from execution_history.query.model import RecordFilter, RecordQuery
from execution_history.query.path_conditions import all_hold
from execution_history.records.attributes import Facts
from execution_history.records.record import STATUSES

NO_TEXT_SEARCH: Final = Message(
    "Text search is switched off for this history: set the setting search (variable "
    "EXECUTION_HISTORY_SEARCH) to true, or ask without a text."
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands in an order: what is sorted by (``None`` where it has none), create time, arrival."""

    value: int | None
    create_time: int
    arrival: int

    def rank(self, *, descending: bool) -> tuple[bool, int, int, int]:
        """What sorts ascending into the order that was asked for."""
        sign = -1 if descending else 1
        return (self.value is None, sign * (self.value or 0), sign * self.create_time, sign * self.arrival)


def position_of(query: RecordQuery, facts: Facts, arrival: int) -> Position:
    """Where the record with *facts* stands; *arrival* rises with every record that comes into the store."""
    value = {"create_time": facts.create_time, "duration": facts.duration_ms, "tokens": facts.tokens}[query.sort]
    return Position(value, facts.create_time, arrival)


def matches(wanted: RecordFilter, record: Mapping[str, Any], facts: Facts) -> bool:
    """Whether *record*, with its *facts*, is what *wanted* asks for; the text is not looked at."""
    if wanted.workflow_ids and record["workflow_id"] not in wanted.workflow_ids:
        return False
    prefix = wanted.execute_id_prefix
    if prefix is not None and not record["execute_id"].startswith(prefix):
        return False
    return (
        _is_among(wanted, facts)
        and _is_within(wanted, facts)
        and (wanted.has_output is None or wanted.has_output == facts.has_output)
        and (wanted.pinned is None or wanted.pinned == facts.pinned)
        and set(wanted.tags) <= set(facts.tags)
        and all_hold(wanted.conditions, record)
    )


def _is_among(wanted: RecordFilter, facts: Facts) -> bool:
    status = facts.status if facts.status in STATUSES else "other"
    pairs: tuple[tuple[tuple[Any, ...], Any], ...] = (
        (wanted.statuses, status),
        (wanted.run_modes, facts.run_mode),
        (wanted.bot_ids, facts.bot_id),
        (wanted.conversation_ids, facts.conversation_id),
        (wanted.accounts, facts.account),
        (wanted.callers, facts.caller),
        (wanted.error_codes, facts.error_code),
        (wanted.upstream_ids, facts.upstream_id),
        (wanted.fingerprints, facts.fingerprint),
        (wanted.parents, facts.parent),
    )
    return all(not values or value in values for values, value in pairs)


def _is_within(wanted: RecordFilter, facts: Facts) -> bool:
    if wanted.created_before is not None and facts.create_time >= wanted.created_before:
        return False
    ranges = (
        (facts.create_time, wanted.created_from, None),
        (facts.duration_ms, wanted.duration_from, wanted.duration_to),
        (facts.tokens, wanted.tokens_from, wanted.tokens_to),
        (facts.rating, wanted.rating_from, wanted.rating_to),
    )
    return all(_in_range(value, least, most) for value, least, most in ranges)


def _in_range(value: int | None, least: int | None, most: int | None) -> bool:
    if least is None and most is None:
        return True
    return value is not None and (least is None or value >= least) and (most is None or value <= most)
