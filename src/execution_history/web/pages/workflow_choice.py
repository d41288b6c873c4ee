"""Which workflows a list of them shows: starred ones first, hidden ones where they are asked for. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from execution_history.history.name_book import WorkflowName
from execution_history.query.values import bare_id
from execution_history.stores.protocol import WorkflowSummary


class WorkflowChoice(NamedTuple):
    """The workflows to show, and how many hidden ones are left out."""

    workflows: list[WorkflowSummary]
    hidden: int


def choose_workflows(
    summaries: Iterable[WorkflowSummary], names: Mapping[str, WorkflowName], words: str, *, with_hidden: bool = False
) -> WorkflowChoice:
    """Return the workflows whose id or name contains *words*, starred ones first, otherwise in their order.

    Hidden ones are left out, unless they are asked for: by words, or *with_hidden*.
    """
    searched = bare_id(words).casefold()
    starred: list[WorkflowSummary] = []
    others: list[WorkflowSummary] = []
    hidden = 0
    for summary in summaries:
        name = names.get(summary.workflow_id)
        if searched not in summary.workflow_id.casefold() and searched not in ((name and name.name) or "").casefold():
            continue
        if name is not None and name.is_hidden and not (words or with_hidden):
            hidden += 1
        elif name is not None and name.is_starred:
            starred.append(summary)
        else:
            others.append(summary)
    return WorkflowChoice([*starred, *others], hidden)
