"""The time that the queries of one answer may wait for an index that follows, all together."""

import time

from execution_history.query.model import PAGE_SECONDS


class IndexWait:
    """The time that the queries of one answer may wait for the index, all together.

    What a page waits by default is enough for an index that follows to take in what was recorded just now; what takes
    longer is missing in the answer, whose reach tells it.

    Args:
        seconds: how long in all; ``None``: each until the index has everything.
    """

    def __init__(self, seconds: float | None = PAGE_SECONDS) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def seconds(self) -> float | None:
        """What is left of it."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())
