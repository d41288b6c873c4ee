"""Connections to a server that has stopped answering without closing them: a frozen machine, a network that drops all.

Whoever waits for an answer on such a connection would wait for ever. A connection that has been busy for long is
checked by making another one: where the server still lets somebody in, the work just takes its time.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg


class Watchdog:
    """Breaks connections whose server does not answer; the thread starts with the first connection.

    Args:
        connect: makes a connection, or raises :class:`psycopg.errors.ConnectionTimeout` where nobody answers.
        seconds: for how long a connection may be busy before the server is asked.
    """

    def __init__(self, connect: "Callable[[], psycopg.Connection[Any]]", seconds: float) -> None:
        self._connect = connect
        self._seconds = seconds
        self._busy: dict[int, tuple[psycopg.Connection[Any], float]] = {}
        self._changing = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, connection: "psycopg.Connection[Any]") -> Iterator[None]:
        """Watch *connection*, which is busy for the time of the block."""
        with self._changing:
            self._busy[id(connection)] = connection, time.monotonic()
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
        while not self._ending.wait(self._seconds / 4):
            before = time.monotonic() - self._seconds
            with self._changing:
                old = [connection for connection, since in self._busy.values() if since < before]
            if old:
                self._judge(old, is_alive=self._answers())

    def _judge(self, old: "list[psycopg.Connection[Any]]", *, is_alive: bool) -> None:
        with self._changing:
            for connection in old:
                if id(connection) not in self._busy:
                    continue
                if is_alive:
                    self._busy[id(connection)] = connection, time.monotonic()
                else:
                    _break(connection)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.Error:
            return True  # it has said something
        return True


def _break(connection: "psycopg.Connection[Any]") -> None:
    """End the conversation on the socket, so that whoever waits gets an error."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as other:
        other.shutdown(socket.SHUT_RDWR)
