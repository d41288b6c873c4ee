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
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from execution_history.errors import AmbiguousName, InvalidInput, StoreBusy, quoted
from execution_history.history.replication import HistoryReplication
from execution_history.presentation.formatting import one_line
from execution_history.query.fields import RecordFilter
from execution_history.records.record import check_identifier, is_identifier
from execution_history.records.values import text
from execution_history.records.values import time as moment_of
from execution_history.stores.administration import Entry
from execution_history.stores.protocol import HistoryStore

KIND: Final = "workflow"
LONGEST_NAME: Final = 200
LONGEST_DESCRIPTION: Final = 2_000
SHORTEST_PART: Final = 8
"""Characters of an id's beginning or end that are enough to name what has it."""

FRESH_MS: Final = 500
"""How long names that were read are taken for the current ones; other processes may change them."""

_MOST_ATTEMPTS: Final = 100
_MOST_AT_ONCE: Final = 1_000


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
    is_starred: bool = False
    is_hidden: bool = False
    learned: LearnedName | None = None

    @property
    def name(self) -> str | None:
        """The name to show: a person's before the learned one."""
        return self.given or (self.learned.name if self.learned else None)

    @property
    def description(self) -> str | None:
        """The description to show: a person's before the learned one."""
        return self.described or (self.learned.description if self.learned else None)


