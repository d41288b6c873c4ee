"""Stores that are closed before a fork, and opened again by their next use on either side.

Threads, locks and connections do not cross a fork: with a connection of SQLite that is open in the parent, the child
would seem to have the parent's locks (sqlite.org/howtocorrupt.html, section 2.6). Only real forks count: ``subprocess``
does not call these hooks.
"""

import functools
import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """A store with something open that must not cross a fork."""

    def before_fork(self) -> None:
        """Close everything and keep others from opening it, in the thread that forks."""

    def after_fork(self, *, is_child: bool) -> None:
        """Allow opening again."""


_open_stores: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_forking: list[Forkable] = []


def close_before_forks(store: Forkable) -> None:
    """Have *store*, which was opened, closed before each fork."""
    _watch_forks()
    _open_stores.add(store)


@functools.cache
def _watch_forks() -> None:
    def before() -> None:
        for store in list(_open_stores):
            _forking.append(store)
            store.before_fork()

    def after(*, is_child: bool) -> None:
        while _forking:
            _forking.pop().after_fork(is_child=is_child)

    if hasattr(os, "register_at_fork"):
        in_parent, in_child = (functools.partial(after, is_child=is_child) for is_child in (False, True))
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
