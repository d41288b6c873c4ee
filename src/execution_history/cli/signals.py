"""Being asked to stop: Ctrl-C and SIGTERM, as a call in the event loop instead of an exception anywhere."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Final

_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stops_call(act: Callable[[], object]) -> Iterator[list[signal.Signals]]:
    """Within the block, call *act* in the event loop at every signal to stop; gives the signals that have come."""
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()

    def note(number: signal.Signals) -> None:
        received.append(number)
        act()

    previous = {number: signal.getsignal(number) for number in _STOPS}
    for number in _STOPS:
        try:
            loop.add_signal_handler(number, note, number)
        except NotImplementedError:  # the event loops of Windows cannot
            signal.signal(number, lambda _, __, number=number: loop.call_soon_threadsafe(note, number))  # type: ignore[misc]
    try:
        yield received
    finally:
        for number in _STOPS:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, previous[number])
