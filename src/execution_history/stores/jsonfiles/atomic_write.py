"""Small JSON files written whole: beside their place, then put there at once."""

import os
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles.file_format import Header, render, stamp, whole_file
from execution_history.stores.jsonfiles.json_file import JSONFile

_LEAST_SLACK: Final = 4096


def write_new(path: Path, header: Header, bodies: list[bytes], slack: int | None = None) -> None:
    """Write a small file in one piece and put it in its place.

    Args:
        path: the file, replaced at once.
        header: what it says of itself; ``newest_at`` is filled in.
        bodies: the records' documents, newest first.
        slack: the spaces before the newest record, in bytes; as many as the file is large when not given.
    """
    records = [render(body) for body in bodies]
    if slack is None:
        slack = max(_LEAST_SLACK, sum(map(len, records)))
    _replace_file(path, header, whole_file(header, records, slack))


def regrow(file: JSONFile, slack: int) -> JSONFile:
    """Return the same small file with *slack* bytes of slack; the old one is closed."""
    body = file.read(file.header.newest_at, file.size)
    head = file.header
    header = Header(head.workflow_id, head.total, head.updated_at, head.revision, 0)
    header.newest_at = len(header.encode()) + slack
    _replace_file(file.path, header, header.encode() + b" " * slack + body)
    file.close()
    return JSONFile(file.path)


def _replace_file(path: Path, header: Header, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.utime(file.fileno(), ns=(stamp(header.updated_at, header.revision),) * 2)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
