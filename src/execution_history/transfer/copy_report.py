"""The outcome of a copy."""

from dataclasses import dataclass
from typing import Any

from execution_history.history.answers import damaged_of
from execution_history.records.digest import RecordDigest
from execution_history.stores.administration import EntryName
from execution_history.transfer.named_records import NamedRecords


@dataclass(frozen=True, slots=True)
class SideDigest:
    """The number of records that were compared on one side, their bytes and their digest."""

    records: int
    size: int
    digest: str

    @classmethod
    def of(cls, digest: RecordDigest) -> "SideDigest":
        """Return what *digest* is now."""
        return cls(digest.count, digest.size, digest.hex())

    def to_json(self) -> dict[str, Any]:
        """Return ``{"records", "size", "digest"}``."""
        return {"records": self.records, "size": self.size, "digest": self.digest}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """The outcome of a copy.

    Attributes:
        source: the source's side of the comparison, without the records that are newer in the target.
        target: the target's side, the records with the same ids.
        added: the number of records that were new in the target.
        replaced: the number of records that replaced an older version.
        deleted: the number of records that the source deleted meanwhile, and the target then too.
        missing: records that the target does not have although it took them.
        differing: records that have other content in the target, with the same ``update_time``.
        newer: records that are in the target in a newer version, which stays.
        damaged: records that cannot be read in the source.
        others: the number of further records of the target.
        cleared: workflows that the source cleared meanwhile; their records stay in the target.
        entries: the number of entries of the registry that were new in the target.
        kept_entries: entries of the registry that have another value in the target, which stays.
        binned: the number of deleted records that can be restored in the source only.
        revision: the change of the source up to which everything was taken.
    """

    source: SideDigest
    target: SideDigest
    added: int
    replaced: int
    deleted: int
    missing: NamedRecords
    differing: NamedRecords
    newer: NamedRecords
    damaged: NamedRecords
    others: int
    cleared: tuple[str, ...]
    entries: int
    kept_entries: tuple[EntryName, ...]
    binned: int
    revision: int

    @property
    def is_equal(self) -> bool:
        """Whether the target has every readable record of the source as the source has it, or in a newer version."""
        return not (self.missing.count or self.differing.count) and (
            (self.source.records, self.source.digest) == (self.target.records, self.target.digest)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields above as an object, with ``equal``; damaged records as an export names them."""
        named = {name: getattr(self, name).to_json() for name in ("source", "target", "missing", "differing", "newer")}
        plain = {
            name: getattr(self, name)
            for name in ("added", "replaced", "deleted", "others", "cleared", "entries", "binned", "revision")
        }
        kept = {"kept_entries": [entry._asdict() for entry in self.kept_entries]}
        lost = {"damaged_count": self.damaged.count, **damaged_of(tuple(self.damaged.keys))}
        return {"equal": self.is_equal, **named, **plain, **kept, **(lost if self.damaged.count else {})}
