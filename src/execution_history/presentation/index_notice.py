"""What an index still lacks, in a sentence for people: the same one on the page and on the command line. Pure."""

from collections.abc import Callable
from typing import Final, Protocol

from execution_history.errors import Message

_SECOND: Final = 1_000


class Reach(Protocol):
    """How complete an answer is: what is used of a query's ``IndexReach``, whose room this one does not see."""

    @property
    def revision(self) -> int:
        """The change up to which the answer covers the feed."""

    @property
    def newest(self) -> int:
        """The newest change."""

    @property
    def since(self) -> int | None:
        """The time (milliseconds) from which on it has all records; ``None``: it has all."""

    @property
    def missing(self) -> int:
        """How many older records it lacks."""


def left_of(reach: Reach) -> int:
    """Return about how many records and changes an index with this *reach* has still to take in."""
    return max(0, reach.newest - reach.revision) + reach.missing


def index_notice(reach: Reach, moment: Callable[[int], object], number: Callable[[int], str]) -> Message:
    """Return what an answer may lack, and that it comes by itself; for a *reach* that is not complete.

    Args:
        reach: how complete the answer is.
        moment: formats a time (milliseconds) in the reader's zone; only whole seconds are passed.
        number: formats a count.
    """
    changes = number(max(0, reach.newest - reach.revision))
    if reach.since is None:
        return Message(
            "Still indexing: the latest changes may be missing here (%(changes)s to go). They are added automatically.",
            changes=changes,
        )
    # Rounded up: what is claimed to be complete is.
    since, missing = moment(-(-reach.since // _SECOND) * _SECOND), number(reach.missing)
    if reach.revision >= reach.newest:
        return Message(
            "Still indexing: every run from %(since)s on is included; older ones are added automatically "
            "(%(missing)s to go).",
            since=since,
            missing=missing,
        )
    return Message(
        "Still indexing: runs from before %(since)s (%(missing)s to go) and the latest changes (%(changes)s) may be "
        "missing here. They are added automatically.",
        since=since,
        missing=missing,
        changes=changes,
    )
