"""Names of workflows: what people call them, and what their upstream does.

They are entries of the store's registry, of the kind ``workflow`` and with the workflow's id as their key:

| key | value |
|---|---|
| ``name``, ``description`` | what a person wrote |
| ``starred``, ``hidden`` | true, or left out |
| ``learned`` | ``name``, ``description``, ``from`` (such as ``coze``) and ``at`` (milliseconds since the epoch) |

A person's name stands before the learned one. Ids stay what paths and arguments named ``workflow_id`` take.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import orjson

from execution_history.history.registry import change_entry
from execution_history.records.values import text
from execution_history.records.values import time as moment_of
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.protocol import HistoryStore

KIND: Final = "workflow"
LONGEST_NAME: Final = 200
LONGEST_DESCRIPTION: Final = 2_000

FRESH_MS: Final = 500
"""How long names that were read are taken for the current ones; other processes may change them."""

_TIMES_AS_LONG: Final = 20

OF_RUNS: Final = "run"
"""The source of a name that runs give their workflow in ``metadata.workflow_name``; an upstream's comes before it."""


@dataclass(frozen=True, slots=True)
class LearnedName:
    """What an upstream calls a workflow: where that was learned, such as ``coze``, and when (milliseconds)."""

    name: str
    source: str
    at: int
    description: str | None = None


@dataclass(frozen=True, slots=True)
class WorkflowName:
    """The name of a workflow and what else people noted about it; ``None`` and false where there is nothing."""

    workflow_id: str
    given: str | None = None
    described: str | None = None
    starred: bool = False
    hidden: bool = False
    learned: LearnedName | None = None

    @property
    def name(self) -> str | None:
        """The name to show: a person's before the learned one."""
        return self.given or (self.learned.name if self.learned else None)

    @property
    def description(self) -> str | None:
        """The description to show: a person's before the learned one."""
        return self.described or (self.learned.description if self.learned else None)

    def knows(self, news: LearnedName) -> bool:
        """Return whether *news* are none: learned already, or what a run says where an upstream has named it."""
        learned = self.learned
        if learned is None:
            return False
        is_same = learned.name == news.name and news.description in (None, learned.description)
        return is_same or (news.source == OF_RUNS and learned.source != OF_RUNS)


@dataclass(frozen=True, slots=True)
class _Known:
    until: int
    revision: int
    names: Mapping[str, WorkflowName] = field(default_factory=lambda: MappingProxyType({}))


class NameBook:
    """All names of a store, kept in memory and renewed when the store has changed.

    Args:
        store: an opened store.
        uptime: milliseconds on a clock that is never set.
    """

    def __init__(
        self, store: HistoryStore, uptime: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    ) -> None:
        self._store = store
        self._uptime = uptime
        self._known = _Known(-1, -1)
        self._written = 0

    @property
    def last(self) -> Mapping[str, WorkflowName]:
        """The names as they were last read, by workflow id; none before that."""
        return self._known.names

    async def all(self) -> Mapping[str, WorkflowName]:
        """Return all names by workflow id, at most :data:`FRESH_MS` old, or twenty times as long as reading them took.

        Raises:
            StoreError: the store could not be read.
        """
        known, now, written = self._known, self._uptime(), self._written
        if now <= known.until:
            return known.names
        revision = await self._store.revision()
        names = known.names
        if revision != known.revision:
            entries = await self._store.entries(KIND)
            names = MappingProxyType({entry.name.key: _name_of(entry) for entry in entries})
        if written == self._written:  # else a change of this process may be missing: the next call reads again
            end = self._uptime()
            self._known = _Known(end + max(FRESH_MS, _TIMES_AS_LONG * (end - now)), revision, names)
        return names

    async def change(self, workflow_id: str, make: Callable[[WorkflowName], WorkflowName]) -> WorkflowName:
        """Replace the entry of a workflow by what *make* returns for it, however many others change it meanwhile.

        Raises:
            StoreBusy: others changed it all the time.
            StoreError: the store could not be read or written.
        """
        after = WorkflowName(workflow_id)

        def changed(entry: Entry | None) -> bytes | None:
            nonlocal after
            before = WorkflowName(workflow_id) if entry is None else _name_of(entry)
            after = make(before)
            if after == before:
                return None if entry is None else entry.value
            value = _value_of(after)
            return orjson.dumps(value) if value else None

        try:
            await change_entry(self._store, EntryName(KIND, workflow_id), changed)
        finally:  # also where it is not known whether it was written
            self._written += 1
            self._known = replace(self._known, until=-1)
        return after


def _name_of(entry: Entry) -> WorkflowName:
    """Return what an entry of the registry has, whoever wrote it."""
    try:
        found = orjson.loads(entry.value)
    except ValueError:
        found = None
    value: dict[str, Any] = found if isinstance(found, dict) else {}
    return WorkflowName(
        entry.name.key,
        given=_kept(value.get("name"), LONGEST_NAME),
        described=_kept(value.get("description"), LONGEST_DESCRIPTION),
        starred=value.get("starred") is True,
        hidden=value.get("hidden") is True,
        learned=_learned_of(value.get("learned")),
    )


def _learned_of(value: object) -> LearnedName | None:
    if not isinstance(value, dict) or not (name := _kept(value.get("name"), LONGEST_NAME)):
        return None
    about = _kept(value.get("description"), LONGEST_DESCRIPTION)
    return LearnedName(name, text(value.get("from")) or "", moment_of(value.get("at")) or 0, about)


def _kept(value: object, longest: int) -> str | None:
    return (flat(value, longest) or None) if isinstance(value, str) else None


def flat(words: str, longest: int) -> str:
    """Return *words* on one line of at most *longest* characters; what may not be shown as it is stays in it."""
    line = " ".join(words[: 4 * longest].split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return line.encode("utf-8", "replace").decode()


def _value_of(name: WorkflowName) -> dict[str, Any]:
    learned = name.learned and {
        "name": name.learned.name,
        "description": name.learned.description,
        "from": name.learned.source,
        "at": name.learned.at,
    }
    value = {
        "name": name.given,
        "description": name.described,
        "starred": name.starred,
        "hidden": name.hidden,
        "learned": learned,
    }
    return {key: each for key, each in value.items() if each}
