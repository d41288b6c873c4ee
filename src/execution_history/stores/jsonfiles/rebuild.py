"""Making a JSON file anew beside the old one: a small one in one piece, a large one piece by piece."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles.disk_sync import SLICE, write_all
from execution_history.stores.jsonfiles.file_format import (
    FOOTER,
    RECORD_START,
    SEPARATOR,
    Header,
    render,
    stamp,
    whole_file,
)
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.json_file_reader import NotOurs
from execution_history.stores.mirror_port import FileChange

_PIECE: Final = 256 * 1024
_COPIED: Final = 1024 * 1024
_LEAST_SLACK: Final = 64 * 1024
_LARGE: Final = 32 * 1024 * 1024
_LITTLE: Final = 256 * 1024
_LITTLE_SLACK: Final = 3


class NoRoom(Exception):  # noqa: N818 - a finding, not a failure
    """The new file is too small for what has come in the meantime."""


@dataclass(slots=True)
class Job:
    """A file in the making. ``aside`` holds the records that wait for it; ``None`` means all do.

    One that gives *old* new slack copies what lies behind offset ``begin`` first, then, should the front have grown
    long meanwhile, what lies between a new ``begin`` and ``end``, into the file that it has ``built``.
    Of the changes of the store, all up to revision ``seen`` are in it, or not its workflow's.
    """

    workflow_id: str
    aside: set[str] | None
    old: JSONFile | None = None
    begin: int = 0
    end: int = 0
    built: JSONFile | None = None
    fronts: int = 0
    seen: int = 0
    attempt: int = 0
    afresh: bool = False
    cancelled: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)


def write_new(
    path: Path, header: Header, bodies: list[bytes], slack: int | None = None, *, least_slack: int = SIZES.least_slack
) -> None:
    """Write a small file in one piece and put it in its place.

    Args:
        path: the file, replaced at once.
        header: what it says of itself; ``newest_at`` is filled in.
        bodies: the records' documents, newest first.
        slack: the spaces before the newest record, in bytes; as many as the file is large when not given.
        least_slack: what these are at least.
    """
    records = [render(body) for body in bodies]
    if slack is None:
        slack = max(least_slack, sum(map(len, records)))
    _replace_file(path, header, whole_file(header, records, slack))


def make_room(file: JSONFile, changes: Iterable[FileChange]) -> JSONFile:
    """Return the same small file with slack for *changes* and for some more; the old one is closed."""
    needed = sum(len(render(change.body)) + 8 for change in changes if change.body)
    slack = file.size * (_LITTLE_SLACK if file.size < _LITTLE else 1)
    return regrow(file, slack=max(2 * needed, slack))


def regrow(file: JSONFile, slack: int) -> JSONFile:
    """Return the same small file with *slack* bytes of slack; the old one is closed."""
    header = Header(file.header.workflow_id, file.header.state)
    header.newest_at = len(header.encode()) + slack
    _replace_file(file.path, header, header.encode() + b" " * slack, file.read(file.header.newest_at, file.size))
    file.close()
    return JSONFile(file.path, file.sizes)


def _replace_file(path: Path, header: Header, *pieces: bytes) -> None:
    temporary = f"{path.parent}{os.sep}.{path.name}.{os.getpid()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    try:
        try:
            at = 0
            for piece in pieces:
                write_all(descriptor, piece, at)
                at += len(piece)
            os.utime(descriptor, ns=(stamp(header.state),) * 2)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 - a hundred times a second while files are small
    except BaseException:
        Path(temporary).unlink(missing_ok=True)  # or its error would hide the first one
        raise


def build_from_store(path: Path, header: Header, bodies: Iterable[bytes], sizes: FileSizes) -> None:
    """Write the file *path* with the records *bodies*, newest first, behind a quarter of their size as slack.

    The records are written first, behind a header's length, and then moved: their size is not known
    before. Nothing is held in memory but one piece.
    """
    records = path.with_name(path.name + ".records")
    try:
        with records.open("wb") as file:
            os.fchmod(file.fileno(), 0o600) if hasattr(os, "fchmod") else None
            for piece in _with_gaps(bodies, sizes):
                file.write(piece)
            size = file.tell()
        with records.open("rb") as source:
            _write(path, header, iter(lambda: source.read(_PIECE * 4), b""), size)
    finally:
        records.unlink(missing_ok=True)


def build_from_file(path: Path, file: JSONFile, begin: int) -> None:
    """Write to *path* the part of *file* from the record at offset *begin* on, with new slack and gaps before it.

    What stands before *begin* will need room too, so the slack is that much longer.
    """
    header = Header(file.header.workflow_id, file.header.state)
    _write(path, header, _pieces(file, begin), file.size - begin, begin - file.header.newest_at)


def copy_before(source: JSONFile, begin: int, end: int, target: JSONFile) -> None:
    """Put what *source* has from offset *begin* to *end* before what *target* has."""
    while end > begin:
        at = max(begin, end - _COPIED)
        if not target.put_before(source.read(at, end)):
            raise NoRoom
        end = at


def boundary(file: JSONFile, distance: int) -> int:
    """Return the offset of a record at least *distance* bytes behind the newest; the newest where there is none."""
    at = file.header.newest_at + distance
    found = file.find(RECORD_START, at, min(at + 16 * _PIECE, file.size))
    return file.header.newest_at if found < 0 else found


def _write(path: Path, header: Header, pieces: Iterable[bytes], size: int, front: int = 0) -> None:
    slack = max(_LEAST_SLACK, size // 4) + front
    header.newest_at = len(header.encode()) + slack
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(header.encode())
        written = 0
        for piece in chain((b" " * min(_PIECE, slack - at) for at in range(0, slack, _PIECE)), pieces):
            file.write(piece)
            written += len(piece)
            if written >= SLICE and size > _LARGE:
                # Not to leave all of it to whoever has something small to bring to the disk next.
                file.flush()
                os.fsync(descriptor)
                written = 0
        file.flush()
        os.utime(file.fileno(), ns=(stamp(header.state),) * 2)


def _with_gaps(bodies: Iterable[bytes], sizes: FileSizes) -> Iterator[bytes]:
    written, first = 0, True
    for body in bodies:
        if not first:
            yield SEPARATOR
        if written >= sizes.gap_every:
            yield b" " * sizes.gap
            written = 0
        text = render(body)
        written, first = written + len(text), False
        yield text
    yield FOOTER if first else b"\n" + FOOTER


def _pieces(file: JSONFile, begin: int) -> Iterator[bytes]:
    """Return the bytes from *begin* on, in pieces that end where a record begins, with a gap wherever one is due."""
    at = begin
    while at < file.size:
        piece = file.read(at, at + file.sizes.gap_every)
        if not piece:
            raise NotOurs(f"{file.path} has become shorter while it was copied")
        cut = piece.rfind(RECORD_START, 1) if at + len(piece) < file.size else -1
        if cut > 0:
            # The indentation belongs to the next piece; what was a gap stays one.
            piece = piece[:cut]
            yield piece
            if not piece.endswith(b"  "):
                yield b" " * file.sizes.gap
        else:
            yield piece
        at += len(piece)