class Heard(NamedTuple):
    """What an upstream says of a workflow; texts of any length and content."""

    workflow_id: str
    name: str
    description: str | None = None


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
        """Return all names by workflow id, at most :data:`FRESH_MS` old.

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
            self._known = _Known(now + FRESH_MS, revision, names)
        return names

    async def change(self, workflow_id: str, make: Callable[[WorkflowName], WorkflowName]) -> WorkflowName:
        """Replace the entry of a workflow by what *make* returns for it, however many others change it meanwhile.

        Raises:
            StoreBusy: others changed it all the time.
            StoreError: the store could not be read or written.
        """
        for _ in range(_MOST_ATTEMPTS):
            entry = await self._store.entry(KIND, workflow_id)
            before = WorkflowName(workflow_id) if entry is None else _name_of(entry)
            after, version = make(before), 0 if entry is None else entry.version
            if after == before or await self._save(after, version):
                return after
        raise StoreBusy(
            "The name of workflow %(workflow)s was changed by others all the time; try again.",
            workflow=quoted(workflow_id),
        )

    async def _save(self, name: WorkflowName, version: int) -> bool:
        value = _value_of(name)
        self._written += 1
        self._known = replace(self._known, until=-1)
        if not value:
            return await self._store.drop_entry(KIND, name.workflow_id, expected=version)
        saved = await self._store.put_entry(KIND, name.workflow_id, orjson.dumps(value), expected=version)
        return saved is not None


class HistoryNaming(HistoryReplication):
    """The part of a history that knows workflows by name; the first call opens the store."""

    def __init__(self, store: HistoryStore, clock: Callable[[], int]) -> None:
        super().__init__(store, clock)
        self._names = NameBook(store)

    @property
    def last_names(self) -> Mapping[str, WorkflowName]:
        """What :meth:`names` last returned, for those who cannot wait; none before its first call."""
        return self._names.last

    async def names(self) -> Mapping[str, WorkflowName]:
        """Return what is noted about workflows, by workflow id; another process's change is seen within a second.

        Raises:
            StoreError: the store could not be read.
        """
        await self._opened()
        return await self._names.all()

    async def name_workflow(
        self,
        workflow_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        starred: bool | None = None,
        hidden: bool | None = None,
    ) -> WorkflowName:
        """Name, describe, star or hide a workflow, which may have no runs yet; what is left at ``None`` stays.

        Args:
            workflow_id: the workflow.
            name: its name, at most 200 characters; an empty one brings the learned name back.
            description: a description of at most 2,000 characters; an empty one removes it.
            starred: whether it stands first in lists of workflows.
            hidden: whether lists of workflows leave it out.

        Raises:
            InvalidInput: the id, the name or the description is not possible.
            StoreError: the name could not be written.
        """
        check_identifier("workflow id", workflow_id)
        changes: dict[str, Any] = {
            "given": _line("name", name, LONGEST_NAME),
            "described": _line("description", description, LONGEST_DESCRIPTION),
            "is_starred": _flag("starred", starred),
            "is_hidden": _flag("hidden", hidden),
        }
        changes = {
            key: value or None if isinstance(value, str) else value
            for key, value in changes.items()
            if value is not None
        }
        await self._opened()
        return await self._names.change(workflow_id, lambda before: replace(before, **changes))

    async def learn_names(self, heard: Iterable[Heard], source: str) -> int:
        """Keep what an upstream calls workflows, where it is news; return how many names are new or changed.

        Names that people gave stay. What is too long is cut, and what cannot be a workflow's id is left out.

        Args:
            heard: at most 1,000 of them are read.
            source: where they come from, such as ``coze``.

        Raises:
            StoreError: a name could not be written.
        """
        known, changed = await self.names(), 0
        for _, (workflow_id, name, description) in zip(range(_MOST_AT_ONCE), heard, strict=False):
            called = one_line(name, LONGEST_NAME).strip()
            about = one_line(description or "", LONGEST_DESCRIPTION) or None
            before = known.get(workflow_id)
            if not called or not is_identifier(workflow_id) or (before and _says(before, called, about)):
                continue
            news = LearnedName(called, source, self._clock(), about)

            def learned(name: WorkflowName, news: LearnedName = news) -> WorkflowName:
                return name if _says(name, news.name, news.description) else replace(name, learned=news)

            await self._names.change(workflow_id, learned)
            changed += 1
        return changed

    async def workflow_named(self, text: str) -> str:
        """Return the id of the workflow that a person names by *text*; *text* itself where nothing is called so.

        In this order: the id; the name; the name in small or capital letters; the beginning or the end of an id, 8
        characters at least.

        Raises:
            AmbiguousName: several workflows are called so; the message lists them.
            StoreError: the store could not be read.
        """
        names = await self.names()
        if text in names or not text:
            return text
        store = await self._opened()
        if is_identifier(text) and any(each.workflow_id == text for each in await store.workflows(text)):
            return text
        folded = _folded(text)
        tests: list[Callable[[WorkflowName], bool]] = [
            lambda each: each.name == text,
            lambda each: each.name is not None and _folded(each.name) == folded,
        ]
        for test in tests:
            if found := [each.workflow_id for each in names.values() if test(each)]:
                return _only(text, found, names)
        if len(text) < SHORTEST_PART:
            return text
        ids = dict.fromkeys([*(each.workflow_id for each in await store.workflows()), *names])
        for part in (str.startswith, str.endswith):
            if found := [each for each in ids if part(each, text)]:
                return _only(text, found, names)
        return text

    async def with_workflow_ids(self, record_filter: RecordFilter) -> RecordFilter:
        """Return *record_filter* with an id for each workflow that it calls by its name.

        Raises:
            AmbiguousName: several workflows are called so; the message lists them.
            StoreError: the store could not be read.
        """
        called = record_filter.workflow_ids
        if not called:
            return record_filter
        return replace(record_filter, workflow_ids=tuple([await self.workflow_named(each) for each in called]))


def _only(text: str, found: list[str], names: Mapping[str, WorkflowName]) -> str:
    if len(found) > 1:
        raise AmbiguousName(text, [(each, names[each].name if each in names else None) for each in found])
    return found[0]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _says(name: WorkflowName, called: str, about: str | None) -> bool:
    """Return whether this is what was learned last; a description that is not repeated stays."""
    learned = name.learned
    return learned is not None and learned.name == called and about in (None, learned.description)


def _name_of(entry: Entry) -> WorkflowName:
    """Return what an entry of the registry has, whoever wrote it."""
    found = orjson.loads(entry.value)
    value: dict[str, Any] = found if isinstance(found, dict) else {}
    return WorkflowName(
        entry.name.key,
        given=_kept(value.get("name"), LONGEST_NAME),
        described=_kept(value.get("description"), LONGEST_DESCRIPTION),
        is_starred=value.get("starred") is True,
        is_hidden=value.get("hidden") is True,
        learned=_learned_of(value.get("learned")),
    )


def _learned_of(value: object) -> LearnedName | None:
    if not isinstance(value, dict) or not (name := _kept(value.get("name"), LONGEST_NAME)):
        return None
    about = _kept(value.get("description"), LONGEST_DESCRIPTION)
    return LearnedName(name, text(value.get("from")) or "", moment_of(value.get("at")) or 0, about)


def _kept(value: object, longest: int) -> str | None:
    return (one_line(value, longest) or None) if isinstance(value, str) else None


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
        "starred": name.is_starred,
        "hidden": name.is_hidden,
        "learned": learned,
    }
    return {key: each for key, each in value.items() if each}


def _line(field: str, value: object, longest: int) -> str | None:
    """Return a text of a person's on one line; ``None`` where there is none.

    Raises:
        InvalidInput: it is no text, too long, or has characters that cannot be shown.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput("%(field)s is a text, not %(value)s.", field=field, value=quoted(value))
    line = " ".join(value.split())
    if len(line) > longest:
        raise InvalidInput(
            "The %(field)s of a workflow has at most %(most)s characters; this one has %(count)s.",
            field=field,
            most=f"{longest:,}",
            count=len(line),
        )
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in line):
        raise InvalidInput(
            "The %(field)s %(text)s holds a control character or half of a surrogate pair.",
            field=field,
            text=quoted(line),
        )
    return line


def _flag(field: str, value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise InvalidInput("%(field)s is true or false, not %(value)s.", field=field, value=quoted(value))
    return value
