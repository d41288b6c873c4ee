"""A record whose document in the database is damaged, read from the JSON file of its workflow."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import orjson

from execution_history.records.adoption import whole_record
from execution_history.stores.compression import StoredRecord
from execution_history.stores.jsonfiles.file_names import file_name
from execution_history.stores.jsonfiles.json_file_reader import JSONFileReader, NotOurs

_ATTEMPTS: Final = 5
_PAUSE: Final = 0.01
_LONGEST_EDIT: Final = 2.0


def recovered_from(folder: Path) -> Callable[[StoredRecord], bytes | None]:
    """Return a function that reads a record's bytes from the JSON files in *folder*, or ``None`` where they lack it."""

    def recovered(stored: StoredRecord) -> bytes | None:
        # The name depends on the file system; the header of the file has its workflow.
        names = dict.fromkeys(file_name(stored.workflow_id, case_sensitive=each) for each in (True, False))
        return next(filter(None, (_shown_in(folder / name, stored) for name in names)), None)

    return recovered


def _shown_in(path: Path, stored: StoredRecord) -> bytes | None:
    """Return the record in the file *path* if that is the very version that was stored."""
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE * attempt)
        try:
            modified = path.stat().st_mtime_ns
            with closing(JSONFileReader(path)) as file:
                body = _found_in(file, stored)
                if _was_at_rest(file, modified):
                    return body
        except (OSError, NotOurs):
            return None
    return None


def _was_at_rest(file: JSONFileReader, modified: int) -> bool:
    """Return whether the file was not edited while it was read: the text would be a mixture.

    An edit sets the time of the file to the present when it begins, and to that of its revision at the end.
    """
    if file.is_untouched(file.header.state):
        return True
    return file.path.stat().st_mtime_ns == modified and abs(time.time() - modified / 1e9) > _LONGEST_EDIT


def _found_in(file: JSONFileReader, stored: StoredRecord) -> bytes | None:
    if file.header.workflow_id != stored.workflow_id:
        return None
    try:
        span = file.locate(stored.execute_id, stored.create_time)
        record = {} if span is None else orjson.loads(file.read(*span))
        body = orjson.dumps(record)
    except (ValueError, TypeError):  # the file is damaged too, or nested more deeply than what is written
        return None
    return body if whole_record(record, body) is not None and stored.is_of(body) else None
