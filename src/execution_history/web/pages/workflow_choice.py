"""Which workflows a list of them shows: starred ones first, hidden ones on request. Pure."""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from execution_history.history.name_book import WorkflowName
from execution_history.query.values import bare_id


class _Workflow(Protocol):
    @property
    def workflow_id(self) -> str: ...


_Any = TypeVar("_Any", bound=_Workflow)


def choose_workflows(
    workflows: Iterable[_Any], names: Mapping[str, WorkflowName], words: str, *, with_hidden: bool = False
) -> tuple[list[_Any], int]:
    """Return the workflows whose id or name contains *words*, starred ones first, and how many others are left out.

    Otherwise they stay in their order. Only hidden ones are left out, unless they are asked for: by words, or
    *with_hidden*.
    """
    searched = bare_id(words).casefold()
    starred: list[_Any] = []
    others: list[_Any] = []
    hidden = 0
    for workflow in workflows:
        name = names.get(workflow.workflow_id) or WorkflowName(workflow.workflow_id)
        if searched not in f"{name.name or ''}\0{workflow.workflow_id}".casefold():
            continue
        if name.hidden and not (words or with_hidden):
            hidden += 1
        else:
            (starred if name.starred else others).append(workflow)
    return [*starred, *others], hidden
