"""The part of a history that knows workflows by name; :mod:`execution_history.history.name_book` keeps the names."""

import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from execution_history.errors import InvalidInput, StoreError, quoted
from execution_history.history.name_book import (
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    OF_RUNS,
    LearnedName,
    WorkflowName,
    flat,
)
from execution_history.history.replication import HistoryReplication
from execution_history.records.identifiers import check_identifier, is_identifier
from execution_history.records.metadata import WORKFLOW_NAME
from execution_history.records.record import Document
from execution_history.stores.protocol import WorkflowSummary

__all__ = ["HistoryNaming", "ListedWorkflow", "UpstreamName", "WorkflowName", "listed", "name_in", "noting_names"]

_MOST_AT_ONCE: Final = 1_000
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
            "starred": _flag("starred", starred),
            "hidden": _flag("hidden", hidden),
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
        name.starred,
        name.hidden,
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
