"""The JSON files that were written and may not be on the disk yet."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from execution_history.errors import StoreError
from execution_history.stores.jsonfiles.chunked_fsync import sync_file

_MOST_SYNCED: Final = 500


class Unsynced:
    """Remembers files by their workflows, and brings them to the disk; for several threads.

    Args:
        path_of: the file of a workflow.
        explain: gives what an error of the disk means for the user of the folder.
    """

    def __init__(self, path_of: Callable[[str], Path], explain: Callable[[BaseException], StoreError]) -> None:
        self._explain = explain
        self._path_of = path_of
        self._workflow_ids: set[str] = set()

    @property
    def workflow_ids(self) -> list[str]:
        """The workflows whose files are meant."""
        return list(self._workflow_ids)

    def add(self, workflow_id: str) -> None:
        """Note that the file of a workflow was written."""
        self._workflow_ids.add(workflow_id)

    def sync(self) -> None:
        """Have these files on the disk.

        Raises:
            StoreError: some could not be brought there, and are tried again with the next call.
        """
        if len(self._workflow_ids) > _MOST_SYNCED and hasattr(os, "sync"):
            self._workflow_ids.clear()
            os.sync()
        failure: BaseException | None = None
        for workflow_id in self.workflow_ids:
            self._workflow_ids.discard(workflow_id)  # before, as it may be written again meanwhile
            try:
                sync_file(self._path_of(workflow_id))
            except FileNotFoundError:
                pass  # its workflow is gone, or the next commit makes it anew
            except BaseException as error:  # noqa: BLE001 - the others are brought to the disk all the same
                failure = error
                self._workflow_ids.add(workflow_id)
        if failure is not None:
            raise self._explain(failure) from failure
