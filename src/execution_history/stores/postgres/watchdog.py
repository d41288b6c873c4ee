"""Connections to a server that has stopped answering without closing them: a frozen machine, a network that drops all.

Whoever waits for an answer on such a connection would wait for ever. A connection that has been busy for long is
checked by making another one: where the server still lets somebody in, the work just takes its time.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(slots=True)
class _Busy:
    """A connection at work.

    Attributes:
        connection: the connection.
        seconds: after how many the server is checked, again and again.
        check_at: when it is checked next, on the monotonic clock.
        break_at: when the connection is broken in any case.
    """

    connection: "psycopg.Connection[Any]"
    seconds: float
    check_at: float
    break_at: float


class Watchdog:
    """Breaks connections whose server does not answer; the thread starts with the first connection.

    Args:
        connect: makes a connection within so many seconds, or raises
            :class:`psycopg.errors.ConnectionTimeout` where nobody answers.
        seconds: how long the server may take to answer; it is looked twice as often whether one has to be asked.
    """

    def __init__(self, connect: "Callable[[float], psycopg.Connection[Any]]", seconds: float) -> None:
        self._connect = connect
        self._seconds = seconds
        self._busy: dict[int, _Busy] = {}
        self._changing = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, connection: "psycopg.Connection[Any]", seconds: float, most: float = math.inf) -> Iterator[None]:
        """Watch *connection*, which is busy for the time of the block.

        Args:
            connection: the connection.
            seconds: after how many the server is checked.
            most: after how many seconds the connection is broken though the server answers others.
        """
        with self._changing:
            now = time.monotonic()
            self._busy[id(connection)] = _Busy(connection, seconds, now + seconds, now + most)
            if self._thread is None and not self._ending.is_set():
                self._thread = threading.Thread(target=self._watch, name="execution-history-watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changing:
                del self._busy[id(connection)]

    def stop(self) -> None:
        """End the thread soon; it is not waited for."""
        self._ending.set()

    def _watch(self) -> None:
        while not self._ending.wait(self._seconds / 2):
            now = time.monotonic()
            with self._changing:
                for each in self._busy.values():
                    if each.break_at < now:
                        _break(each.connection)
                late = [each for each in self._busy.values() if each.check_at < now]
            if late:
                self._judge(late, is_alive=self._answers())

    def _judge(self, late: "list[_Busy]", *, is_alive: bool) -> None:
        with self._changing:
            for each in late:
                if self._busy.get(id(each.connection)) is not each:
                    continue
                if is_alive:
                    each.check_at = time.monotonic() + each.seconds
                else:
                    _break(each.connection)

    def _answers(self) -> bool:
        try:
            self._connect(self._seconds).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.Error:
            return True  # it has said something
        return True


def _break(connection: "psycopg.Connection[Any]") -> None:
    """End the conversation on the socket, so that whoever waits gets an error."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as other:
        other.shutdown(socket.SHUT_RDWR)
