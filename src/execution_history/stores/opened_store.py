"""The life of a store on a disk or a server: opened by its first use, closed once, and opened again after a fork."""

import asyncio
import threading
import weakref
from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from execution_history.errors import StoreClosed
from execution_history.stores.forks import close_before_forks
from execution_history.stores.listeners import ChangeNotifier


class _Closing(Protocol):
    def close(self) -> None:
        """Finish what is under way and release everything. Never raises."""


_Parts = TypeVar("_Parts", bound=_Closing)


class OpenedStore(ChangeNotifier, Generic[_Parts]):
    """The part of a store that opens and closes the others."""

    def __init__(self) -> None:
        self._opened: _Parts | None = None
        self._closed = False
        self._left_for_fork = False
        self._opening = threading.Lock()
        self._failures: tuple[int, Exception | None] = (0, None)

    async def open(self) -> None:
        """See :meth:`HistoryStore.open`."""
        if self._opened is None or self._closed:
            await asyncio.to_thread(self._open)

    @abstractmethod
    def _open_parts(self) -> _Parts:
        """Open the database, and return the parts of the store.

        Raises:
            StoreError: it could not be opened.
        """

    @abstractmethod
    def _begin(self, parts: _Parts) -> None:
        """Start the threads of parts that were opened."""

    @property
    def _parts(self) -> _Parts:
        opened = self._opened
        if opened is None and self._left_for_fork:
            # It was open before the fork, and callers do not open it again.
            self._open()
            opened = self._opened
        if opened is None:
            raise StoreClosed("This history is not open; open it first, or create a new service after closing one.")
        return opened

    def _open(self) -> None:
        before, _ = self._failures
        with self._opening:
            if self._closed:
                raise StoreClosed("This history was closed; create a new service.")
            count, error = self._failures
            if error is not None and count > before:
                raise error  # that of whoever tried while this one waited: all of them wait as long as one
            if self._opened is None:
                try:
                    opened = self._open_parts()
                except Exception as error:
                    self._failures = count + 1, error
                    raise
                self._begin(opened)
                # A program that ends without aclose still finishes what was submitted.
                self._at_exit = weakref.finalize(self, opened.close)
                self._opened, self._failures = opened, (count, None)
                self._left_for_fork = False
                close_before_forks(self)

    def before_fork(self) -> None:
        """See :class:`~execution_history.stores.forks.Forkable`."""
        self._opening.acquire()
        if self._opened is not None:
            # First, so that no call uses parts that are being closed.
            self._opened, self._left_for_fork = None, True
            self._at_exit()

    def after_fork(self, *, is_child: bool) -> None:
        """See :class:`~execution_history.stores.forks.Forkable`."""
        if is_child:
            self._opening = threading.Lock()
            self._listeners = ()  # they belong to the parent
        else:
            self._opening.release()

    def _close(self) -> None:
        with self._opening:
            self._closed = True
            opened, self._opened = self._opened, None
            if opened is not None:
                self._at_exit()
