"""Whom a store tells that it was changed."""

from collections.abc import Callable


class Watchers:
    """Those who want to know of changes; for any number of threads."""

    def __init__(self) -> None:
        # Replaced and never changed, so that telling needs no lock.
        self._calls: tuple[Callable[[], None], ...] = ()

    def add(self, call: Callable[[], None]) -> Callable[[], None]:
        """See :meth:`~execution_history.stores.capabilities.Watched.on_change`."""
        self._calls = (*self._calls, call)

        def end() -> None:
            self._calls = tuple(each for each in self._calls if each is not call)

        return end

    def tell(self) -> None:
        """Tell all of them."""
        for call in self._calls:
            call()
