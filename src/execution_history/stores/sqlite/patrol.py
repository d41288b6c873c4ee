"""The history read in the course of time, so that damage is found before somebody needs the record."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from execution_history.errors import Message
from execution_history.stores.jsonfiles.comparison import FileComparison
from execution_history.stores.sqlite.reader import Reader

_PART_BYTES: Final = 512 * 1024
_ATTEMPTS: Final = 5


class Patrol:
    """Reads every record once in a round, and compares the JSON files with them. Not for several threads at once.

    Args:
        reader: reads the history.
        path_of: returns the JSON file of a workflow, or ``None`` where no files are kept.
        save_registry: writes the copy of the registry, at the beginning of each round.
    """

    def __init__(
        self, reader: Reader, path_of: Callable[[str], Path | None], save_registry: Callable[[], None]
    ) -> None:
        self._reader, self._path_of, self._save_registry = reader, path_of, save_registry
        self._waiting: list[str] | None = None
        self._workflow_id = ""
        self._comparison: FileComparison | None = None
        self._before: int | None = None
        self._is_under_way = False
        self._attempts = 0

    def step(self) -> tuple[int, dict[str, Message]] | None:
        """Read the next part; return its bytes and where files differ, by workflow. ``None`` ends a round.

        Raises:
            StoreError: the history cannot be read.
            OSError: a file cannot be read.
        """
        if self._waiting is None:
            self._save_registry()
            with self._reader.snapshot() as records:
                self._waiting = list(records.states())
            random.shuffle(self._waiting)  # a process that is started every day does not begin with the same ones
        if not self._is_under_way and not self._begin():
            self._waiting = self._comparison = None
            return None
        return self._read() if self._comparison is None else self._compare(self._comparison)

    def _begin(self) -> bool:
        if not self._waiting:
            return False
        self._workflow_id, self._attempts, self._before = self._waiting.pop(), 0, None
        self._is_under_way = True
        path = self._path_of(self._workflow_id)
        if path is not None:
            self._comparison = FileComparison(path, self._workflow_id, self._reader, _PART_BYTES)
        return True

    def _read(self) -> tuple[int, dict[str, Message]]:
        with self._reader.snapshot() as records:
            part = records.part(self._workflow_id, self._before, _PART_BYTES)
        self._before, self._is_under_way = part.oldest, part.oldest is not None
        return part.size, {}

    def _compare(self, comparison: FileComparison) -> tuple[int, dict[str, Message]]:
        size = comparison.step()
        where = None if comparison.is_behind else comparison.difference
        if (where is not None or comparison.is_behind) and self._attempts < _ATTEMPTS:
            self._attempts += 1
            comparison.again()  # somebody may be editing it
            return size, {}
        self._attempts = 0
        self._is_under_way = not comparison.is_done
        return size, {} if where is None else {self._workflow_id: where}
