"""Signals to stop: Ctrl-C and SIGTERM, as a call in the event loop instead of an exception anywhere."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stops_call(callback: Callable[[], object]) -> Iterator[list[signal.Signals]]:
    """Call *callback* in the event loop at every signal to stop; yield the list of signals received so far."""
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()

    def receive(number: signal.Signals) -> None:
        received.append(number)
        callback()

    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, receive, number)
        except NotImplementedError:  # the event loops of Windows cannot
            signal.signal(number, lambda _, __, number=number: loop.call_soon_threadsafe(receive, number))  # type: ignore[misc]
    try:
        yield received
    finally:
        for number in _SIGNALS:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, previous[number])
