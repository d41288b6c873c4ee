"""Open stores and ``fork``: SQLite's connections, and the writer's thread, do not cross one.

A connection must not be open in the parent while it forks: the child would believe that it has the parent's locks
(sqlite.org/howtocorrupt.html, section 2.6). So every open store lets go of its folder before a fork, and opens it again
with its next use, on either side. Only real forks count: ``subprocess`` does not come here.
"""

import functools
import os
import weakref
from typing import Protocol


class CrossesForks(Protocol):
    """What an open store does about forks, called in the thread that forks."""

    def before_fork(self) -> None:
        """Let go of everything and let nobody in."""

    def after_fork(self, *, is_child: bool) -> None:
        """Let others in again."""


_open: "weakref.WeakSet[CrossesForks]" = weakref.WeakSet()
_forking: list[CrossesForks] = []


def watch(store: CrossesForks) -> None:
    """Have *store* told of forks, until it is forgotten."""
    _register()
    _open.add(store)


@functools.cache
def _register() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)


def _before() -> None:
    for store in list(_open):
        _forking.append(store)
        store.before_fork()


def _after() -> None:
    while _forking:
        _forking.pop().after_fork(is_child=False)


def _after_in_child() -> None:
    while _forking:
        _forking.pop().after_fork(is_child=True)
