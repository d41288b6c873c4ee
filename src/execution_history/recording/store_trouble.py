"""What is wrong with a store: whether to wait for it, the sentence on it, and which steps it will never take."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from execution_history.errors import (
    ExecutionHistoryError,
    Message,
    RecordDamaged,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreTooNew,
    StoreUnwritable,
    message_of,
)

_log = logging.getLogger("execution_history.recording")
_LONGEST_SENTENCE: Final = 500
_MOST_LOGGED: Final = 100
SILENT: Final = Message("the store does not answer")

PASSING: Final = (StoreBusy, StoreFull, StoreUnwritable, StoreClosed, StoreTooNew)
"""What is wrong with the store and not with the step: it waits for as long as that lasts."""

_MOST_IN_A_ROW: Final = 20
_MOST_SLOW_IN_A_ROW: Final = 2
_LONGEST_REASON: Final = 500


class Hung(StoreBusy):
    """The store has not answered in time, and is still at it."""

    def __init__(self) -> None:
        super().__init__(SILENT)


class Trouble:
    """The trouble that a store is in.

    ``sentence`` is why something waits, and ``None`` when nothing does; while ``is_down`` nobody waits for the
    store any more.
    """

    def __init__(self) -> None:
        self.sentence: str | None = None
        self.is_down: bool = False
        self._logged: set[str] = set()

    @property
    def reason(self) -> str:
        """Why something waits, also where the store has given no reason."""
        return self.sentence or SILENT

    def note(self, error: BaseException) -> None:
        """Remember why something waits."""
        sentence = message_of(error) or SILENT
        if len(sentence) > _LONGEST_SENTENCE:
            sentence = sentence[:_LONGEST_SENTENCE]
        if sentence not in self._logged:
            is_promised = isinstance(error, StoreError | asyncio.CancelledError)
            _log.error("A run could not be recorded and waits: %s", sentence, exc_info=None if is_promised else error)
        self.sentence = sentence
        if len(self._logged) > _MOST_LOGGED:
            self._logged.clear()
        self._logged.add(sentence)

    def stop(self, error: BaseException) -> None:
        """Remember why a caller's own write has failed: nobody waits for the store until it takes something again."""
        self.note(error)
        self.is_down = True

    def end(self) -> bool:
        """Note that nothing waits for the store; whether something did."""
        had_any = self.sentence is not None
        self.sentence, self.is_down = None, False
        self._logged.clear()
        return had_any


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a store does not take a step: not the exception, which would hold on to all that was at work then."""

    kind: type[BaseException]
    reason: str

    @classmethod
    def of(cls, error: BaseException) -> "Refusal":
        """Return the refusal that *error* is, its sentence cut to a length for people."""
        return cls(type(error), str(error)[:_LONGEST_REASON] or "It gave no reason.")


class Refusals:
    """Counts how often the store does not take a step while it takes others.

    Args:
        most: how often that may be; then it is for good.

    Attributes:
        taken: how many steps it has taken.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken: int = 0
        self._suspects: dict[int, tuple[int, int]] = {}

    def took(self, record: int) -> None:
        """Note that the store has taken a step of a record, here its number."""
        self.taken += 1
        self._suspects.pop(record, None)

    def is_suspect(self, record: int) -> bool:
        """Whether the store has refused a step of a record while it took others."""
        return self._suspects.get(record, (0, 0))[1] > 0

    def is_final(self, record: int, error: BaseException, taken_before: int) -> bool:
        """Whether the store will never take the step that it has refused with *error*.

        Args:
            record: the number of its record.
            error: what the store raised.
            taken_before: how many steps it had taken when this round of attempts began.
        """
        if isinstance(error, PASSING):
            return False
        if isinstance(error, RecordDamaged):
            return True  # the record's fault, not the store's: waiting does not help
        if isinstance(error, ExecutionHistoryError) and not isinstance(error, StoreError):
            return True
        taken, refusals = self._suspects.get(record, (taken_before, 0))
        # As long as it takes nothing at all, nothing is known about this step.
        refusals += self.taken > taken
        self._suspects[record] = (taken, refusals)
        return refusals >= self._most


class Round:
    """One attempt at everything that waits, in which a record is left out once a step of it was not taken.

    ``blocked`` has what was raised for each of those, under the number of the record.
    """

    def __init__(self, taken_before: int) -> None:
        self.taken_before = taken_before
        self.blocked: dict[int, BaseException] = {}
        self._takes: bool | None = None
        self._in_a_row = self._slow_in_a_row = 0

    def took(self) -> None:
        """Note that the store has taken a step."""
        self._takes = True
        self._in_a_row = self._slow_in_a_row = 0

    def failed(self, record: int, error: BaseException, *, is_its_own: bool) -> None:
        """Note that it has not taken one of a record; *is_its_own*: the fault is likely that of the step."""
        self.blocked[record] = error
        if not is_its_own:
            self._takes = bool(self._takes)
            self._in_a_row += isinstance(error, PASSING)
            self._slow_in_a_row += isinstance(error, StoreBusy)

    @property
    def is_hopeless(self) -> bool:
        """Whether the store is in such trouble that the rest need not be tried now; no fault of a step is."""
        return self._in_a_row >= _MOST_IN_A_ROW or self._slow_in_a_row >= _MOST_SLOW_IN_A_ROW

    def takes(self) -> bool | None:
        """Whether the store has taken anything since this was asked last; ``None`` when that was not tried."""
        takes, self._takes = self._takes, None
        return takes
