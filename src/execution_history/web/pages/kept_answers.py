"""Answers that take long to read, shown again for a while: pages are opened more often than they have to be read."""

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from execution_history.query.model import IndexReach

_LONGEST_KEPT: Final = 60_000
_SHARE: Final = 20
"""An answer is kept so many times as long as it took to read it: reading takes at most this part of the time."""


class Reaching(Protocol):
    """An answer with how much of the history it covers."""

    @property
    def reach(self) -> IndexReach:
        """Return it."""


Answer = TypeVar("Answer", bound=Reaching)


class _Known(NamedTuple, Generic[Answer]):
    """An answer that was read at a revision, and the times (milliseconds) until which it is shown again.

    ``until`` is for a history that has changed since.
    """

    answer: Answer
    revision: int
    until: int
    until_unchanged: int


@dataclass(slots=True)
class KeptAnswers(Generic[Answer]):
    """The last answers by their question.

    Args:
        most: how many are kept.
        least_kept: for how long (milliseconds) each is kept at least, even where the history has changed.
    """

    most: int
    least_kept: int = 0
    _known: "OrderedDict[Hashable, _Known[Answer]]" = field(default_factory=OrderedDict)
    _reading: "defaultdict[Hashable, asyncio.Lock]" = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def answer(
        self,
        key: Hashable,
        revision: int,
        now: int,
        read: Callable[[], Awaitable[Answer]],
        is_kept: Callable[[Answer], bool] = lambda _: True,
    ) -> Answer:
        """Return the answer to *key*; read again when something has changed, but not all the time.

        Args:
            key: the question.
            revision: that of the history now.
            now: the present (milliseconds).
            read: reads the answer; of several who ask for the same, one reads.
            is_kept: whether an answer takes so long that it is worth keeping.
        """
        async with self._reading[key]:
            known = self._known.get(key)
            if known is not None and now < (known.until_unchanged if known.revision == revision else known.until):
                self._known.move_to_end(key)
                return known.answer
            begun = time.monotonic()
            found = await read()
            if is_kept(found):
                spent = round(_SHARE * 1_000 * (time.monotonic() - begun))
                until = now + min(_LONGEST_KEPT, max(self.least_kept, spent))
                self._keep(
                    key, _Known(found, revision, until, now + _LONGEST_KEPT if found.reach.is_complete else until)
                )
        self._forget_locks()
        return found

    def clear(self) -> None:
        """Forget all answers."""
        self._known.clear()

    def _keep(self, key: Hashable, known: "_Known[Answer]") -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > self.most:
            self._known.popitem(last=False)

    def _forget_locks(self) -> None:
        """Drop the locks that nobody holds, so that they do not become more and more."""
        if len(self._reading) > 2 * self.most:
            for key in [key for key, lock in self._reading.items() if not lock.locked()]:
                del self._reading[key]
