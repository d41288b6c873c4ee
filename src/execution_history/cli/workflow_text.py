"""Workflows as commands show them: their names, with ids that can be copied into the next call."""

from collections.abc import Mapping
from typing import Final

from execution_history.history.name_book import WorkflowName
from execution_history.presentation.formatting import one_line, short_id

LONGEST_ID: Final = 60
_LONGEST_NAME: Final = 40

Names = Mapping[str, WorkflowName]


def workflow_text(workflow_id: str, names: Names, *, is_brief: bool = True) -> str:
    """Return a workflow as its name and its id, of which the end will do where it *is_brief*; or as its id alone."""
    named = names.get(workflow_id)
    return name_and_id(None if named is None else named.name, workflow_id, is_brief=is_brief)


def name_and_id(name: str | None, workflow_id: str, *, is_brief: bool = True, longest: int = LONGEST_ID) -> str:
    """Return the same of a workflow with this *name*; what stands first has at most *longest* characters."""
    if name is None:
        return one_line(workflow_id, longest)
    shown_id = short_id(workflow_id) if is_brief else one_line(workflow_id, LONGEST_ID)
    return f"{one_line(name, min(longest, _LONGEST_NAME))} {shown_id}"
