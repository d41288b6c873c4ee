"""The listeners of a store's changes."""

from collections.abc import Callable


class ChangeNotifier:
    """The part of a store that calls back after each change; for any number of threads."""

    # Replaced and never changed, so that calling needs no lock.
    _listeners: tuple[Callable[[], None], ...] = ()

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :class:`~execution_history.stores.capabilities.Watched`."""
        self._listeners = (*self._listeners, call)

        def end() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not call)

        return end

    def _notify(self) -> None:
        """Call all listeners."""
        for call in self._listeners:
            call()
