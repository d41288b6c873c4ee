"""Exceptions of any type, raised from inside a real store: by SQLite's own hooks and by Python's audit events."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw


@dataclass
class Injector:
    """Raises ``error`` wherever something happens that one of its signs is part of, as often as ``times`` says.

    A sign for SQL is part of a statement; one for files is an audit event and part of a path, as ``os.rename w.json``.
    """

    error: BaseException
    statements: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    connections: bool = False
    times: int = 1
    raised: list[str] = field(default_factory=list)

    def reach(self, place: str) -> None:
        """Raise, if there is still something to raise."""
        if len(self.raised) < self.times:
            self.raised.append(place)
            raise self.error


_active: list[Injector] = []


@contextmanager
def injected(injector: Injector) -> Iterator[Injector]:
    """Have *injector* raise during the block."""
    install()
    _active.append(injector)
    try:
        yield injector
    finally:
        _active.remove(injector)


def _trace(cursor: Any, sql: str, values: Any) -> bool:
    del cursor, values
    for injector in _active:
        if any(sign in sql for sign in injector.statements):
            injector.reach(sql)
    return True


def _watch(connection: apsw.Connection) -> None:
    connection.exec_trace = _trace
    for injector in _active:
        if injector.connections:
            injector.reach("a new connection")


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active:
        return
    place = f"{event} {' '.join(str(argument) for argument in arguments if isinstance(argument, (str, Path)))}"
    for injector in _active:
        if any(all(part in place for part in sign.split()) for sign in injector.files):
            injector.reach(place)


def install() -> None:
    """Watch every connection that is opened from now on, and every file."""
    if _watch not in apsw.connection_hooks:
        apsw.connection_hooks.append(_watch)
        sys.addaudithook(_audit)  # there is no way to remove one; while no injector is active it does nothing
