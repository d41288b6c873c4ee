"""The listeners of a store's changes."""

import logging
import threading
from collections.abc import Callable
from typing import Final

_log = logging.getLogger("execution_history.stores")


class ChangeNotifier:
    """The part of a store that calls back after each change; for any number of threads."""

    # Replaced and never changed, so that calling needs no lock.
    _listeners: tuple[Callable[[], None], ...] = ()
    _replacing: Final = threading.Lock()  # one for all stores: it is held for an instant

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :class:`~execution_history.stores.capabilities.Watched`."""
        with self._replacing:
            self._listeners = (*self._listeners, call)

        def end() -> None:
            with self._replacing:
                self._listeners = tuple(each for each in self._listeners if each is not call)

        return end

    def _notify(self) -> None:
        """Call all listeners; what one raises is logged, and neither the others nor the change suffer from it."""
        for call in self._listeners:
            try:
                call()
            except Exception:  # noqa: BLE001 - whatever it is, it is the listener's
                _log.exception("A listener of a history has failed.")
