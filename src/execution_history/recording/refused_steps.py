"""The steps that a store has refused for good: kept beside its spool with the reason, counted, never deleted by us."""

import hashlib
import os
import threading
from collections.abc import Iterator
from typing import IO, Final

from execution_history.recording.pending_writes import Key, Step
from execution_history.recording.spool import Spool, create_private, make_private, open_regular, state_of, sync_folder
from execution_history.recording.step_lines import line_of, text_in
from execution_history.recording.store_trouble import Refusal

_DIGEST_CHARACTERS: Final = 16


class RefusedSteps:
    """The steps of one store that it has refused; for any number of threads and processes.

    Args:
        spool: beside whose batches they are kept.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._digests: set[int] = set()
        self._seen: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """How many there are, as far as :meth:`look` or :meth:`add` have seen."""
        return len(self._digests)

    def look(self) -> None:
        """See what is in the file now, whoever has written or removed it.

        Raises:
            OSError: it cannot be read.
        """
        with self._lock:
            self._look()

    def add(self, key: Key, step: Step, refusal: Refusal, now: int) -> None:
        """Keep a step; it is on the disk when this returns. One that is there already stays as it is.

        Args:
            key: whose step it is.
            step: what the store did not take.
            refusal: why.
            now: milliseconds since the epoch.

        Raises:
            OSError: it could not be written.
        """
        digest = hashlib.sha256(line_of(self._spool.location, key, step)).hexdigest()[:_DIGEST_CHARACTERS]
        line = line_of(
            self._spool.location, key, step,
            digest=digest, reason=refusal.reason, error=refusal.kind.__name__, refused_at=now,
        )  # fmt: skip
        with self._lock:
            make_private(self._spool.folder)
            with create_private(self._spool.refused) as file:
                self._look()
                if int(digest, 16) not in self._digests:
                    # What another program could not write to its end must not make this line unreadable too.
                    file.write(line if _ends_a_line(file.fileno()) else b"\n" + line)
                    file.flush()
                    os.fsync(file.fileno())
                    sync_folder(self._spool.folder)
                    self._digests.add(int(digest, 16))
                    self._seen = state_of(file.fileno())

    def _look(self) -> None:
        try:
            with open_regular(self._spool.refused) as file:
                state = state_of(file.fileno())
                if state != self._seen:
                    self._digests, self._seen = set(_digests(file)), state
        except (FileNotFoundError, NotADirectoryError):
            self._digests, self._seen = set(), None


def _digests(file: IO[bytes]) -> Iterator[int]:
    for line in file:
        try:
            yield int(text_in(line, "digest"), 16)
        except ValueError:
            continue  # half a line, of a program that died: its step is still where it was


def _ends_a_line(descriptor: int) -> bool:
    if os.lseek(descriptor, 0, os.SEEK_END) == 0:
        return True
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) == b"\n"
