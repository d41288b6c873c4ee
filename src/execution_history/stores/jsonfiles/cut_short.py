"""Files of ours in which an edit was cut short, by a kill in the middle of it or by the end of the machine.

Such a file is a mixture: what stands in it may even look like a record. The store has all of it, so nothing is taken
from there.
"""

import stat
from contextlib import closing
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles.file_format import stamp
from execution_history.stores.jsonfiles.json_file_reader import JSONFileReader, NotOurs
from execution_history.stores.mirror_port import FileState

LONGEST_EDIT_NS: Final = 2 * 10**9
"""The time after a change in which it is written into its file (nanoseconds)."""


def is_cut_short(path: Path, state: FileState, *, machine_went_down: bool = False) -> bool:
    """Return whether an edit of ours was the last one of a file, and was not finished.

    The header is written last: until then it has the revision before the edit, and the file the time at which it was
    written. Whoever edits a file by hand does not do so within two seconds of a change that was cut short. A file whose
    time is that of the state was not touched by anybody else, even if its header is lost.

    Args:
        path: the file.
        state: the one that the store knows.
        machine_went_down: whether the last writes may not have reached the disk, the header's among them.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return False  # a named pipe would be waited for without end
        modified = status.st_mtime_ns
        if machine_went_down and modified == stamp(state):
            return True
        with closing(JSONFileReader(path)) as file:
            is_behind = file.header.state.revision < state.revision
    except (OSError, NotOurs):
        return False
    return (is_behind or machine_went_down) and abs(modified - state.updated_at * 1_000_000) <= LONGEST_EDIT_NS
