"""What a redaction of what exists found and did."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class ArchiveRedaction:
    """What was redacted, or would be, in an archive.

    Attributes:
        file: the archive.
        records: records that were looked at.
        changed: those in which something was, or would be, redacted.
        values: how many values by which rule.
        bytes: of JSON that the records have.
        is_there: whether it was found.
        trouble: why it was not redacted; ``None`` where it was, or there was nothing to redact.
    """

    file: str
    records: int = 0
    changed: int = 0
    values: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    is_there: bool = True
    trouble: str | None = None


@dataclass(slots=True)
class SpoolRedaction:
    """What was redacted, or would be, of the steps of runs that wait for the store.

    Attributes:
        steps: steps that were looked at.
        changed: those in which something was, or would be, redacted.
        missed: files that were not looked at: they cannot be read, or another process has them.
    """

    steps: int = 0
    changed: int = 0
    missed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EarlierBackups:
    """Backups that were made before a redaction: the place, and their number where that could be read."""

    place: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class RedactionExample:
    """A value that is, or would be, redacted: the run, where it stands, by which rule, and the text around it then."""

    workflow_id: str
    execute_id: str
    field: str
    rule: str
    text: str


@dataclass(slots=True)
class RedactionReport:
    """What a redaction found and did.

    Attributes:
        records: records that were looked at, deleted ones among them.
        bytes: of JSON that they have.
        changed: records in which something was, or would be, redacted.
        binned: those of them that are deleted and can be restored.
        values: how many values by which rule.
        workflows: how many records of which workflow.
        damaged: records that cannot be read.
        missed: records that others changed all the time, or restored meanwhile, which the next call finds.
        examples: some of the values.
        archives: what was found in the archives of the history.
        spool: what was found in files with steps of runs that wait for the store.
        backups: where there are backups that were made before.
        is_dry: whether nothing was changed.
        is_continued: whether it went on where an earlier call had stopped.
        is_erased: whether the store's files hold no earlier version any more; ``None`` for a store that cannot do that.
    """

    records: int = 0
    bytes: int = 0
    changed: int = 0
    binned: int = 0
    values: Counter[str] = field(default_factory=Counter)
    workflows: Counter[str] = field(default_factory=Counter)
    damaged: int = 0
    missed: int = 0
    examples: list[RedactionExample] = field(default_factory=list)
    archives: list[ArchiveRedaction] = field(default_factory=list)
    spool: SpoolRedaction = field(default_factory=SpoolRedaction)
    backups: list[EarlierBackups] = field(default_factory=list)
    is_dry: bool = False
    is_continued: bool = False
    is_erased: bool | None = None

    @property
    def has_changed(self) -> bool:
        """Whether anything was redacted anywhere."""
        in_archives = any(each.changed for each in self.archives)
        return not self.is_dry and bool(self.changed or self.spool.changed or in_archives)

    def to_json(self) -> dict[str, Any]:
        """Return all of it, with ``dry_run`` in the place of ``is_dry`` and so on."""
        names = {"is_dry": "dry_run", "is_continued": "continued", "is_erased": "erased"}
        found = {names.get(each.name, each.name): getattr(self, each.name) for each in fields(self)}
        counted = {name: dict(found[name].most_common()) for name in ("values", "workflows")}
        listed = {name: [asdict(each) for each in found[name]] for name in ("examples", "archives", "backups")}
        return {**found, **counted, **listed, "spool": asdict(self.spool)}


OnProgress = Callable[[RedactionReport], None]
