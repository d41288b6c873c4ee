"""The manifest of a backup: what it holds, with checksums. It is written last, and makes the backup whole.

A backup is a folder of the target, named after its moment. A full one begins a chain; each incremental one holds what
has changed since its parent, whose manifest's checksum it repeats.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from execution_history.clock import now_ms
from execution_history.errors import BackupDamaged, BackupNotFound, InvalidInput, quoted
from execution_history.presentation.time_zone import local_zone
from execution_history.query.values import read_time

FORMAT: Final = 1
"""The version of the format; a newer one is not read."""

MANIFEST: Final = "manifest.json"

VERIFICATION: Final = "verified.json"
"""The note that a backup was verified. It is written later than the manifest, which has no checksum of it."""

LARGEST_MANIFEST: Final = 64 * 1024 * 1024
"""No manifest has more bytes: so many name a million segments, of terabytes."""

_Count = Annotated[int, msgspec.Meta(ge=0)]

Kind = Literal["full", "incremental"]


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a backup: JSON Lines, packed with zstandard.

    Attributes:
        name: its name in the backup's folder; ``records-…`` has whole records, ``changes-…`` the lines of
            :mod:`~execution_history.maintenance.backup.lines`.
        sha256: the checksum of the file.
        size: its bytes.
        text_size: its bytes unpacked.
        lines: its lines.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"\A(records|changes)-[0-9]+\.jsonl\.zst\Z")]
    sha256: str
    size: _Count
    text_size: _Count
    lines: _Count


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds.

    Attributes:
        format: the version of the format.
        id: its name, which begins with its moment in UTC.
        version: the version of the program that wrote it.
        source: the name of the store, without a password.
        created_at: when it began (milliseconds).
        moment: the time at which the history was what it holds (milliseconds).
        revision: the change up to which it is complete.
        audited: the number of the last line of the audit log.
        parent: the backup that it follows; ``None`` where it is full.
        parent_checksum: that of the parent's manifest.
        reason: why it is full although an incremental one was possible; a sentence in English.
        records: the records that were written into it.
        deletions: the deletions in it.
        entries: the entries of the registry in it, also those that were removed.
        audit_lines: the lines of the audit log in it.
        total: the records that the history counted at that moment, where nobody changed it meanwhile.
        damaged: the workflow and execute ids of records that could not be read; a thousand at most.
        damaged_count: their number.
        segments: its files, in the order in which they are read.
    """

    format: int = FORMAT
    id: str
    version: str
    source: str
    created_at: int
    moment: int
    revision: int
    audited: int
    parent: str | None = None
    parent_checksum: str | None = None
    reason: str | None = None
    records: int
    deletions: int
    entries: int
    audit_lines: int
    total: int | None = None
    damaged: tuple[tuple[str, str], ...] = ()
    damaged_count: int = 0
    segments: tuple[Segment, ...]

    @property
    def kind(self) -> Kind:
        """Whether it stands alone."""
        return "full" if self.parent is None else "incremental"

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(segment.size for segment in self.segments)


class _Sealed(msgspec.Struct):
    """The file: the manifest, and the checksum of its bytes."""

    checksum: str
    manifest: msgspec.Raw


class VerificationNote(msgspec.Struct, frozen=True):
    """The note that a backup was restored and compared.

    Attributes:
        at: when (milliseconds).
        checksum: that of the manifest that was read for it; the note counts for no other.
        records: the records that were compared.
        digest: the digest of them all.
    """

    at: _Count
    checksum: str
    records: _Count
    digest: str


class KnownBackup(msgspec.Struct, frozen=True):
    """A whole backup in a target.

    Attributes:
        manifest: what it holds.
        checksum: that of its manifest.
        verified: when it was last restored to prove that it can be (milliseconds); ``None`` for never.
    """

    manifest: Manifest
    checksum: str
    verified: int | None = None


class _Format(msgspec.Struct):
    format: int


def id_at(moment: int, suffix: str) -> str:
    """Return the id of a backup that begins at *moment* (milliseconds); *suffix* tells two of one second apart."""
    return f"{datetime.fromtimestamp(moment / 1000, UTC):%Y-%m-%dT%H%M%SZ}-{suffix}"


