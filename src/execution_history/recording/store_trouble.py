"""What is wrong with a store, as far as its callers have to know: whether to wait for it, and what to say of it."""

import asyncio
import logging
from typing import Final

from execution_history.errors import Message, StoreBusy, StoreError, message_of

_log = logging.getLogger("execution_history.recording")
_LONGEST_SENTENCE: Final = 500
_MOST_TOLD: Final = 100
SILENT: Final = Message("the store does not answer")


class Hung(StoreBusy):
    """The store has not answered in time, and is still at it."""

    def __init__(self) -> None:
        super().__init__(SILENT)


class Trouble:
    """The trouble that a store is in.

    ``sentence`` says why something waits, and is ``None`` when nothing does; while ``is_down`` nobody waits for the
    store any more.
    """

    def __init__(self) -> None:
        self.sentence: str | None = None
        self.is_down: bool = False
        self._told: set[str] = set()

    @property
    def reason(self) -> str:
        """Why something waits, also where the store has not said so."""
        return self.sentence or SILENT

    def note(self, error: BaseException) -> None:
        """Remember why something waits."""
        sentence = message_of(error) or SILENT
        if len(sentence) > _LONGEST_SENTENCE:
            sentence = sentence[:_LONGEST_SENTENCE]
        if sentence not in self._told:
            is_promised = isinstance(error, StoreError | asyncio.CancelledError)
            _log.error("A run could not be recorded and waits: %s", sentence, exc_info=None if is_promised else error)
        self.sentence = sentence
        if len(self._told) > _MOST_TOLD:
            self._told.clear()
        self._told.add(sentence)

    def stop(self, error: BaseException) -> None:
        """Remember why a caller's own write has failed: nobody waits for the store until it takes something again."""
        self.note(error)
        self.is_down = True

    def end(self) -> bool:
        """Note that nothing waits for the store; whether something did."""
        had_any = self.sentence is not None
        self.sentence, self.is_down = None, False
        self._told.clear()
        return had_any
