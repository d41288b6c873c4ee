"""What an index still lacks, in a sentence for people: the same one on the page and on the command line. Pure."""

from collections.abc import Callable
from typing import Final

from execution_history.errors import Message

_SECOND: Final = 1_000


def left_of(revision: int, newest: int, missing: int) -> int:
    """Return about how many changes and records an index that has come to *revision* has still to take in.

    Args:
        revision: the change up to which it covers the feed.
        newest: the newest change of the feed.
        missing: how many older records it lacks.
    """
    return max(0, newest - revision) + missing


def index_notice(
    *,
    revision: int,
    newest: int,
    since: int | None,
    missing: int,
    moment: Callable[[int], object],
    number: Callable[[int], str],
) -> Message:
    """Return what an answer may lack, and that it comes by itself; for one that is not complete.

    Args:
        revision: the change up to which it covers the feed.
        newest: the newest change of the feed.
        since: the time (milliseconds) from which on it has all records; ``None``: it has all.
        missing: how many older records it lacks.
        moment: formats a time (milliseconds) in the reader's zone; only whole seconds are passed.
        number: formats a count.
    """
    changes = max(0, newest - revision)
    if since is None:
        return Message(
            "Still indexing: the latest changes may be missing here (%(changes)s to go). They are added automatically.",
            changes=number(changes),
        )
    # Rounded up: what is claimed to be complete is.
    begin = moment(-(-since // _SECOND) * _SECOND)
    if not changes:
        return Message(
            "Still indexing: every run from %(since)s on is included; older ones are added automatically "
            "(%(missing)s to go).",
            since=begin,
            missing=number(missing),
        )
    return Message(
        "Still indexing: runs from before %(since)s (%(missing)s to go) and the latest changes (%(changes)s) may be "
        "missing here. They are added automatically.",
        since=begin,
        missing=number(missing),
        changes=number(changes),
    )
