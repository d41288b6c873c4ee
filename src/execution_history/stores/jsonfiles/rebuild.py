"""Making a large JSON file anew beside the old one: from the store, or from the old file with new room."""

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles.chunked_fsync import SLICE
from execution_history.stores.jsonfiles.file_format import FOOTER, RECORD_START, SEPARATOR, Header, render, stamp
from execution_history.stores.jsonfiles.json_file import GAP, GAP_EVERY, JSONFile

_PIECE: Final = 256 * 1024
_LEAST_SLACK: Final = 64 * 1024
_LARGE: Final = 32 * 1024 * 1024


def build_from_store(path: Path, header: Header, bodies: Iterable[bytes]) -> None:
    """Write the file *path* with the records *bodies*, newest first, behind a quarter of their size as slack.

    The records are written first, behind a header's length, and then moved: their size is not known
    before. Nothing is held in memory but one piece.
    """
    records = path.with_name(path.name + ".records")
    try:
        with records.open("wb") as file:
            os.fchmod(file.fileno(), 0o600) if hasattr(os, "fchmod") else None
            for piece in _with_gaps(bodies):
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
    head = file.header
    header = Header(head.workflow_id, head.total, head.updated_at, head.revision, 0)
    _write(path, header, _pieces(file, begin), file.size - begin, begin - head.newest_at)


def boundary(file: JSONFile, distance: int) -> int:
    """Return the offset of a record at least *distance* bytes behind the newest; the newest where there is none."""
    at = file.header.newest_at + distance
    window = file.read(at, at + 16 * _PIECE)
    found = window.find(RECORD_START)
    return file.header.newest_at if found < 0 else at + found


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
        os.utime(file.fileno(), ns=(stamp(header.updated_at, header.revision),) * 2)


def _with_gaps(bodies: Iterable[bytes]) -> Iterator[bytes]:
    written, first = 0, True
    for body in bodies:
        if not first:
            yield SEPARATOR
        if written >= GAP_EVERY:
            yield b" " * GAP
            written = 0
        text = render(body)
        written, first = written + len(text), False
        yield text
    yield FOOTER if first else b"\n" + FOOTER


def _pieces(file: JSONFile, begin: int) -> Iterator[bytes]:
    """Return the bytes from *begin* on, in pieces that end where a record begins, with a gap wherever one is due."""
    at = begin
    while at < file.size:
        piece = file.read(at, at + GAP_EVERY)
        cut = piece.rfind(RECORD_START, 1) if at + len(piece) < file.size else -1
        if cut > 0:
            # The indentation belongs to the next piece; what was a gap stays one.
            piece = piece[:cut]
            yield piece
            if not piece.endswith(b"  "):
                yield b" " * GAP
        else:
            yield piece
        at += len(piece)
