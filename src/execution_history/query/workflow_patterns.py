"""Which workflows somebody may see: shell patterns of their ids, turned into the ids that a query names. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from execution_history.errors import InvalidInput, quoted
from execution_history.records.identifiers import is_identifier

if TYPE_CHECKING:
    from execution_history.query.fields import RecordFilter

MOST_PATTERNS: Final = 50
_SPECIAL: Final = re.compile(r"[*?\[]")
_NO_WORKFLOW: Final = ""
"""An id that no record has."""


@dataclass(frozen=True, slots=True)
class WorkflowPatterns:
    """Workflows by shell patterns of their ids, as :mod:`fnmatch` defines them: ``*``, ``?``, ``[abc]`` and ``[!abc]``.

    Capital and small letters differ. A workflow belongs here where one of the patterns matches its whole id; without
    any pattern every workflow does.
    """

    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "WorkflowPatterns":
        """Return those of *patterns* as a person gave them, each once and in order.

        Raises:
            InvalidInput: one cannot match any id, or there are too many.
        """
        kept = tuple(sorted({each.strip() for each in patterns}))
        if len(kept) > MOST_PATTERNS:
            raise InvalidInput("A key takes at most %(most)s workflow patterns.", most=MOST_PATTERNS)
        for each in kept:
            if not is_identifier(each):
                raise InvalidInput(
                    "A workflow pattern is a workflow id in which * and ? stand for other characters, not %(pattern)s.",
                    pattern=quoted(each),
                )
        return EVERY_WORKFLOW if "*" in kept else cls(kept)

    @property
    def are_all(self) -> bool:
        """Whether every workflow belongs here."""
        return not self.patterns

    def match(self, workflow_id: str | None) -> bool:
        """Return whether a workflow belongs here; ``None`` stands for no workflow at all."""
        if self.are_all:
            return True
        return workflow_id is not None and any(fnmatchcase(workflow_id, each) for each in self.patterns)

    def prefixes(self) -> list[str]:
        """Return beginnings of ids, one of which every id that matches has; empty ones stand for any."""
        found = sorted({_SPECIAL.split(each, maxsplit=1)[0] for each in self.patterns or ("*",)})
        return [each for each in found if not any(each != other and each.startswith(other) for other in found)]

    def narrow(self, record_filter: "RecordFilter", workflow_ids: Iterable[str]) -> "RecordFilter":
        """Return *record_filter* for those of its workflows that belong here.

        Args:
            record_filter: the filter of a query.
            workflow_ids: the workflows that belong here, for a filter that names none. The result remembers the
                patterns, so that a cursor stays valid when a workflow is added.
        """
        if self.are_all:
            return record_filter
        if record_filter.workflow_ids:
            kept = tuple(filter(self.match, record_filter.workflow_ids))
            return replace(
                record_filter, workflow_ids=kept or (_NO_WORKFLOW,), within=self.patterns if not kept else ()
            )
        return replace(record_filter, workflow_ids=(*workflow_ids, _NO_WORKFLOW), within=self.patterns)


EVERY_WORKFLOW: Final = WorkflowPatterns()