def moment_of(backup_id: str) -> int | None:
    """Return the moment (milliseconds) with which an id begins; ``None`` where it is none of ours."""
    try:
        found = datetime.strptime(backup_id[:18], "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(found.timestamp() * 1000)


def sealed(manifest: Manifest) -> tuple[bytes, str]:
    """Return the file of *manifest*, and its checksum."""
    body = msgspec.json.encode(manifest)
    checksum = sha256(body).hexdigest()
    return msgspec.json.encode(_Sealed(checksum, msgspec.Raw(body))), checksum


def opened(data: bytes, name: str) -> KnownBackup:
    """Return the backup whose manifest is the file *data*, called *name*.

    Raises:
        BackupDamaged: it is damaged, or a newer version wrote it.
    """
    try:
        found = msgspec.json.decode(data, type=_Sealed)
        body = bytes(found.manifest)
        if sha256(body).hexdigest() == found.checksum:
            if msgspec.json.decode(body, type=_Format).format > FORMAT:
                raise BackupDamaged(
                    "The backup %(name)s was made by a newer version of execution-history: upgrade this one.",
                    name=quoted(name),
                )
            return KnownBackup(msgspec.json.decode(body, type=Manifest), found.checksum)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    raise BackupDamaged(
        "The manifest %(name)s is damaged: bring it back from a copy, or restore another backup.", name=quoted(name)
    )


def missing_file(name: str, place: object) -> BackupDamaged:
    """Return the error for a file of the target *place* that is not there."""
    return BackupDamaged(
        "The file %(name)s of the backups in %(place)s is missing: bring it back, or restore another backup.",
        name=quoted(name),
        place=quoted(place),
    )


class Backups:
    """The whole backups of a target, in the order of their moments.

    Args:
        found: all of them.
        damaged: what is wrong with the manifests that cannot be read.
        unfinished: the ids of backups without a manifest: under way, or left by a process that was killed.
        place: the name of the target.
    """

    def __init__(
        self,
        found: Iterable[KnownBackup],
        damaged: Sequence[BackupDamaged] = (),
        unfinished: Iterable[str] = (),
        place: str = "",
    ) -> None:
        self.place = place
        self.all: tuple[KnownBackup, ...] = tuple(
            sorted(found, key=lambda each: (each.manifest.created_at, each.manifest.id))
        )
        self.damaged = tuple(damaged)
        self.unfinished = tuple(sorted(unfinished))
        self._by_id = {each.manifest.id: each for each in self.all}

    def get(self, backup_id: str) -> KnownBackup | None:
        """Return the backup of this id, if it is there."""
        return self._by_id.get(backup_id)

    def newest(self, at: str = "") -> KnownBackup:
        """Return the newest backup whose id begins with *at*; where none does and *at* is a time, the last one by then.

        Raises:
            BackupNotFound: there is none.
            BackupDamaged: there may be one, whose manifest is damaged.
        """
        found = [each for each in self.all if each.manifest.id.startswith(at)]
        if not found and (moment := _time_in(at)) is not None:
            found = [each for each in self.all if each.manifest.moment <= moment]
        if found:
            return found[-1]
        if self.damaged:
            raise self.damaged[0]
        if not at:
            raise BackupNotFound("There is no whole backup in %(place)s.", place=quoted(self.place))
        raise BackupNotFound(
            "There is no whole backup in %(place)s whose id begins with %(at)s, nor one by that time; backup list "
            "shows those that there are.",
            place=quoted(self.place),
            at=quoted(at),
        )

    def chain_of(self, backup: KnownBackup) -> list[KnownBackup]:
        """Return *backup* behind the backups that it needs, the full one first.

        Raises:
            BackupDamaged: one of them is missing, or another than when the next one was made.
        """
        chain = [backup]
        while (parent := chain[0].manifest.parent) is not None:
            found = self._by_id.get(parent)
            if found is None or found.checksum != chain[0].manifest.parent_checksum or found in chain:
                raise BackupDamaged(
                    "The backup %(id)s needs %(parent)s, which is not there any more, damaged or another one: restore "
                    "an older backup.",
                    id=chain[0].manifest.id,
                    parent=parent,
                )
            chain.insert(0, found)
        return chain

    def chains(self, source: str | None = None) -> list[list[KnownBackup]]:
        """Return the full backups of *source*, or of all, each before those that need it, oldest first."""
        ours = [each for each in self.all if source in (None, each.manifest.source)]
        chains = {each.manifest.id: [each] for each in ours if each.manifest.parent is None}
        chain_of = {name: name for name in chains}
        for each in ours:
            parent = chain_of.get(each.manifest.parent or "")
            if parent is not None:
                chain_of[each.manifest.id] = parent
                chains[parent].append(each)
        return list(chains.values())


def _time_in(text: str) -> int | None:
    """Return the moment (milliseconds) that *text* names, in local time unless it says otherwise; ``None`` for none."""
    try:
        return read_time("at", text, now=now_ms(), zone=local_zone())
    except InvalidInput:
        return None
