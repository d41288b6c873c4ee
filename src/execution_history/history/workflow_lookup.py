"""Workflows as people call them: by an id, a name, or a part of an id."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from execution_history.errors import AmbiguousName
from execution_history.history.name_book import NameBook, WorkflowName
from execution_history.query.fields import RecordFilter
from execution_history.query.values import bare_id
from execution_history.records.identifiers import is_identifier
from execution_history.stores.protocol import HistoryStore

SHORTEST_PART: Final = 8
"""Characters of an id's beginning or end that are enough to name what has it."""

_MOST_ALIKE: Final = 5


class WorkflowLookup:
    """The part of a history that finds workflows by what people call them; the first call opens the store.

    Args:
        store: the history.
        clock: the time from which times such as ``2h`` ago are counted, in milliseconds since the epoch.
    """

    def __init__(self, store: HistoryStore, clock: Callable[[], int]) -> None:
        self.store = store
        self._clock = clock
        self._names = NameBook(store)

    async def _opened(self) -> HistoryStore:
        await self.store.open()
        return self.store

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

    async def workflow_named(self, text: str, *, parts: bool = True) -> str:
        """Return the id of the workflow that a person names by *text*; *text* itself where nothing is called so.

        In this order: the id; the name; the name in small or capital letters; the beginning or the end of an id, 8
        characters at least. A ``…`` before it, as pages and commands print ids, does not matter.

        Args:
            text: what the person wrote.
            parts: whether a part of an id is enough.

        Raises:
            AmbiguousName: several workflows are called so; the message lists them.
            StoreError: the store could not be read.
        """
        return await self.known_workflow(text, parts=parts) or text

    async def known_workflow(self, text: str, *, parts: bool = True) -> str | None:
        """Return the id that :meth:`workflow_named` returns; ``None`` where nothing is called so.

        Raises:
            AmbiguousName: several workflows are called so; the message lists them.
            StoreError: the store could not be read.
        """
        found = await self._known_workflow(text, parts=parts)
        bare = bare_id(text)
        return await self._known_workflow(bare, parts=parts) if found is None and bare != text else found

    async def _known_workflow(self, text: str, *, parts: bool) -> str | None:
        names = await self.names()
        if text in names:
            return text
        if not is_identifier(text):
            return None
        store = await self._opened()
        beginning = [each.workflow_id for each in await store.workflows(text)]
        if text in beginning:
            return text
        folded = _folded(text)
        tests: list[Callable[[WorkflowName], bool]] = [
            lambda each: each.name == text,
            lambda each: each.name is not None and _folded(each.name) == folded,
        ]
        for test in tests:
            if found := [each.workflow_id for each in names.values() if test(each)]:
                return _only(text, found, names)
        if len(text) < SHORTEST_PART or not parts:
            return None
        beginning += [each for each in names if each.startswith(text) and each not in beginning]
        if beginning:
            return _only(text, beginning, names)
        ids = dict.fromkeys([*(each.workflow_id for each in await store.workflows()), *names])
        ending = [each for each in ids if each.endswith(text)]
        return _only(text, ending, names) if ending else None

    async def workflows_like(self, text: str) -> list[str]:
        """Return the names, at most a few, that contain *text* in small or capital letters; in alphabetical order.

        Raises:
            StoreError: the store could not be read.
        """
        folded = _folded(text)
        names = {each.name for each in (await self.names()).values() if each.name and folded in _folded(each.name)}
        return sorted(names)[:_MOST_ALIKE]

    async def with_workflow_ids(self, record_filter: RecordFilter) -> RecordFilter:
        """Return *record_filter* with ids in place of what people call workflows in it.

        Raises:
            AmbiguousName: several workflows are called so; the message lists them.
            StoreError: the store could not be read.
        """
        if not record_filter.workflows:
            return record_filter
        named = tuple([await self.workflow_named(each) for each in record_filter.workflows])
        if record_filter.workflow_ids:  # a run has to fulfil both
            return replace(record_filter, workflows=named)
        return replace(record_filter, workflows=(), workflow_ids=named)


def _only(text: str, found: list[str], names: Mapping[str, WorkflowName]) -> str:
    if len(found) > 1:
        raise AmbiguousName(text, [(each, names[each].name if each in names else None) for each in found])
    return found[0]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
