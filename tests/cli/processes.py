"""The command as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from tests.chosen_store import CHOSEN

COMMAND = [sys.executable, "-m", "execution_history"]

PATIENCE = 300
"""Seconds after which a process that does not do what it should is a failure: a slow machine needs many."""


def environment() -> dict[str, str]:
    """This process's own, in English."""
    return {**os.environ, "LANG": "C.UTF-8", "PYTHONUTF8": "1"}


@contextmanager
def started(*arguments: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, running in *folder* with more *variables*, its streams piped; killed at the end if need be."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell: inherited
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*COMMAND, *CHOSEN.located(arguments, folder)],
        cwd=folder,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[bytes], holds: Callable[[], bool]) -> None:
    """Return once something holds; fail where the process ends before, or when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if process.poll() is not None:
            assert holds(), f"The process has ended with {process.returncode}."  # it may have done it last of all
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_document(stream: IO[bytes] | None) -> Any:
    """The indented JSON document that comes next."""
    assert stream is not None
    lines: list[bytes] = []
    while not lines or lines[-1] != b"}\n":
        line = stream.readline()
        assert line, b"".join(lines)
        lines.append(line)
    return orjson.loads(b"".join(lines))
