"""``python -m bench.fast_clock FACTOR COMMAND…``: a command of ours, whose day passes so many times as fast.

The time of day is faster, from which runs, sessions, rules of retention and rollups take theirs, and the schedule of jobs
sleeps as much less, or it would look for what is due only every few hours of that day. Whatever else waits, waits as
long as ever.
"""

import asyncio
import sys
import time
from typing import Any


class _Hurried:
    """The module ``asyncio``, whose sleep takes so many times less."""

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        """Sleep for *seconds* of the fast day."""
        await asyncio.sleep(seconds / self._speed)


def main() -> None:
    """Run the command that the arguments name."""
    factor, *arguments = sys.argv[1:]
    real, speed = time.time_ns, float(factor)
    began = real()
    time.time_ns = lambda: began + int((real() - began) * speed)
    sys.argv[1:] = arguments
    from execution_history.__main__ import main as command  # noqa: PLC0415 - with the clock as it is now
    from execution_history.jobs import schedule  # noqa: PLC0415 - as above

    vars(schedule)["asyncio"] = _Hurried(speed)
    command()


if __name__ == "__main__":
    main()
