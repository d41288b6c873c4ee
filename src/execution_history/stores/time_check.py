"""The times of records beside the order in which they came: a clock that was set, or is wrong, shows there."""

import uuid
from collections.abc import Callable, Iterable
from typing import Final

from execution_history.errors import N_, Message
from execution_history.records.time_units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from execution_history.stores.verification import Finding, Outcome, counted, named

_AHEAD_MS: Final = 60_000
_JUMP_MS: Final = 60_000
_SAME_MS: Final = 10_000
_VERSION_7: Final = 7

Timed = tuple[str, int]
"""The execute id and the create time (milliseconds) of a record."""


def times_outcome(records: Iterable[Timed], now: int, tell: Callable[[int], None] = lambda _: None) -> Outcome:
    """Return what the times of *records*, in the order in which they came, say of the clock.

    Only a record made here tells of the clock: its id, a UUIDv7, has its time (RFC 9562, section 5.7).

    Args:
        records: all of them.
        now: milliseconds since the epoch.
        tell: called with how many were looked at.
    """
    ahead: list[str] = []
    latest = count = jumps = largest = 0
    for count, (execute_id, create_time) in enumerate(records, 1):
        if create_time > now + _AHEAD_MS:
            ahead.append(execute_id)
        made = _made_at(execute_id)
        if made is not None and abs(made - create_time) < _SAME_MS:
            if latest - made > _JUMP_MS:
                jumps, largest, latest = jumps + 1, max(largest, latest - made), made
            latest = max(latest, made)
        if not count % 1000:
            tell(count)
    findings = []
    if ahead:
        one, several = (
            N_("1 run begins in the future: %(names)s."),
            N_("%(count)s runs begin in the future: %(names)s."),
        )
        remedy = Message("Check the clock of this machine, and of those from which runs were imported.")
        findings.append(Finding(counted(len(ahead), one, several, names=named(ahead)), remedy))
    if jumps:
        one = N_("The clock went back once while runs were recorded or imported, by %(time)s.")
        several = N_("The clock went back %(count)s times while runs were recorded or imported, by up to %(time)s.")
        remedy = Message("Nothing is lost by it. Have the clock of this machine kept by NTP.")
        findings.append(Finding(counted(jumps, one, several, time=_shown(largest)), remedy, is_problem=False))
    return Outcome(counted(count, N_("the times of 1 run"), N_("the times of %(count)s runs")), findings)


def _made_at(execute_id: str) -> int | None:
    """Return the time in an id made here (milliseconds); ``None`` for any other."""
    if len(execute_id) != 36 or execute_id[14] != str(_VERSION_7):  # noqa: PLR2004 - characters of a UUID
        return None
    try:
        return uuid.UUID(execute_id).int >> 80
    except ValueError:
        return None


def _shown(time_ms: int) -> Message:
    for unit, one in ((DAY_MS, N_("%(n)s days")), (HOUR_MS, N_("%(n)s hours")), (MINUTE_MS, N_("%(n)s minutes"))):
        if time_ms >= 2 * unit:
            return Message(one, n=time_ms // unit)
    return Message("%(n)s seconds", n=time_ms // SECOND_MS)
