"""Steps of records on the disk beside the store, for when that cannot take them and the memory cannot keep them.

A file holds one batch, as JSON lines, and is never changed: it appears whole and goes away whole. It lies in the
user's state folder, readable only by the user, and is read by the next program that opens the same store.
Writing a batch into a store twice does no harm.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson
from platformdirs import user_state_path

from execution_history.clock import new_execute_id
from execution_history.jsonvalue import encode
from execution_history.nesting import IN_METADATA, IN_VALUE, LEVELS
from execution_history.record import OPEN_STATUSES, UPSTREAM_KEY, Document, RecordChange
from execution_history.store import HistoryStore, Located
from execution_history.waiting import Key, Step

_log = logging.getLogger("execution_history.recorder")
_SUFFIX: Final = ".jsonl"
_DAMAGED: Final = ".damaged"
_DIGEST_CHARACTERS: Final = 16
_MOST_NAMED: Final = 20


class Spool:
    """The batches that wait for one store.

    Args:
        location: the store, as every process that opens it names it.
        folder: where batches lie; made when it is needed.
    """

    def __init__(self, location: str, folder: Path | None = None) -> None:
        self._location = location
        self._folder = folder or user_state_path("execution-history") / "waiting"
        digest = hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()
        self._prefix = digest[:_DIGEST_CHARACTERS] + "-"

    def put(self, batch: Iterable[tuple[Key, Step]]) -> Path:
        """Write a batch; it is on the disk when this returns.

        Returns:
            the file.

        Raises:
            OSError: it could not be written; no part of it is there.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{self._prefix}{new_execute_id()}{_SUFFIX}"
        unfinished = path.with_suffix(".unfinished")
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(_line(self._location, key, step) for key, step in batch)
                file.flush()
                os.fsync(descriptor)
            unfinished.rename(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        return path

    def paths(self) -> list[Path]:
        """The batches that are there, oldest first."""
        with suppress(OSError):
            return sorted(self._folder.glob(f"{self._prefix}*{_SUFFIX}"))
        return []

    def read(self, path: Path) -> list[tuple[Key, Step]]:
        """The steps of a batch; a file that was damaged gives what can be read, and stays beside the others.

        Raises:
            OSError: it cannot be read; it is not there any more when another process has written it.
        """
        lines = path.read_bytes().splitlines()
        steps = list(_steps(lines))
        if len(steps) < len(lines):
            kept = path.with_suffix(_DAMAGED)
            _log.error("%d of %d lines of %s cannot be read; it is kept as %s.",
                       len(lines) - len(steps), len(lines), path, kept.name)  # fmt: skip
            os.link(path, kept)
        return steps

    def remove(self, path: Path) -> None:
        """A batch has been written into the store."""
        with suppress(OSError):
            path.unlink(missing_ok=True)


def spool_of(store: HistoryStore) -> Spool | None:
    """The spool of a store that other processes can open too; ``None`` for one that lives in this one."""
    return Spool(store.location) if isinstance(store, Located) else None


def put_aside(spool: Spool | None, records: Iterable[tuple[Key, list[Step]]], reason: str) -> bool:
    """Give records that could not be recorded to *spool*; whether it has them. The log names the file, or what is lost.

    Args:
        spool: where to; without one everything is lost.
        records: the steps of each.
        reason: why they could not be recorded.
    """
    batch = list(records)
    if not batch:
        return True
    try:
        if spool is None:
            raise OSError("this store lives in this process only")  # noqa: TRY301 - one place says what is lost
        path = spool.put((key, step) for key, steps in batch for step in steps)
    except OSError as error:
        named = ", ".join(f"{workflow_id}/{execute_id}" for (workflow_id, execute_id), _ in batch[:_MOST_NAMED])
        _log.error(
            "%d runs could not be recorded (%s) and are lost, because they cannot be put aside (%s): %s",
            len(batch), reason, error, named,
        )  # fmt: skip
        return False
    _log.error(
        "%d runs could not be recorded (%s); they wait in %s and are written when this history is used again.",
        len(batch), reason, path,
    )  # fmt: skip
    return True


def _line(location: str, key: Key, step: Step) -> bytes:
    head = {"store": location, "workflow_id": key[0], "execute_id": key[1]}
    if isinstance(step, Document):
        return orjson.dumps({**head, "record": orjson.Fragment(step.body)}, option=orjson.OPT_APPEND_NEWLINE)
    change = {
        "now": step.now,
        "status": step.status,
        "fields": {name: orjson.Fragment(value) for name, value in step.fields.items()},
        "metadata": {name: orjson.Fragment(value) for name, value in step.metadata.items()},
        "only_from": sorted(OPEN_STATUSES if step.only_from is None else step.only_from),
        "only_while": None if step.only_while is None else dict(step.only_while),
    }
    return orjson.dumps({**head, "change": change}, option=orjson.OPT_APPEND_NEWLINE)


def _steps(lines: Iterable[bytes]) -> Iterator[tuple[Key, Step]]:
    for line in lines:
        try:
            said = orjson.loads(line)
            key = (said["workflow_id"], said["execute_id"])
            yield key, _document(said["record"]) if "record" in said else _change(said["change"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # ``read`` counts what is missing


def _document(record: dict[str, Any]) -> Document:
    return Document.of(record, encode(record, levels=LEVELS), record["metadata"].get(UPSTREAM_KEY))


def _change(said: dict[str, Any]) -> RecordChange:
    return RecordChange(
        said["now"],
        said["status"],
        {name: encode(value, levels=IN_VALUE) for name, value in said["fields"].items()},
        {name: encode(value, levels=IN_METADATA) for name, value in said["metadata"].items()},
        frozenset(said["only_from"]),
        said["only_while"],
    )
