"""What a restore keeps of the history that is there: its keys, and the lines of its audit log.

A backup has the keys of its moment, and one of them may have been revoked since. So the keys that count are those of
the history that it takes the place of; without one they come back expired, which lets nobody in and closes the server.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

import orjson

from execution_history.access.audit import BEGUN, FAILED, Action
from execution_history.access.keys import expired_at
from execution_history.access.principals import current_actor
from execution_history.clock import now_ms
from execution_history.errors import InvalidInput, StoreError, message_of, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.stores import DATABASE, store_at
from execution_history.stores.administration import ADMISSION_KINDS, KEY, Entry
from execution_history.stores.capabilities import Verifiable
from execution_history.stores.sqlite.archive import is_archive
from execution_history.stores.verification import named

RestoredKeys = Literal["kept", "present", "expired"]
"""Whether the keys of a restored history are those of the backup, those of the history before it, or expired."""

AuditLine = tuple[int, str, str, bytes]
"""When, who, what, details."""

_LINES_AT_ONCE: Final = 5_000


def check_replaceable(folder: Path) -> None:
    """Check that nobody uses the history in *folder*, which is to be moved aside. Blocks.

    Raises:
        InvalidInput: somebody does, or there is an archive.
    """
    if is_archive(folder):
        raise InvalidInput("%(folder)s is an archive: name another place with --store.", folder=quoted(folder))
    store = store_at(folder)
    if isinstance(store, Verifiable) and (holders := store.holders()):
        raise InvalidInput(
            "The history in %(folder)s is in use by %(holders)s: stop that first.",
            folder=quoted(folder),
            holders=named(holders),
        )


@dataclass(frozen=True, slots=True)
class Present:
    """What stays of the history that is there.

    Attributes:
        entries: those that decide who comes in.
        lines: of the audit log.
        records: how many runs it has; ``None`` where there is no history, or it could not be read.
        trouble: why it could not be read.
    """

    entries: tuple[Entry, ...] = ()
    lines: tuple[AuditLine, ...] = ()
    records: int | None = None
    trouble: str | None = None

    @property
    def has_keys(self) -> bool:
        """Whether it lets anybody in with a key."""
        return any(entry.name.kind == KEY for entry in self.entries)


async def present_in(folder: Path | None) -> Present:
    """Return what stays of the history in *folder*: nothing where there is none."""
    if folder is None or not (folder / DATABASE).exists():
        return Present()
    try:
        async with ExecutionHistoryService(store_at(folder, json_files=False, search=False)) as service:
            entries = [each for each in await service.registry() if each.name.kind in ADMISSION_KINDS]
            records = sum(workflow.total for workflow in await service.workflow_summaries())
            return Present(tuple(entries), tuple([line async for line in lines_of(service)]), records)
    except StoreError as error:
        return Present(trouble=message_of(error))


@asynccontextmanager
async def noted_in(folder: Path | None, about: Mapping[str, object]) -> AsyncIterator[None]:
    """Note in the history in *folder*, if there is one, that a restore in its place begins; and why, if it fails.

    How it ended is in the log of the restored history, which takes the lines of this one over.
    """
    await _append(folder, {**about, BEGUN: True})
    try:
        yield
    except Exception as error:
        await _append(folder, {**about, FAILED: message_of(error)})
        raise


async def _append(folder: Path | None, details: Mapping[str, object]) -> None:
    if folder is None or not (folder / DATABASE).exists():
        return
    with suppress(StoreError):  # it is replaced nevertheless, and the report says why it could not be read
        async with ExecutionHistoryService(store_at(folder, json_files=False, search=False)) as service:
            await service.append_audit(current_actor(), Action.RESTORE.value, orjson.dumps(details))


async def settle_keys(restored: ExecutionHistoryService, present: Present) -> RestoredKeys:
    """Give *restored* the keys of *present*; where that has none, let those that it has expire.

    Raises:
        StoreError: it could not be written.
    """
    now = now_ms()
    for entry in await restored.registry():
        if entry.name.kind in ADMISSION_KINDS and present.has_keys:
            await restored.drop_entry(entry.name, expected=entry.version)
        elif entry.name.kind == KEY:
            await restored.put_entry(entry.name, expired_at(entry, now), expected=entry.version)
    for entry in present.entries if present.has_keys else ():
        await restored.put_entry(entry.name, entry.value, expected=None)
    return "present" if present.has_keys else "expired"


async def _nothing() -> None:
    """Do nothing."""


async def add_lines(
    service: ExecutionHistoryService, lines: Iterable[AuditLine], begin: Callable[[], Awaitable[None]] = _nothing
) -> int:
    """Add the *lines* that the audit log of *service* lacks, with their times; return how many they are.

    Args:
        service: the history.
        lines: the lines.
        begin: called before each.

    Raises:
        StoreError: it could not be read or written.
    """
    known = Counter([_digest(line) async for line in lines_of(service)])
    added = 0
    for line in lines:
        if known[digest := _digest(line)]:
            known[digest] -= 1
        else:
            await begin()
            at, actor, action, details = line
            await service.append_audit(actor, action, details, at=at)
            added += 1
    return added


async def lines_of(service: ExecutionHistoryService) -> AsyncIterator[AuditLine]:
    """Yield the lines of an audit log in their order.

    Raises:
        StoreError: it could not be read.
    """
    after = 0
    while lines := await service.audit(after, _LINES_AT_ONCE):
        for line in lines:
            yield line.at, line.actor, line.action, line.details
        after = lines[-1].number


def _digest(line: AuditLine) -> bytes:
    return blake2b(repr(line).encode(), digest_size=16).digest()
