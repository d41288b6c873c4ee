"""Up to where the contents of runs were removed, so that the same runs are not looked at each time.

Older runs that were protected, or came later, are looked at again once a day.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from execution_history.records.time_units import DAY_MS
from execution_history.stores.protocol import HistoryStore

_KIND: Final = "retention_place"


class Places:
    """The places of rules, by their names, in the registry.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
    """

    def __init__(self, store: HistoryStore, clock: Callable[[], int]) -> None:
        self._store, self._clock = store, clock
        self._began: dict[str, dict[str, Any]] = {}

    async def begin(self, name: str, rule: object = None) -> int:
        """Return the create time (ms) from which to go on; 0 for a new or changed *rule*, and once a day.

        Raises:
            StoreError: the store could not be read.
        """
        entry = await self._store.entry(_KIND, name)
        try:
            known: dict[str, Any] = {} if entry is None else orjson.loads(entry.value)
            since, whole, same = int(known["since"]), int(known["whole_at"]), known["rule"] == rule
        except (ValueError, TypeError, LookupError):
            since, whole, same = 0, 0, False
        now = self._clock()
        if not same or not 0 <= now - whole < DAY_MS:
            since, whole = 0, now
        self._began[name] = {"rule": rule, "whole_at": whole, "since": since}
        return since

    def note(self, name: str, since: int) -> None:
        """Note that older runs need not be looked at again today."""
        self._began[name]["since"] = since

    async def save(self) -> None:
        """Keep what was noted.

        Raises:
            StoreError: it could not be written.
        """
        for name, place in self._began.items():
            await self._store.put_entry(_KIND, name, orjson.dumps(place))
