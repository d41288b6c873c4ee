"""Runs that go on although nobody records them any more, or for very long."""

from collections.abc import Callable
from typing import Any, Final

import orjson

from execution_history.errors import N_, Message
from execution_history.presentation.formatting import grouped
from execution_history.recording.orphans import last_sign_of_dead
from execution_history.records.time_units import HOUR_MS, SECOND_MS
from execution_history.settings import Settings
from execution_history.stores.capabilities import Verifiable
from execution_history.stores.verification import Check, Finding, Outcome, Progress, counted, named

_LONG_HOURS: Final = 26  # Coze ends an asynchronous run after 24 hours (coze-protocol 1.2)


def runs_check(store: Verifiable, settings: Settings, clock: Callable[[], int]) -> Check:
    """Return the check of the runs that are ``running`` in *store*."""

    async def look(_: Progress) -> Outcome:
        bodies, leases = await store.running()
        now, lease_ms = clock(), int(settings.lease_seconds * SECOND_MS)
        left, long, count = [], [], 0
        for body in bodies:
            record: dict[str, Any] = orjson.loads(body)
            count += 1
            if last_sign_of_dead(record, leases, now, lease_ms) is not None:
                left.append(record["execute_id"])
            elif record["create_time"] < now - _LONG_HOURS * HOUR_MS:
                long.append(record["execute_id"])
        return Outcome(Message("%(count)s running", count=grouped(count)), [*_left(left), *_long(long)])

    return Check("runs", N_("Running"), look)


def _left(names: list[str]) -> list[Finding]:
    if not names:
        return []
    one = N_("The program that recorded 1 run is gone: %(names)s.")
    several = N_("The programs that recorded %(count)s runs are gone: %(names)s.")
    remedy = Message("serve asks Coze what became of such runs, and ends those of which nothing is known.")
    return [Finding(counted(len(names), one, several, names=named(names)), remedy, is_problem=False)]


def _long(names: list[str]) -> list[Finding]:
    if not names:
        return []
    one = N_("1 run has been going on for more than %(hours)s hours: %(names)s.")
    several = N_("%(count)s runs have been going on for more than %(hours)s hours: %(names)s.")
    sentence = counted(len(names), one, several, hours=_LONG_HOURS, names=named(names))
    return [Finding(sentence, Message("Look at the program that records them."), is_problem=False)]
