"""The files of a backup: lines are gathered, packed, written with their checksums, and read back."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final, Literal

import zstandard

from execution_history.errors import BackupDamaged, Message, quoted
from execution_history.maintenance.backup.manifest import Manifest, Segment
from execution_history.maintenance.backup.target import BackupTarget
from execution_history.transfer.progress import in_thread

SegmentKind = Literal["records", "changes"]

_TEXT_BYTES: Final = 4 * 1024 * 1024
"""A segment ends with the line that reaches so many bytes: few enough that nobody waits for them to be joined."""

_LARGEST_TEXT: Final = 1024**3 + 2 * _TEXT_BYTES
"""No segment is longer: only its last line reaches beyond its end, and no store takes a record of a gigabyte."""

_PIECE_BYTES: Final = 1024 * 1024
_LEVEL: Final = 3


class SegmentWriter:
    """Writes the segments of one backup, in the order of the lines.

    Args:
        target: where.
        folder: the backup's folder there.

    Attributes:
        segments: what was written.
    """

    def __init__(self, target: BackupTarget, folder: str) -> None:
        self.segments: list[Segment] = []
        self._target, self._folder = target, folder
        self._lines: list[bytes] = []
        self._kind: SegmentKind = "records"
        self._size = 0

    async def add(self, kind: SegmentKind, lines: Iterable[bytes]) -> None:
        """Add *lines*; those of another kind than the last ones begin a segment.

        Raises:
            BackupFailed: a segment cannot be written.
        """
        if kind != self._kind:
            await self.end()
            self._kind = kind
        for line in lines:
            self._lines.append(line)
            self._size += len(line) + 1
            if self._size >= _TEXT_BYTES:
                await self.end()

    async def end(self) -> None:
        """Write what was added.

        Raises:
            BackupFailed: it cannot be written.
        """
        if self._lines:
            lines, self._lines, self._size = self._lines, [], 0
            name = f"{self._kind}-{len(self.segments) + 1:06}.jsonl.zst"
            self.segments.append(await in_thread(self._write, name, lines))

    def _write(self, name: str, lines: Sequence[bytes]) -> Segment:
        text = b"\n".join([*lines, b""])
        packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(text)
        self._target.write(f"{self._folder}/{name}", packed)
        checksum = sha256(packed).hexdigest()
        return Segment(name=name, sha256=checksum, size=len(packed), text_size=len(text), lines=len(lines))


def read_segments(target: BackupTarget, manifest: Manifest, kind: SegmentKind) -> Iterator[list[bytes]]:
    """Yield the lines of the segments of one *kind* of a backup, segment by segment.

    Raises:
        BackupDamaged: a segment is missing, or not what the manifest says.
        BackupFailed: one cannot be read.
    """
    for segment in manifest.segments:
        if segment.name.startswith(kind):
            yield _read(target, manifest, segment)


def _read(target: BackupTarget, manifest: Manifest, segment: Segment) -> list[bytes]:
    name = f"{manifest.id}/{segment.name}"
    packed = target.read(name, min(segment.size, _LARGEST_TEXT))
    found = sha256(packed).hexdigest()
    if found != segment.sha256:
        raise damaged(
            name, Message("its checksum is %(found)s, not %(known)s", found=found[:16], known=segment.sha256[:16])
        )
    if segment.lines > _TEXT_BYTES:  # of a byte each, which none is
        raise damaged(name, Message("it has more lines than there can be"))
    try:
        text = _unpacked(packed, segment.text_size)
    except zstandard.ZstdError as error:
        raise damaged(name, error) from error
    if len(text) != segment.text_size:
        raise damaged(name, Message("it is not as long as the manifest says"))
    if (count := text.count(b"\n")) != segment.lines or not text.endswith(b"\n"):
        raise damaged(name, Message("it has %(lines)s lines, not %(known)s", lines=count, known=segment.lines))
    return text[:-1].split(b"\n")


def _unpacked(packed: bytes, size: int) -> bytes:
    """Return the text of a segment, or where it is longer than *size* as much of it as shows that.

    What the segment says of its own length is not believed: no more memory is taken than there is text.

    Raises:
        zstandard.ZstdError: it is damaged.
    """
    pieces, left = [], min(size, _LARGEST_TEXT) + 1
    with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        while left and (piece := reader.read(min(left, _PIECE_BYTES))):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


def damaged(name: str, reason: object) -> BackupDamaged:
    """Return the error for the segment *name*."""
    return BackupDamaged(
        "The file %(name)s is damaged (%(reason)s): bring it back from a copy, or restore another backup.",
        name=quoted(name),
        reason=reason,
    )
