"""The JSON files that a thread which edits them keeps open between edits."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles.file_sizes import FileSizes
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.json_file_reader import NotOurs
from execution_history.stores.jsonfiles.rebuild import regrow
from execution_history.stores.mirror_port import FileState

_MOST_OPEN: Final = 128


class OpenFiles:
    """The files that were used last, by workflow; used by one thread.

    Args:
        path_of: the file of a workflow.
        discard: closes a file; dropping a large one takes the system a while.
        sizes: the sizes by which files are edited.
    """

    def __init__(self, path_of: Callable[[str], Path], discard: Callable[[JSONFile], None], sizes: FileSizes) -> None:
        self._path_of = path_of
        self._discard = discard
        self._sizes = sizes
        self._files: OrderedDict[str, JSONFile] = OrderedDict()

    def current(self, workflow_id: str, state: FileState) -> JSONFile | None:
        """Return the workflow's file if it has the format, is unchanged and in *state*; ``None`` otherwise."""
        file = self._files.get(workflow_id)
        if file is not None:
            self._files.move_to_end(workflow_id)
            if file.is_current(state):
                return file
            self.forget(workflow_id)
        try:
            file = JSONFile(self._path_of(workflow_id), self._sizes)
        except (FileNotFoundError, NotOurs):
            return None
        if not (file.header.workflow_id == workflow_id and file.is_current(state)):
            file.close()
            return None
        return self._kept(workflow_id, file)

    def untouched(self, workflow_id: str) -> JSONFile | None:
        """Return the workflow's file, in the state that it says itself; ``None`` where there is none.

        Raises:
            NotOurs: it is another's, or somebody has changed it, or an edit of it was cut short.
            OSError: it cannot be opened.
        """
        file = self._files.get(workflow_id)
        if file is None:
            try:
                file = JSONFile(self._path_of(workflow_id), self._sizes)
            except FileNotFoundError:
                return None
        self._kept(workflow_id, file)
        if file.header.workflow_id != workflow_id or not file.is_untouched(file.header.state):
            self.forget(workflow_id)
            raise NotOurs(str(file.path))
        return file

    def _kept(self, workflow_id: str, file: JSONFile) -> JSONFile:
        """Return *file*, which is the last one to be closed from now on."""
        self._files[workflow_id] = file
        self._files.move_to_end(workflow_id)
        if len(self._files) > _MOST_OPEN:
            self._files.popitem(last=False)[1].close()
        return file

    def put(self, workflow_id: str, file: JSONFile) -> None:
        """Keep the file that has taken the place of the workflow's old one."""
        self._files[workflow_id] = file

    def forget(self, workflow_id: str) -> None:
        """Discard the workflow's file."""
        file = self._files.pop(workflow_id, None)
        if file is not None:
            self._discard(file)

    def trim(self, workflow_id: str) -> None:
        """Remove the slack of a small file; one that cannot be rewritten keeps it."""
        try:
            file = self._files.pop(workflow_id, None) or JSONFile(self._path_of(workflow_id), self._sizes)
            if file.size <= self._sizes.small and file.slack and file.is_untouched(file.header.state):
                file = regrow(file, slack=0)
            self._files[workflow_id] = file
        except (OSError, NotOurs):
            return

    def close(self) -> None:
        """Close all of them."""
        while self._files:
            self._files.popitem()[1].close()
