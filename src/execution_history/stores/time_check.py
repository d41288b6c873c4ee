"""The times of records beside the order in which they came: a clock that was set, or is wrong, shows there."""

import uuid
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from execution_history.errors import N_, Message
from execution_history.records.metadata import RECORDER
from execution_history.records.partial import outline_of
from execution_history.records.time_units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from execution_history.stores.verification import Fault, Finding, Outcome, counted

_AHEAD_MS: Final = 60_000
_JUMP_MS: Final = 60_000
_SAME_MS: Final = 10_000
_VERSION_7: Final = 7

_PARTS_OF_PROCESS: Final = 5

_IN_FUTURE: Final = Fault(
    N_("1 run begins in the future: %(names)s."),
    N_("%(count)s runs begin in the future: %(names)s."),
    N_("Check the clock of this machine, and of those from which runs were imported."),
)


class Timed(NamedTuple):
    """A record: its place in the order of creation, its execute id, when it began (ms), whether it changed later."""

    seq: int
    execute_id: str
    create_time: int
    has_changed: bool


def times_outcome(
    records: Iterable[Timed],
    body_of: Callable[[int], bytes | None],
    now: int,
    tell: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Return what the times of *records*, in the order in which they came, say of the clock.

    Only a record that was made here tells of it: its id, a UUIDv7, has its time (RFC 9562, section 5.7), it was ended
    after it had come, which no import does, and of two the same start of a machine was the recorder's.

    Args:
        records: all of them.
        body_of: returns the document of the record at a place, which is read where the clock may have gone back.
        now: milliseconds since the epoch.
        tell: called with how many were looked at.
    """
    ahead: list[str] = []
    latest, latest_seq = 0, 0
    count = jumps = largest = 0
    for count, (seq, execute_id, create_time, has_changed) in enumerate(records, 1):
        if create_time > now + _AHEAD_MS:
            ahead.append(execute_id)
        made = _made_at(execute_id) if has_changed else None
        if made is not None and abs(made - create_time) < _SAME_MS:
            if latest - made > _JUMP_MS:
                machine = _machine_of(body_of(seq))
                if machine is not None and machine == _machine_of(body_of(latest_seq)):
                    jumps, largest = jumps + 1, max(largest, latest - made)
                latest = made
            if made >= latest:
                latest, latest_seq = made, seq
        if not count % 1000:
            tell(count)
    findings = _IN_FUTURE.of(ahead)
    if jumps:
        one = N_("The clock went back once while runs were recorded, by %(time)s.")
        several = N_("The clock went back %(count)s times while runs were recorded, by up to %(time)s.")
        remedy = Message("Nothing is lost by it. Have the clock of this machine kept by NTP.")
        findings.append(Finding(counted(jumps, one, several, time=_shown(largest)), remedy, is_problem=False))
    return Outcome(counted(count, N_("the times of 1 run"), N_("the times of %(count)s runs")), findings)


def _machine_of(body: bytes | None) -> str | None:
    """Return the start of the machine that the recorder of a record names; ``None`` where it names none."""
    recorder = None if body is None else RECORDER.of(outline_of(body))
    parts = [] if recorder is None else recorder.split(":")
    return parts[1] if len(parts) == _PARTS_OF_PROCESS and parts[1] != "-" else None


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
