"""The part of a history that knows workflows by name; :mod:`execution_history.history.name_book` keeps the names."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from execution_history.errors import AmbiguousName, InvalidInput, StoreError, quoted
from execution_history.history.keyword_query import FilterValue
from execution_history.history.name_book import (
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    OF_RUNS,
    LearnedName,
    NameBook,
    WorkflowName,
    flat,
)
from execution_history.history.replication import HistoryReplication
from execution_history.query.fields import RecordFilter
from execution_history.query.values import bare_id
from execution_history.records.metadata import WORKFLOW_NAME
from execution_history.records.record import Document, check_identifier, is_identifier
from execution_history.stores.protocol import HistoryStore, WorkflowSummary

__all__ = ["HistoryNaming", "ListedWorkflow", "UpstreamName", "WorkflowName", "listed", "name_in", "noting_names"]

SHORTEST_PART: Final = 8
"""Characters of an id's beginning or end that are enough to name what has it."""

_MOST_AT_ONCE: Final = 1_000
_MOST_ALIKE: Final = 5
_KEY: Final = f'"{WORKFLOW_NAME.name}"'.encode()


@dataclass(frozen=True, slots=True)
class ListedWorkflow(WorkflowSummary):
    """A workflow that has history, with its name and what else people noted about it."""

    name: str | None = None
    description: str | None = None
    starred: bool = False
    hidden: bool = False


UpstreamName = tuple[str, str, str | None]
"""What an upstream says of a workflow: its id, its name and its description; texts of any length and content."""


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

    async def listed_workflows(self) -> list[ListedWorkflow]:
        """Return the workflows that have history, with their names, the one with the newest record first.

        Raises:
            StoreError: the store could not be read.
        """
        names = await self.names()
        return [listed(each, names) for each in await self.workflow_summaries()]

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

    async def learn_names(self, named: Iterable[UpstreamName], source: str) -> int:
        """Keep what an upstream calls workflows, where it is news; return how many names are new or changed.

        Names that people gave stay. What is too long is cut, and what cannot be a workflow's id is left out.

        Args:
            named: at most 1,000 of them are read.
            source: where they come from, such as ``coze``.

        Raises:
            StoreError: a name could not be written.
        """
        known, changed = await self.names(), 0
        for _, (workflow_id, name, description) in zip(range(_MOST_AT_ONCE), named, strict=False):
            called = flat(name, LONGEST_NAME)
            about = flat(description or "", LONGEST_DESCRIPTION) or None
            before = known.get(workflow_id)
            news = LearnedName(called, source, self._clock(), about)
            if not called or not is_identifier(workflow_id) or (before and before.knows(news)):
                continue

            def learned(name: WorkflowName, news: LearnedName = news) -> WorkflowName:
                return name if name.knows(news) else replace(name, learned=news)

            await self._names.change(workflow_id, learned)
            changed += 1
        return changed

    async def learn_from(self, documents: Iterable[Document]) -> None:
        """Keep the names that runs give their workflows in ``metadata.workflow_name``, where the store can."""
        named = [(each.workflow_id, name, None) for each in documents if (name := name_in(each))]
        if named:
            with suppress(StoreError):  # the runs are there
                await self.learn_names(named, OF_RUNS)

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

    async def _filter_of(self, words: Mapping[str, FilterValue]) -> RecordFilter:
        """Return the filter of keyword arguments, of which ``workflow`` may be a name."""
        return await self.with_workflow_ids(await super()._filter_of(words))

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


def listed(summary: WorkflowSummary, names: Mapping[str, WorkflowName]) -> ListedWorkflow:
    """Return a workflow with its name."""
    name = names.get(summary.workflow_id) or WorkflowName(summary.workflow_id)
    return ListedWorkflow(
        summary.workflow_id,
        summary.total,
        summary.counts,
        summary.last_create_time,
        summary.updated_at,
        summary.size,
        name.name,
        name.description,
        name.is_starred,
        name.is_hidden,
    )


def name_in(document: Document) -> str | None:
    """Return what a run calls its workflow, ``None`` where it does not."""
    return WORKFLOW_NAME.of(document.plain()) if _KEY in document.body else None


def noting_names(documents: Iterable[Document], naming: list[Document]) -> Iterable[Document]:
    """Yield *documents*, and put the last of each workflow that gives it a name into *naming*."""
    by_workflow: dict[str, Document] = {}
    for document in documents:
        if name_in(document):
            by_workflow[document.workflow_id] = document
        yield document
    naming.extend(by_workflow.values())


def _only(text: str, found: list[str], names: Mapping[str, WorkflowName]) -> str:
    if len(found) > 1:
        raise AmbiguousName(text, [(each, names[each].name if each in names else None) for each in found])
    return found[0]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


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
